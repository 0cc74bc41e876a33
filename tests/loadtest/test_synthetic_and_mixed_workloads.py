import json
import statistics
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from accounting.errors import ConfigError
from loadtest.workloads import Split, Workload, load_workload
from loadtest.workloads.prefix_hits import implied_hit_share


def load(name: str, *, seed: int = 1) -> Workload:
    return load_workload(name, seed=seed)


def test_groups_share_their_declared_beginning_and_no_more() -> None:
    """Exactly 16 tokens in common within a group, none at all between groups."""
    made = load("synthetic:input=40,output=9,shared_prefix=16,groups=3,prompts=60")
    measured = made.of(Split.MEASURED)
    beginnings = defaultdict(set)
    for prompt in measured:
        ids = list(prompt.token_ids or ())
        assert (len(ids), prompt.output_tokens) == (40, 9)
        beginnings[prompt.template].add(tuple(ids[:16]))
    assert len(measured) == 60
    assert {len(found) for found in beginnings.values()} == {1}
    assert len(set.union(*beginnings.values())) == len(beginnings) == 3
    assert len({tuple((p.token_ids or ())[:20]) for p in measured}) == 60
    assert implied_hit_share(measured, block_tokens=16).hit_tokens == (60 - 3) * 16
    assert "first 16 tokens in common within each of 3 groups" in made.description


def test_the_warm_up_of_a_synthetic_workload_has_tokens_of_its_own() -> None:
    made = load("synthetic:input=uniform(2,40),output=9,shared_prefix=1")
    tokens = [
        {t for p in made.of(split) for t in p.token_ids or ()} for split in (Split.WARM_UP, Split.MEASURED)
    ]
    assert all(tokens)
    assert not tokens[0] & tokens[1]


@pytest.mark.parametrize(
    ("drawn", "mean", "sd"),
    [
        ("512", 512, 0),
        ("normal(512,64)", 512, 64),
        ("lognormal(512,256)", 512, 256),
        ("uniform(100,300)", 200, 58),
    ],
)
def test_lengths_have_the_declared_mean_and_spread(drawn: str, mean: float, sd: float) -> None:
    """Mean and standard deviation are those of the length itself, of the log-normal too."""
    prompts = load(f"synthetic:input={drawn},output={drawn},prompts=4000").of(Split.MEASURED)
    for lengths in ([len(p.token_ids or ()) for p in prompts], [p.output_tokens or 0 for p in prompts]):
        assert statistics.mean(lengths) == pytest.approx(mean, rel=0.05)
        assert statistics.pstdev(lengths) == pytest.approx(sd, rel=0.12)
        assert min(lengths) >= 1
    assert min(len(p.token_ids or ()) for p in load("synthetic:input=normal(2,9),output=1").prompts) == 1


def test_short_prompts_that_came_out_equal_are_dropped_and_counted() -> None:
    made = load("synthetic:input=1,output=4,vocab=64,prompts=500")
    contents = [tuple(p.token_ids or ()) for p in made.prompts]
    assert len(contents) == len(set(contents))
    measured = len(made.of(Split.MEASURED))
    assert 10 < measured < 64
    assert f"{500 - measured} equal to another one dropped" in made.description
    words = [p.messages for p in load("synthetic:input=1,output=4,text=words,prompts=3000").prompts]
    assert len(words) == len(set(words))


def test_a_synthetic_workload_is_its_name_and_seed() -> None:
    name = "synthetic:input=uniform(10,20),output=8,prompts=20"
    assert load(name) == load(name)
    assert [list(p.token_ids or ()) for p in load(name).prompts] != [
        list(p.token_ids or ()) for p in load(name, seed=2).prompts
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("input=5", "output= is missing"),
        ("input=5,output=5,groups=3", "groups have a beginning in common"),
        ("input=5,output=5,shared_prefix=5", "leaves nothing of input=5"),
        ("input=0,output=5", "input=0 cannot be used"),
        ("input=gamma(1,2),output=5", r"input=gamma\(1,2\) cannot be used. Allowed: a whole number, normal"),
        ("input=normal(0,2),output=5", "a mean of at least 1"),
        ("input=normal(9,nan),output=5", "cannot be used"),
        ("input=uniform(9,2),output=5", "1 <= least <= most"),
        ("input=5,output=5,promts=5", "unknown option 'promts'"),
        ("input=5,output=5,vocab=10", "at least 64"),
    ],
)
def test_lengths_that_cannot_be_are_refused(options: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(f"synthetic:{options}")


def test_a_mix_has_its_parts_in_their_shares_all_along() -> None:
    """Any stretch of 50 has 35 and 15 to within a few; nothing marches in a fixed pattern."""
    made = load("chat*0.7+copy*0.3")
    measured = made.of(Split.MEASURED)
    assert len(measured) > 900
    for start in range(0, len(measured) - 50, 50):
        counts = Counter(p.workload for p in measured[start : start + 50])
        assert abs(counts["chat"] - 35) <= 3
    pattern = "".join(p.workload[1] for p in measured)
    assert pattern[:20] != pattern[20:40] or pattern[:20] != pattern[40:60]
    assert len({p.prompt_id for p in made.prompts}) == len(made.prompts)
    assert set(measured) <= {p for name in ("chat", "copy") for p in load(name).prompts}
    assert made == load("chat*0.7+copy*0.3") != load("chat*0.7+copy*0.3", seed=2)


def test_a_mix_ends_where_a_part_has_no_more(tmp_path: Path) -> None:
    """And says so; weights need not sum to 1."""
    rows = [{"prompt": f"{i}", "split": "warm_up" if i < 10 else "measured"} for i in range(40)]
    (tmp_path / "few.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    made = load_workload("chat*30+few.jsonl*10", seed=1, base_dir=tmp_path)
    counts = Counter(p.workload for p in made.of(Split.MEASURED))
    assert counts["few"] == 30
    assert abs(counts["chat"] - 90) <= 1
    assert "ending where few has no more" in made.description
    assert made.of(Split.TRAIN) == ()
    assert made.name == "chat*30+few*10"


def test_a_mix_does_not_depend_on_where_its_files_lie(tmp_path: Path) -> None:
    rows = "\n".join(json.dumps({"prompt": f"{i}"}) for i in range(40))
    orders = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        (folder / "few.jsonl").write_text(rows)
        orders.append([p.prompt_id for p in load(f"story*0.5+{folder}/few.jsonl*0.5").prompts])
    assert orders[0] == orders[1]


def test_what_two_parts_have_is_in_the_mix_once(tmp_path: Path) -> None:
    """Otherwise a prompt that one part warms up with could be measured in the other."""
    for name, numbers in (("a", range(40)), ("b", range(20, 80))):
        rows = "\n".join(json.dumps({"prompt": f"{i}", "template": f"{name}{i}"}) for i in numbers)
        (tmp_path / f"{name}.jsonl").write_text(rows)
    made = load_workload("a.jsonl*1+b.jsonl*1", seed=1, base_dir=tmp_path)
    contents = [p.messages for p in made.prompts]
    assert len(contents) == len(set(contents))
    assert "20 prompts that two parts have counted once" in made.description


def test_a_trace_in_a_mix_keeps_its_tokens_and_loses_its_times(tmp_path: Path) -> None:
    line = {"timestamp": 5, "input_length": 512, "output_length": 7, "hash_ids": [0]}
    rows = [{**line, "hash_ids": [i]} for i in range(50)]
    (tmp_path / "m.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    made = load_workload("mooncake:m.jsonl?block=32*0.5+story*0.5", seed=1, base_dir=tmp_path)
    traced = [p for p in made.of(Split.MEASURED) if p.workload == "mooncake-m"]
    assert len(traced) == 50
    assert all(p.at_s is None and len(p.token_ids or ()) == 32 and p.output_tokens == 7 for p in traced)
    assert "mooncake-m: token ids drawn" in made.synthetic


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("chat*0+copy*1", "the weight '0' cannot be used", "shares"),
        ("chat*-1+copy*1", "the weight '-1' cannot be used", ""),
        ("chat*nan+copy*1", "the weight 'nan' cannot be used", ""),
        ("chat*much+copy*1", "the weight 'much' cannot be used", ""),
        ("chat*0.7+copy", "the part 'copy' of the mix has no weight", "chat*0.7+copy*0.3"),
        ("chat*0.7+", "nothing stands behind the last +", ""),
        ("chat*1+chat*2", "two parts of the mix are named 'chat'", "sum of the weights"),
        ("chat*1+storys*2", "no workload 'storys'", "'story'"),
        ("chat+copy", "no workload 'chat+copy'", "chat*1+copy*1"),
    ],
)
def test_a_mix_that_cannot_be_is_refused(name: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(name)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_mix_with_nothing_left_to_measure_is_refused(tmp_path: Path) -> None:
    rows = "\n".join(json.dumps({"prompt": f"{i}"}) for i in range(40))
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text(rows)
    with pytest.raises(ConfigError, match=r"no prompt to measure: .*where b has no more"):
        load_workload("a.jsonl*1+b.jsonl*1", seed=1, base_dir=tmp_path)
