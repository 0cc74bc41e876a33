from dataclasses import replace
from pathlib import Path

import pytest

from serving.unrecognised import engine_source, unrecognised
from serving.vllm_names import KNOWN, NEWEST, Option, minor, names_for, version_warning

SOURCE = engine_source()


@pytest.mark.skipif(SOURCE is None, reason="no vLLM is installed: `make setup` installs it")
def test_the_installed_engine_holds_every_name_of_the_table() -> None:
    assert SOURCE is not None
    assert unrecognised(NEWEST, SOURCE).sentence == ""


@pytest.mark.skipif(SOURCE is None, reason="no vLLM is installed: `make setup` installs it")
def test_a_flag_or_metric_that_vanished_is_named() -> None:
    assert SOURCE is not None
    older = replace(
        NEWEST,
        options=(*NEWEST.options, Option("batching.gone", "--gone-flag")),
        metrics=(*NEWEST.metrics, "vllm:gone_tokens_total"),
    )
    found = unrecognised(older, SOURCE)
    assert found.flags == ("--gone-flag",)
    assert found.metrics == ("vllm:gone_tokens_total",)
    assert found.sentence == "not found in its source: flags --gone-flag; metrics vllm:gone_tokens_total"


def test_a_source_that_is_not_there_recognises_nothing(tmp_path: Path) -> None:
    assert len(unrecognised(NEWEST, tmp_path).flags) == len(NEWEST.options) + 2


def test_an_unknown_version_is_served_with_the_newest_names_and_a_warning() -> None:
    assert names_for("0.32.0+cpu") is KNOWN["0.32"]
    assert version_warning("0.32.4") == ""
    assert names_for("0.41.0") is NEWEST
    assert "vLLM 0.41.0 is not a version that kilotoken was tested with (0.32)" in version_warning("0.41.0")
    assert minor("0.32.0+cpu") == "0.32"
    assert "does not say which vLLM" in version_warning(None)
