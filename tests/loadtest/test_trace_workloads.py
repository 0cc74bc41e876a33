import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from accounting.errors import ConfigError
from loadtest.prompt_order import in_order, ordered_slice
from loadtest.workloads import Prompt, Split, Workload, load_workload
from loadtest.workloads.filler_words import WORDS
from loadtest.workloads.prefix_hits import implied_hit_share
from loadtest.workloads.prose_blocks import with_prose
from loadtest.workloads.token_blocks import TokenBlocks, safe_id_range

AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens\r
2023-11-16 23:59:59.9799600,4808,10\r
2023-11-17 00:00:01.4799600,300,200\r
2023-11-17 00:01:00.0000000,3,6"""
MOONCAKE = [
    {"timestamp": 0, "input_length": 1100, "output_length": 500, "hash_ids": [0, 1, 2]},
    {"timestamp": 3000, "input_length": 1024, "output_length": 4, "hash_ids": [0, 1]},
    {"timestamp": 3000, "input_length": 1030, "output_length": 40, "hash_ids": [0, 3, 4]},
    {"timestamp": 6500, "input_length": 1100, "output_length": 500, "hash_ids": [0, 1, 2]},
]


@pytest.fixture
def azure(tmp_path: Path) -> Path:
    (tmp_path / "a.csv").write_bytes(AZURE.encode())
    return tmp_path


@pytest.fixture
def mooncake(tmp_path: Path) -> Path:
    (tmp_path / "m.jsonl").write_text("\n".join(json.dumps(line) for line in MOONCAKE))
    return tmp_path


def load(name: str, base: Path, *, seed: int = 1) -> Workload:
    return load_workload(name, seed=seed, base_dir=base)


def ids(prompt: Prompt) -> list[int]:
    assert prompt.token_ids is not None
    return list(prompt.token_ids)


def lengths(workload: Workload) -> list[tuple[int, int | None]]:
    return [(len(ids(p)), p.output_tokens) for p in workload.of(Split.MEASURED)]


def test_an_azure_trace_keeps_times_and_lengths(azure: Path) -> None:
    """Times count from the first request, past midnight too; every prompt is a block of its own."""
    made = load("azure:a.csv", azure)
    measured = made.of(Split.MEASURED)
    assert [prompt.at_s for prompt in measured] == pytest.approx([0, 1.5, 60.02004], abs=1e-6)
    assert lengths(made) == [(4808, 10), (300, 200), (3, 6)]
    assert all(prompt.messages == () for prompt in measured)
    assert implied_hit_share(measured, block_tokens=16).hit_tokens == 0
    assert "no text" in made.synthetic
    assert made == load("a.csv", azure)


def test_scales_round_and_never_reach_zero(azure: Path) -> None:
    made = load("azure:a.csv?scale=0.1&output_scale=0.01", azure)
    assert lengths(made) == [(481, 1), (30, 2), (1, 1)]


def test_a_stretch_counts_from_its_own_first_request(azure: Path) -> None:
    made = load("azure:a.csv?start_s=1&duration_s=59.5", azure)
    measured = made.of(Split.MEASURED)
    assert [prompt.at_s for prompt in measured] == pytest.approx([0, 58.52004], abs=1e-6)
    whole = load("azure:a.csv", azure).of(Split.MEASURED)
    assert [ids(p) for p in measured] == [ids(p) for p in whole[1:]]
    assert len(load("azure:a.csv?limit=2", azure).of(Split.MEASURED)) == 2


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("2023-11-17 00:02:00,12", "line 5: the line has 2 fields"),
        ("yesterday,1,2", "line 5: TIMESTAMP 'yesterday' is no time"),
        ("2023-11-17 00:02:00,-1,2", "line 5: ContextTokens '-1'"),
        ("2023-11-17 00:02:00,1,2.5", "line 5: GeneratedTokens '2.5'"),
        ("2023-11-17 00:02:00+00:00,1,2", "line 5: TIMESTAMP .* time zone"),
    ],
)
def test_a_damaged_row_is_named_by_number(azure: Path, row: str, message: str) -> None:
    (azure / "a.csv").write_text(f"{AZURE}\n{row}\n")
    with pytest.raises(ConfigError, match=message):
        load("azure:a.csv", azure)


def test_other_columns_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("TIMESTAMP,NumImages\n")
    with pytest.raises(ConfigError, match=r"line 1: the columns are TIMESTAMP, NumImages"):
        load("azure:a.csv", tmp_path)


@pytest.mark.parametrize("block", [512, 32, 7])
def test_hash_ids_become_shared_blocks(mooncake: Path, block: int) -> None:
    """Prompts begin alike for exactly as many blocks as they share ids."""
    made = load(f"mooncake:m.jsonl?block={block}", mooncake)
    one, two, three, four = (ids(prompt) for prompt in made.of(Split.MEASURED))
    assert len(two) == 2 * block
    assert len(one) == 2 * block + max(1, round(76 * block / 512))
    assert len(three) == 2 * block + max(1, round(6 * block / 512))
    assert one[: 2 * block] == two
    assert one[:block] == three[:block]
    assert one[block : 2 * block] != three[block : 2 * block]
    assert one == four
    assert [prompt.at_s for prompt in made.of(Split.MEASURED)] == [0, 3, 3, 6.5]
    assert "1 repeat an earlier prompt" in made.description


def test_scale_is_another_way_to_say_block(mooncake: Path) -> None:
    assert load("m.jsonl?scale=0.0625", mooncake).prompts == load("m.jsonl?block=32", mooncake).prompts
    assert load("m.jsonl?scale=0.0625&block=32", mooncake).prompts
    with pytest.raises(ConfigError, match=r"block=32 and scale=0\.05 contradict") as caught:
        load("m.jsonl?scale=0.05&block=32", mooncake)
    assert "blocks of 26" in caught.value.hint


@pytest.mark.parametrize("name", ["a.csv", "m.jsonl?block=16"])
def test_the_warm_up_is_as_long_and_shares_no_token(azure: Path, mooncake: Path, name: str) -> None:
    """Its ids come from a part of the vocabulary that no measured prompt draws from."""
    made = load(name, azure)
    warm_up, measured = made.of(Split.WARM_UP), made.of(Split.MEASURED)
    assert {len(ids(p)) for p in warm_up} == {len(ids(p)) for p in measured}
    assert len(warm_up) >= 64
    assert all(prompt.at_s is None for prompt in warm_up)
    tokens = [{token for prompt in split for token in ids(prompt)} for split in (warm_up, measured)]
    assert not tokens[0] & tokens[1]
    assert not {p.template for p in warm_up} & {p.template for p in measured}
    assert len({p.prompt_id for p in made.prompts}) == len(made.prompts)


def test_ids_stay_within_the_safe_part_of_the_vocabulary(azure: Path) -> None:
    for vocabulary in (64, 512, 32_000):
        first, end = safe_id_range(vocabulary)
        assert 0 < first < end < vocabulary
        made = load(f"a.csv?vocab={vocabulary}", azure)
        found = [token for prompt in made.prompts for token in ids(prompt)]
        assert min(found) >= first
        assert max(found) < end
    with pytest.raises(ConfigError, match="at least 64 token ids"):
        load("a.csv?vocab=63", azure)


def test_the_seed_and_the_name_decide_the_tokens(azure: Path, mooncake: Path) -> None:
    """Two traces in one mix must not share blocks because their keys are equal."""
    one, again, other = (load("a.csv", azure, seed=seed).prompts[0] for seed in (1, 1, 2))
    assert ids(one) == ids(again) != ids(other)
    (azure / "b.csv").write_bytes(AZURE.encode())
    assert ids(load("b.csv", azure).prompts[0])[:16] != ids(one)[:16]


def test_the_tokens_are_the_same_in_another_process(mooncake: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from loadtest.workloads import load_workload; "
        "made = load_workload('m.jsonl?block=8', seed=4, base_dir=Path(sys.argv[1])); "
        "print([list(p.token_ids) for p in made.prompts[:4]])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code, str(mooncake)],
        env={"PYTHONHASHSEED": "7", "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert printed == repr([ids(p) for p in load("m.jsonl?block=8", mooncake, seed=4).prompts[:4]])


def test_words_stand_in_for_tokens(mooncake: Path) -> None:
    """One word for each token, beginnings shared as the ids are, warm-up words never measured ones."""
    made = load("m.jsonl?block=8&text=words", mooncake)
    one, two, three, _ = (p.messages[0].content.split() for p in made.of(Split.MEASURED))
    assert (len(one), len(two)) == (17, 16)
    assert one[:16] == two
    assert one[:8] == three[:8]
    assert one[8:16] != three[8:16]
    assert all(prompt.token_ids is None for prompt in made.prompts)
    warm_up = {word for p in made.of(Split.WARM_UP) for word in p.messages[0].content.split()}
    assert not warm_up & {*one, *two, *three}
    assert len(set(WORDS)) == len(WORDS)
    assert "words" in made.synthetic


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            {**MOONCAKE[0], "hash_ids": [0, 1]},
            "line 5: an input of 1100 tokens has 2 hash_ids. It must have 3",
        ),
        ({**MOONCAKE[0], "input_length": 0}, "line 5: .*input_length"),
        ({**MOONCAKE[0], "timestamp": "x"}, "line 5: .*timestamp"),
        ({"timestamp": 0}, "line 5: .*missing required field"),
        ({**MOONCAKE[0], "model": "x"}, "line 5: .*unknown field `model`"),
    ],
)
def test_a_damaged_trace_line_is_named_by_number(mooncake: Path, line: object, message: str) -> None:
    with (mooncake / "m.jsonl").open("a") as file:
        file.write(f"\n{json.dumps(line)}")
    with pytest.raises(ConfigError, match=message):
        load("mooncake:m.jsonl", mooncake)


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ("blok=3", "unknown option 'blok'", "'block'"),
        ("block=0", "block=0 cannot be used", ""),
        ("scale=-1", "scale=-1 cannot be used", ""),
        ("scale=inf", "scale=inf cannot be used", ""),
        ("text=wordz", "text=wordz cannot be used", "Allowed: words"),
        ("limit=1.5", "limit=1.5 cannot be used", ""),
        ("limit=3&limit=4", "'limit' is given twice", ""),
        ("limit=3&scale=", "'scale=' is no option", "&"),
        (
            "start_s=100",
            "no request arrives from 100 to inf s. The trace's arrive from 0 to 6.5 s",
            "start_s",
        ),
    ],
)
def test_an_option_that_cannot_be_used_is_named(
    mooncake: Path, options: str, message: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(f"mooncake:m.jsonl?{options}", mooncake)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_trace_of_any_size_is_only_keys_until_it_is_read(tmp_path: Path) -> None:
    """A billion tokens: they would fill this machine, and nothing but their number is asked for."""
    line = {"timestamp": 0, "input_length": 512 * 2000, "output_length": 1, "hash_ids": list(range(2000))}
    (tmp_path / "m.jsonl").write_text("\n".join([json.dumps(line)] * 1000))
    measured = load("mooncake:m.jsonl", tmp_path).of(Split.MEASURED)
    assert sum(len(p.token_ids or ()) for p in measured) == 1000 * 512 * 2000


def test_reading_a_part_of_the_ids_gives_that_part(mooncake: Path) -> None:
    tokens = load("m.jsonl?block=8", mooncake).prompts[0].token_ids
    assert tokens is not None
    whole = list(tokens)
    assert len(tokens) == len(whole) == 17
    assert (tokens[0], tokens[-1], tokens[3:9]) == (whole[0], whole[-1], whole[3:9])
    assert type(tokens[0]) is int


def test_a_trace_keeps_its_order_and_its_slices_are_stretches(mooncake: Path) -> None:
    """What is in the cache depends on who came before."""
    measured = load("m.jsonl", mooncake).of(Split.MEASURED)
    one, two, three, four = measured
    assert in_order([four, three, two, one], seed=3) == [one, three, two, four]  # two and three come together
    halves = [ordered_slice(measured, seed=3, slice_index=index, slice_count=2) for index in (0, 1)]
    assert [*halves[0], *halves[1]] == list(measured)


def test_blocks_can_be_cut_out_of_prose(mooncake: Path) -> None:
    """The same lengths and shared beginnings, tokens of the given texts only; warm-up has its own texts."""
    made = load("m.jsonl?block=8", mooncake)
    texts = [list(range(start, start + 100)) for start in range(0, 1000, 100)]
    prose = with_prose(made, texts, origin="ten tales")
    one, two, three, four = (ids(p) for p in prose.of(Split.MEASURED))
    assert [len(p.token_ids or ()) for p in prose.prompts] == [len(p.token_ids or ()) for p in made.prompts]
    assert one[:16] == two
    assert one == four
    assert one[:8] == three[:8]
    assert one[8:16] != three[8:16]
    assert one[:8] == list(range(one[0], one[0] + 8))
    used = [{t for p in prose.of(split) for t in ids(p)} for split in (Split.WARM_UP, Split.MEASURED)]
    assert not used[0] & used[1]
    assert prose.synthetic == ""
    assert "ten tales" in prose.source
    with pytest.raises(ConfigError, match="The texts have 60 tokens"):
        with_prose(made, [list(range(60))], origin="a note")
    with pytest.raises(ConfigError, match="no blocks of token ids"):
        with_prose(load_workload("story", seed=1), texts, origin="ten tales")


def test_prose_gives_every_key_another_block(mooncake: Path) -> None:
    """Keys beyond the number of places still differ: the block goes on elsewhere after its beginning."""
    made = with_prose(load("m.jsonl?block=16", mooncake), [list(range(1000))], origin="x")
    tokens = made.prompts[0].token_ids
    assert isinstance(tokens, TokenBlocks)
    source = tokens.source
    blocks = {tuple(source.ids((key,), (16,)).tolist()) for key in range(4000)}
    assert len(blocks) == 4000
    assert source.ids((1500,), (12,)).tolist() == source.ids((1500,), (16,)).tolist()[:12]


TRACE_CSV = "0,2,1,Gamma,1.5,0.3\n100,5,0,,0,0\n200,1.5,1,Weibull,0.7,0.5\n300,0.005,1,Gamma,1,1\n"
DATASET = {
    "0": {"input_tokens": "{10: 0.25, 30: 0.75}", "output_tokens": "{5: 1.0}", "reason_ratio": "{0.0: 1.0}"},
    "100": {"input_tokens": "{}", "output_tokens": "{}", "reason_ratio": "{}"},
    "300": {"input_tokens": "{77: 1.0}", "output_tokens": "{8: 1.0}"},
}


@pytest.fixture
def servegen(tmp_path: Path) -> Path:
    (tmp_path / "c-trace.csv").write_text(TRACE_CSV)
    (tmp_path / "c-dataset.json").write_text(json.dumps(DATASET))
    return tmp_path


def test_a_profile_has_the_requests_that_its_rates_say(servegen: Path) -> None:
    """200 in the first window, none without a pattern, 150 in the third; lengths by the window's histogram."""
    first, third = (
        load(f"servegen:c-trace.csv?start_s={start}&duration_s=100", servegen).of(Split.MEASURED)
        for start in (0, 200)
    )
    assert (len(first), len(third)) == (200, 150)
    for measured in (first, third):
        times = [p.at_s or 0.0 for p in measured]
        assert times == sorted(times)
        assert times[-1] < 100
        assert {p.output_tokens for p in measured} == {5}
    shares = Counter(len(ids(p)) for p in (*first, *third))
    assert set(shares) == {10, 30}
    assert 0.15 < shares[10] / 350 < 0.35
    (servegen / "c-trace.csv").write_text("0,1,1,Gamma,1,1\n300,0.5,1,Gamma,1,1\n")
    last = load("c-trace.csv?start_s=300", servegen)
    assert {(len(ids(p)), p.output_tokens) for p in last.of(Split.MEASURED)} == {(77, 8)}


def test_a_window_without_a_pattern_has_no_arrivals(servegen: Path) -> None:
    with pytest.raises(ConfigError, match="no request arrives from 100 to 150 s"):
        load("servegen:c-trace.csv?start_s=100&duration_s=50", servegen)


def test_a_stretch_has_the_requests_of_the_whole_day(servegen: Path) -> None:
    whole = {p.prompt_id: ids(p) for p in load("servegen:c-trace.csv", servegen).of(Split.MEASURED)}
    part = load("servegen:c-trace.csv?start_s=220&duration_s=40", servegen).of(Split.MEASURED)
    assert part
    assert all(whole[p.prompt_id] == ids(p) for p in part)


def test_the_patterns_spread_is_kept(servegen: Path) -> None:
    """A Weibull with shape 0.4 comes in bursts (cv 3), a Gamma with shape 100 nearly evenly (cv 0.1)."""
    spread = {}
    for pattern, shape in (("Weibull", 0.4), ("Gamma", 100)):
        (servegen / "c-trace.csv").write_text(f"0,40,1,{pattern},{shape},7\n100,0,0,,0,0\n")
        measured = load("servegen:c-trace.csv", servegen).of(Split.MEASURED)
        assert len(measured) == 4000
        gaps = np.diff([p.at_s or 0 for p in measured])
        assert gaps.mean() == pytest.approx(1 / 40, rel=0.05)
        spread[pattern] = gaps.std() / gaps.mean()
    assert 2.3 < spread["Weibull"] < 4
    assert 0.08 < spread["Gamma"] < 0.12


def test_the_rate_can_be_scaled(servegen: Path) -> None:
    assert len(load("servegen:c-trace.csv?rate_scale=0.1&duration_s=100", servegen).of(Split.MEASURED)) == 20


@pytest.mark.parametrize(
    ("trace", "message"),
    [
        ("0,1,1,Gamma,1,1\n1,2\n", "line 2: the line has 2 fields"),
        ("0,1,1,Gama,1,1\n1,1,1,,0,0\n", "line 1: the pattern is 'Gama'"),
        ("0,1,1,Gamma,0,1\n1,1,1,,0,0\n", "line 1: the pattern Gamma has shape 0"),
        ("0,x,1,Gamma,1,1\n1,1,1,,0,0\n", "line 1: 'x' is no number"),
        ("5,1,1,Gamma,1,1\n5,1,1,,0,0\n", "line 2: the window begins at 5 s"),
        ("0,1,1,Gamma,1,1\n", "at least two windows"),
        ("0,1e9,1,Gamma,1,1\n100,0,0,,0,0\n", "about 100,000,000,000 requests"),
    ],
)
def test_a_damaged_profile_is_named_by_line(servegen: Path, trace: str, message: str) -> None:
    (servegen / "c-trace.csv").write_text(trace)
    with pytest.raises(ConfigError, match=message):
        load("servegen:c-trace.csv", servegen)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ('{"0": {"input_tokens": "{}", "output_tokens": "{}"}}', "line 1: requests arrive at 0 s, but"),
        (
            '{"0": {"input_tokens": "{1.5: 1}", "output_tokens": "{1: 1}"}}',
            "window 0: input_tokens is no hist",
        ),
        ('{"0": {"input_tokens": "open()", "output_tokens": "{1: 1}"}}', "window 0: input_tokens is no hist"),
        ('{"0": {"image_tokens": "{}"}}', "no ServeGen dataset: Object missing"),
        ('{"x": {"input_tokens": "{}", "output_tokens": "{}"}}', "no ServeGen dataset"),
    ],
)
def test_a_damaged_dataset_is_named_by_window(servegen: Path, dataset: str, message: str) -> None:
    (servegen / "c-dataset.json").write_text(dataset)
    with pytest.raises(ConfigError, match=message):
        load("servegen:c-trace.csv", servegen)


def test_a_profile_without_its_dataset_is_refused(servegen: Path) -> None:
    (servegen / "c-dataset.json").unlink()
    with pytest.raises(ConfigError, match=r"c-dataset\.json: the lengths cannot be read"):
        load("servegen:c-trace.csv", servegen)
    (servegen / "c.csv").write_text(TRACE_CSV)
    with pytest.raises(ConfigError, match=r"is named <client>-trace\.csv"):
        load("servegen:c.csv", servegen)
