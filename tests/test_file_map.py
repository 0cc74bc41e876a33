import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("accounting", "serving", "drafts", "loadtest", "dashboards", "workbench")
FOLDERS = (*PACKAGES, "experiments", "benchmarks")


def tracked() -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *FOLDERS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = {_row(path) for path in listed.stdout.splitlines() if (ROOT / path).exists()}
    return {path for path in paths if Path(path).name not in ("__init__.py", "py.typed")}


def _row(path: str) -> str:
    """A draft that ships is one row, whatever files it has."""
    parts = path.split("/")
    return "/".join(parts[:3]) if parts[:2] == ["drafts", "zoo"] and len(parts) > 3 else path


def mapped() -> dict[str, str]:
    """Path -> description, from the README's file map."""
    text = (ROOT / "README.md").read_text().split("## File map", 1)[1]
    return dict(re.findall(r"^\| `([^`]+)` \| (.+) \|$", text, re.M))


def test_the_file_map_names_every_file_and_no_other() -> None:
    missing, gone = tracked() - set(mapped()), set(mapped()) - tracked()
    assert not missing, f"add to README's file map: {sorted(missing)}"
    assert not gone, f"remove from README's file map: {sorted(gone)}"


def test_every_line_of_the_map_says_something() -> None:
    for path, words in mapped().items():
        assert len(words) > 15, path


def test_no_file_is_named_after_nothing() -> None:
    forbidden = {"utils", "util", "common", "helpers", "helper", "manager", "misc"}
    assert not [path for path in tracked() if Path(path).stem in forbidden]
