"""Settings of a training from the command line are those that the trainers know."""

import pytest

from accounting.errors import ConfigError
from workbench.drafting.settings import OWN, SHARED, parse_settings

#: What `draft make` itself decides.
DECIDED = {"target", "trained", "held_out", "directory", "budget_s", "k", "seed", "about", "start"}


def test_values_are_numbers_lists_and_words() -> None:
    given = ["learning-rate=1e-3", "layers=[0, 5]", "early=tv"]
    assert parse_settings(given, "distil") == (("learning_rate", 1e-3), ("layers", [0, 5]), ("early", "tv"))


@pytest.mark.parametrize("text", ["learnin_rate=1", "epochs", "vocabulary_sizes=[1]"])
def test_what_distilling_does_not_know_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no setting of distil"):
        parse_settings([text], "distil")


def test_the_nearest_name_is_said() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_settings(["learnin_rate=1"], "eagle3")
    assert "learning_rate=" in caught.value.hint


def test_the_lists_are_those_of_the_trainers() -> None:
    pytest.importorskip("torch", reason="comes with the engine")
    from drafts.distil.train import DistilJob
    from drafts.eagle3.train import Eagle3Job

    for kind, job in (("distil", DistilJob), ("eagle3", Eagle3Job)):
        assert set(job.__struct_fields__) - DECIDED == {*SHARED, *OWN[kind]}
