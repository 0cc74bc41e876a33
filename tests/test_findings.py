"""docs/findings.md says what the committed documents say, and nothing else."""

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "findings.md"


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "findings_tables", ROOT / "benchmarks" / "findings_tables.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_table_is_the_one_its_document_makes(tables: ModuleType) -> None:
    """`python benchmarks/findings_tables.py` writes them anew."""
    page = PAGE.read_text()
    assert tables.filled(page) == page
    assert len(re.findall("<!-- table: ", page)) >= 9


def test_every_experiment_of_the_page_ships_and_was_run_whole(tables: ModuleType) -> None:
    for name in re.findall(r"<!-- table: ([\w-]+)-2-core-cpu -->", PAGE.read_text()):
        if name.startswith("quality-"):
            continue
        document = json.loads((ROOT / "benchmarks" / "results" / f"{name}-2-core-cpu.json").read_text())
        assert (ROOT / "experiments" / f"{name}.yaml").is_file()
        assert document["complete"], name
        assert not Path(document["run"]).is_absolute(), "a result names no path of one machine"


def test_a_changed_figure_is_noticed(tables: ModuleType, tmp_path: Path) -> None:
    (document,) = sorted((ROOT / "benchmarks" / "results").glob("prefix-cache-*.json"))
    changed: Any = json.loads(document.read_text())
    changed["cells"][0]["output_tokens_per_s"] += 5
    for path in (ROOT / "benchmarks" / "results").glob("*.json"):
        (tmp_path / path.name).write_text(path.read_text())
    (tmp_path / document.name).write_text(json.dumps(changed))
    page = PAGE.read_text()
    assert tables.filled(page, tmp_path) != page
