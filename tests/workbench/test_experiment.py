import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from accounting.errors import ConfigError
from serving.config import ServerConfig
from serving.speculation import NgramSpeculation, NoSpeculation
from workbench.experiment import AttachSection, load_experiment, merge_sections, parse_experiment
from workbench.schema import experiment_schema
from workbench.strict_yaml import parse_yaml, read_yaml

ROOT = Path(__file__).parents[2]
GOOD = """
name: good
server:
  model: {name: smollm2-135m-instruct, max_model_len: 2048}
  engine: {enforce_eager: true}
arms:
  off: {}
  ngram: {speculation: {method: ngram, num_speculative_tokens: 4}, model: {dtype: float32}}
  running: {url: "http://127.0.0.1:8000"}
workloads: [chat]
loads: {streams: [1, 4]}
price: {usd_per_hour: 1, source: declared, as_of: 2026-11-22}
"""


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def test_arms_are_the_shared_server_with_their_own_differences() -> None:
    experiment = parse_experiment(GOOD, origin="x.yaml")
    arms = experiment.arm_configs(origin="x.yaml")
    off, ngram, running = arms["off"], arms["ngram"], arms["running"]
    assert isinstance(off, ServerConfig)
    assert isinstance(ngram, ServerConfig)
    assert isinstance(running, AttachSection)
    assert isinstance(off.speculation, NoSpeculation)
    assert isinstance(ngram.speculation, NgramSpeculation)
    assert ngram.model.dtype == "float32"
    assert ngram.model.max_model_len == 2048
    assert experiment.baseline_arm == "off"
    assert experiment.price.to_price().usd_per_hour == 1.0


@pytest.mark.parametrize(
    ("written", "asked"),
    [("off", False), ("false", False), ("on", True), ("true", True), ("{prompts: 200}", True)],
)
def test_losslessness_can_be_switched_off_in_a_word_and_the_schema_knows(written: str, asked: bool) -> None:
    text = GOOD + f"losslessness: {written}\n"
    assert parse_experiment(text, origin="x").losslessness.asked is asked
    jsonschema.validate(
        json.loads(json.dumps(parse_yaml(text, origin="x"), default=str)), experiment_schema()
    )
    assert parse_experiment(GOOD, origin="x").losslessness.asked


def test_speculation_is_replaced_whole_other_sections_by_field() -> None:
    merged = merge_sections(
        {"model": "a", "speculation": {"method": "ngram", "num_speculative_tokens": 3}},
        {"model": {"dtype": "float32"}, "speculation": {"method": "off"}},
    )
    assert merged == {"model": {"name": "a", "dtype": "float32"}, "speculation": {"method": "off"}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (changed("workloads:", "worklods:"), ["unknown key 'worklods'", "did you mean 'workloads'"]),
        (
            changed("num_speculative_tokens", "num_speculativ_tokens"),
            ["arms.ngram", "num_speculative_tokens'?"],
        ),
        (
            changed("max_model_len: 2048", "max_modle_len: 2048"),
            ["max_modle_len", "did you mean 'max_model_len'"],
        ),
        (changed("method: ngram", "method: ngrm"), ["'ngrm' is not one of", "did you mean 'ngram'"]),
        (
            changed("num_speculative_tokens: 4", 'num_speculative_tokens: "4"'),
            ["num_speculative_tokens", "integer"],
        ),
        (changed("usd_per_hour: 1", "usd_per_hour: -1"), ["price.usd_per_hour", "greater than 0"]),
        (changed("usd_per_hour: 1", "usd_per_hour: 1 USD"), ["price.usd_per_hour", "number"]),
        (changed("usd_per_hour: 1", "usd_per_hour: .nan"), ["price.usd_per_hour"]),
        (changed("as_of: 2026-11-22", "as_of: last week"), ["price.as_of", "date"]),
        (changed(", as_of: 2026-11-22", ""), ["price.as_of", "missing", "No dollars without a date"]),
        (changed("streams: [1, 4]", "streams: [1, 1]"), ["loads: streams", "none twice"]),
        (changed("streams: [1, 4]", "streams: [0]"), ["loads.streams"]),
        (changed("{streams: [1, 4]}", "capcity"), ["loads:", "the only load in one word is `capacity`"]),
        (changed("streams: [1, 4]", "streams: [1], rates: [2]"), ["not streams and rates"]),
        (changed("streams: [1, 4]", "rates: [1], arrivals: poison"), ["'poison'", "gamma:CV"]),
        (changed("streams: [1, 4]", "streams: [1], arrivals: constant"), ["rates only"]),
        (changed("streams: [1, 4]", "capacity: {lowest: 9, highest: 3}"), ["loads.capacity", "below lowest"]),
        (changed("streams: [1, 4]", "capacity: {lowest: 1.5}"), ["whole numbers"]),
        (changed("streams: [1, 4]", "streams: []"), ["loads: give exactly one of", "at least one"]),
        (changed("name: good", "name: a/b"), ["name"]),
        (GOOD + "baseline: plain\n", ["baseline 'plain' is not an arm", "off, ngram, running"]),
        (GOOD + "slo: {tpot_ms: 33}\n", ["slo.tpot_ms", "did you mean 'tpot_s'"]),
        (GOOD + "slo: {ttft_s: null, tpot_s: null}\n", ["slo", "needs at least one limit", "e2e_s"]),
        (GOOD + "slo: {attainment_floor: null}\n", ["slo", "attainment_floor is null", "0.95"]),
        (
            GOOD + "slo: {ttft_s: 1, tpot_s: 0.05}\n",
            ["slo", "attainment_floor is missing", "`attainment_floor: 0.95`"],
        ),
        (changed("streams: [1, 4]", "rates: [2]") + "pairs: {}\n", ["spread of cost", "write `repeats`"]),
        (GOOD + "losslessness: {prompts: 100, max_tokens: 8}\n", ["800 tokens", "raise max_tokens"]),
        (GOOD + "slo: {attainment_floor: 95}\n", ["slo.attainment_floor", "less than or equal to 1"]),
        (GOOD + "slo: {e2e_s: 0.5}\n", ["e2e_s (0.5) is below ttft_s (1, the default)", "`ttft_s: null`"]),
        (GOOD + "slo: {ttft_s: 2, e2e_s: 1.5}\n", ["e2e_s (1.5) is below ttft_s (2)"]),
        (
            GOOD + "slo: {e2e_s: 400, attainment_floor: 0.9}\n",
            ["slo.e2e_s (400) is above request_timeout_s (300)"],
        ),
        (GOOD + "slo: {ttft_s: null, e2e_s: 0.03}\n", ["e2e_s (0.03) is below tpot_s (0.033, the default)"]),
        (changed("usd_per_hour", "eur_per_hour"), ["price", "`eur_per_hour`", "in USD", "`usd_per_hour`"]),
        (changed("usd_per_hour: 1", "usd_per_hour: 1, currency: EUR"), ["price", "`currency`", "in USD"]),
        (GOOD + "window: {minimum_s: 60, limit_s: 30}\n", ["limit_s (30)", "minimum_s (60)"]),
        (GOOD + "name: twice\n", ["'name' stands here twice"]),
        (changed("http://127.0.0.1:8000", "127.0.0.1:8000"), ["arms.running", "url"]),
        (GOOD + "output: {ignore_eos: true}\n", ["output", "`ignore_eos` is now", "`length: fixed`"]),
        (GOOD + "output: {ignore_eos: false}\n", ["output", "`length: free` for `ignore_eos: false`"]),
        (GOOD + "output: {length: naturl}\n", ["output.length", "'free', 'fixed' or 'natural'", "'naturl'"]),
        (changed("{url: ", "{engine: {}, url: "), ["arms.running", "unknown key 'engine'"]),
        (changed("{url: ", "{attach: {}, url: "), ["arms.running", "`attach:` is no longer known"]),
        (GOOD + "losslessness: never\n", ["losslessness", "`losslessness: off`", "prompts, max_tokens"]),
        (GOOD + "losslessness: {prompts: 99}\n", ["losslessness.prompts", "100", "99"]),
        (GOOD + "losslessness: {tokens: 9}\n", ["losslessness.tokens", "max_tokens"]),
        ("- a\n- b\n", ["a list", "mapping"]),
        ("", ["empty"]),
        ("name: [unclosed", ["not valid YAML"]),
        ("name: !!python/object/apply:os.system ['true']", ["not valid YAML"]),
    ],
)
def test_each_mistake_is_named_with_what_is_allowed(text: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_experiment(text, origin="x.yaml")
    for word in words:
        assert word in caught.value.message, caught.value.message
    assert "\n" not in caught.value.message


def test_limits_that_can_all_be_met_are_an_slo() -> None:
    """However long answers are: whether e2e_s can be met at tpot_s is found out by measuring."""
    for text in (
        "e2e_s: 1",
        "ttft_s: null, tpot_s: null, e2e_s: 0.01",
        "ttft_s: 2, e2e_s: 2.5, tpot_s: 0.9",
    ):
        parse_experiment(GOOD + f"slo: {{{text}, attainment_floor: 0.9}}\n", origin="x.yaml")


def test_off_is_a_word_and_numbers_are_numbers() -> None:
    assert parse_yaml("a: off\nb: yes\nc: true\nd: 1e9\ne: 1.5", origin="x") == {
        "a": "off", "b": "yes", "c": True, "d": 1e9, "e": 1.5,
    }  # fmt: skip


def test_a_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "first-light.yaml").touch()
    with pytest.raises(ConfigError) as caught:
        read_yaml(tmp_path / "frist-light.yaml")
    assert "first-light.yaml" in caught.value.hint
    with pytest.raises(ConfigError, match="directory"):
        read_yaml(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path / "binary.yaml")


@pytest.mark.parametrize("path", sorted((ROOT / "experiments").glob("*.yaml")), ids=lambda p: p.stem)
def test_the_experiments_that_ship_are_valid_and_fit_the_schema(path: Path) -> None:
    load_experiment(path)
    as_json: Any = json.loads(json.dumps(read_yaml(path), default=str))
    jsonschema.validate(as_json, experiment_schema())


def test_the_schema_beside_the_experiments_is_current() -> None:
    """Write it anew with `kilotoken schema > experiments/experiment.schema.json`."""
    stored = json.loads((ROOT / "experiments" / "experiment.schema.json").read_text())
    assert stored == experiment_schema()


def test_the_schema_refuses_what_the_loader_refuses() -> None:
    wrong = json.loads(json.dumps(parse_yaml(changed("workloads:", "worklods:"), origin="x"), default=str))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, experiment_schema())


def test_a_price_of_tomorrow_is_refused_in_the_words_of_the_catalogue(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(changed("2026-11-22", "2999-01-01"))
    with pytest.raises(ConfigError) as refused:
        load_experiment(path)
    assert refused.value.message.startswith(f"{path}: price is of 2999-01-01, which is after today (")
    assert parse_experiment(path.read_text(), origin="a recorded run").name == "good"
