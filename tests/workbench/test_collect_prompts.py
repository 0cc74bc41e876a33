from collections.abc import Sequence
from pathlib import Path

import pytest

from accounting.errors import ConfigError
from loadtest.workloads import Message, Prompt, Split, Workload, load_workload
from workbench.collect_prompts import Chosen, Side, choose


def workload(name: str, *prompts: tuple[str, Split, str]) -> Workload:
    """(template, split, text) -> a workload."""
    made = tuple(
        Prompt(f"{name}-{n}", name, template, split, (Message("user", text),))
        for n, (template, split, text) in enumerate(prompts)
    )
    return Workload(name, "", "", made)


def templates(chosen: Chosen, side: Side) -> set[str]:
    return {f"{s.prompt.workload}/{s.prompt.template}" for s in chosen.prompts if s.side is side}


def ids(chosen: Chosen) -> list[str]:
    return [sided.prompt.prompt_id for sided in chosen.prompts]


def chosen(*workloads: Workload, count: int | None = None, share: float = 0.2) -> Chosen:
    return choose(workloads, count=count, heldout_share=share)


@pytest.mark.parametrize("names", [["chat"], ["copy", "story"], ["chat*0.5+copy*0.5"]])
def test_generated_workloads_keep_their_marks_and_what_they_measure_with_is_not_asked(
    names: Sequence[str],
) -> None:
    loaded = [load_workload(name, seed=1) for name in names]
    found = chosen(*loaded, count=200)
    assert len(found.prompts) == 200 * len(names)
    assert {s.prompt.split for s in found.prompts} == {Split.TRAIN, Split.HELD_OUT}
    assert all((s.prompt.split is Split.TRAIN) == (s.side is Side.TRAIN) for s in found.prompts)
    assert not templates(found, Side.TRAIN) & templates(found, Side.HELD_OUT)
    assert "is not asked" in found.divisions[0]


def test_fewer_prompts_are_a_beginning_with_both_parts_in_proportion() -> None:
    chat = load_workload("chat", seed=1)
    few, many = chosen(chat, count=20), chosen(chat, count=100)
    assert ids(many)[:20] == ids(few)
    share = len(chat.of(Split.HELD_OUT)) / len(chat.of(Split.TRAIN) + chat.of(Split.HELD_OUT))
    held = sum(s.side is Side.HELD_OUT for s in few.prompts)
    assert held == pytest.approx(20 * share, abs=1)


def test_a_file_without_marks_is_divided_by_template_and_said_to_be_spent(tmp_path: Path) -> None:
    lines = [
        f'{{"prompt": "question {n} of {t}", "template": "t{t}"}}\n' for t in range(50) for n in range(3)
    ]
    (tmp_path / "mine.jsonl").write_text("".join(lines))
    mine = load_workload("mine.jsonl", seed=1, base_dir=tmp_path)
    found = chosen(mine)
    assert len(found.prompts) == 150
    train, held = templates(found, Side.TRAIN), templates(found, Side.HELD_OUT)
    assert not train & held
    assert 3 <= len(held) <= 20
    assert "must not be measured with this file" in found.divisions[0]
    assert templates(chosen(mine, count=40), Side.HELD_OUT) <= held, "no template changes sides"
    warm_up = {f"mine/{p.template}" for p in mine.of(Split.WARM_UP)}
    assert held != warm_up


def test_training_prompts_without_held_out_ones_are_divided_and_the_measured_left_alone() -> None:
    marked = [(f"t{n}", Split.TRAIN, f"train {n}") for n in range(20)]
    found = chosen(workload("w", *marked, ("m", Split.MEASURED, "measured")))
    assert len(found.prompts) == 20
    assert {s.side for s in found.prompts} == set(Side)
    assert "marks none as held out" in found.divisions[0]


def test_one_template_can_only_train() -> None:
    alone = workload("w", ("t", Split.MEASURED, "one"), ("t", Split.MEASURED, "two"))
    with pytest.raises(ConfigError, match="all prompts are of one template") as raised:
        chosen(alone)
    assert "--heldout-share 0" in raised.value.hint
    assert {s.side for s in chosen(alone, share=0.0).prompts} == {Side.TRAIN}


def test_equal_requests_are_asked_once_and_counted() -> None:
    first = workload("a", ("t", Split.TRAIN, "same"), ("u", Split.HELD_OUT, "other"))
    second = workload("b", ("v", Split.TRAIN, "own"), ("w", Split.HELD_OUT, "same"))
    found = chosen(first, second)
    assert (sorted(ids(found)), found.repeated) == (["a-0", "a-1", "b-0"], 1)


def test_two_prompts_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two workloads have a prompt 'a-0'"):
        chosen(
            workload("a", ("t", Split.TRAIN, "x"), ("u", Split.HELD_OUT, "y")),
            workload("a", ("t", Split.TRAIN, "p"), ("u", Split.HELD_OUT, "q")),
        )


def test_tokens_without_a_meaning_are_refused() -> None:
    with pytest.raises(ConfigError, match="answers to it say nothing"):
        chosen(load_workload("synthetic:input=20,output=5,prompts=10", seed=1))
