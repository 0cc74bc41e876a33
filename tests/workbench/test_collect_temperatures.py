"""A declared mix of temperatures: dealt out by hash, for training answers alone, and no workload starved."""

import pytest

from accounting.errors import ConfigError
from loadtest.workloads import load_workload
from loadtest.workloads.prompt import Sampling
from workbench.collect_prompts import Side, SidedPrompt, choose
from workbench.collect_temperatures import TemperatureMix, by_turns, parse_mix, with_temperatures

MIX = parse_mix("0:0.7, 0.8:0.3")


def test_the_shares_are_met_and_held_out_answers_stay_greedy() -> None:
    chosen = choose([load_workload("chat", seed=1)], count=None, heldout_share=0.2)
    asked = with_temperatures(chosen, MIX, seed=1)
    hot = [sided for sided in asked.prompts if (sided.prompt.sampling or Sampling()).temperature]
    trained = [sided for sided in asked.prompts if sided.side is Side.TRAIN]
    assert 0.25 < len(hot) / len(trained) < 0.35
    assert all(sided.side is Side.TRAIN and sided.prompt.sampling.temperature == 0.8 for sided in hot)  # type: ignore[union-attr]
    assert len({sided.prompt.sampling.seed for sided in hot}) > 0.99 * len(hot), "each its own seed"  # type: ignore[union-attr]
    assert with_temperatures(chosen, MIX, seed=1) == asked
    assert with_temperatures(chosen, TemperatureMix(), seed=1) == chosen


@pytest.mark.parametrize(
    "text", ["", "0", "0:0.5", "0:0.5,0:0.5", "3:1", "-1:1", "0:0,1:1", "a:b", "0:0.6,0.8:0.3"]
)
def test_what_is_no_mix_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no mix"):
        parse_mix(text)


def test_a_mix_is_written_as_it_is_read() -> None:
    assert str(MIX) == "0:0.7,0.8:0.3"
    assert parse_mix(str(MIX)) == MIX
    assert str(TemperatureMix()) == "0:1"


def test_workloads_take_turns() -> None:
    workloads = [load_workload(name, seed=1) for name in ("chat", "story")]
    chosen = choose(workloads, count=20, heldout_share=0.2)
    turns: list[SidedPrompt] = by_turns(chosen.prompts)
    assert sorted(p.prompt.prompt_id for p in turns) == sorted(p.prompt.prompt_id for p in chosen.prompts)
    assert [p.prompt.workload for p in turns[:6]] == ["chat", "story"] * 3
    own = [p for p in turns if p.prompt.workload == "chat"]
    assert own == [p for p in chosen.prompts if p.prompt.workload == "chat"], "each workload's order stays"
