"""`kilotoken models`: what is listed, made and removed; downloads, conversions and quantising are faked."""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from accounting.errors import Interrupted, ModelError
from serving.models.cache import converted_dir, make_atomically
from serving.models.packaged import PACKAGED_MODELS
from workbench import models_command
from workbench.models import ModelKind, model_on_disk, resolve_model
from workbench.quantise_model import quantise_model

COMMIT = "d" * 40


def write_checkpoint(directory: Path) -> None:
    """The smallest directory that passes as a checkpoint: one weight of six numbers."""
    directory.mkdir(parents=True, exist_ok=True)
    header = json.dumps({"w": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]}}).encode()
    (directory / "config.json").write_text("{}")
    (directory / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(12))
    (directory / "tokenizer.json").write_text("{}")


class FakeQuantiser:
    """Stands in for the quantiser's child: writes a checkpoint where the real one would, or fails."""

    def __init__(self, said: Mapping[str, Any], status: int = 0) -> None:
        self.said, self.status, self.argv = said, status, []  # type: Mapping[str, Any], int, list[str]

    def __call__(
        self, argv: Sequence[str], *, log: Path, on_tick: Callable[[], None] = lambda: None, **_: object
    ) -> int:
        self.argv = list(argv)
        write_checkpoint(Path(argv[-1]))
        log.write_text(json.dumps(self.said) + "\n")
        return self.status


LIBRARY = {"result": {"library": "compressed-tensors 1.0"}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A cache in which stories-15m is ready."""
    model = PACKAGED_MODELS["stories-15m"]
    make_atomically(converted_dir(model, tmp_path / "cache"), write_checkpoint, name=model.name)
    return tmp_path / "cache"


def quantise(root: Path, text: str = "stories-15m", run: FakeQuantiser | None = None, **changes: Any) -> Any:
    """Quantise with a fake child."""
    values = {"scheme_name": "int8", "new_name": None, "device": "cpu", **changes}
    return quantise_model(
        text,
        base_dir=root.parent,
        root=root,
        report=lambda *_: None,
        run=run or FakeQuantiser(LIBRARY),
        **values,
    )


def rows(root: Path) -> dict[str, dict[str, Any]]:
    """The JSON document by name, with an empty hub cache."""
    return {row["name"]: row for row in models_command.document(root, root / "no-hub")}


def test_copy_is_made_and_served_under_its_name(root: Path) -> None:
    """It knows parent, licence, parameters and scheme, and resolves like any model."""
    child = FakeQuantiser(LIBRARY)
    copy = quantise(root, run=child)
    assert child.argv[2:5] == ["-m", "drafts.quantise_checkpoint", "int8"]
    assert (copy.name, copy.parent, copy.licence, copy.parameters) == (
        "stories-15m-int8",
        "stories-15m",
        "MIT",
        6,
    )
    resolved = resolve_model(copy.name, base_dir=root.parent, report=lambda *_: None, root=root)
    assert (resolved.kind, resolved.licence, resolved.served_from) == (
        ModelKind.COPY,
        "MIT",
        str(copy.directory),
    )
    assert resolved.revision == f"sha256:{copy.sha256}"
    assert "int8 (compressed-tensors 1.0 W8A8)" in resolved.source
    assert model_on_disk(copy.name, base_dir=root.parent, root=root) == copy.directory
    with pytest.raises(ModelError, match="is quantised already"):
        quantise(root, copy.name)


def test_copy_of_a_local_directory_names_it(root: Path) -> None:
    """A parent that nothing pins is named by its path."""
    write_checkpoint(root.parent / "mine")
    copy = quantise(root, "./mine", new_name="smaller")
    assert (copy.name, copy.parent) == ("smaller", str(root.parent / "mine"))
    assert (copy.parent_revision, copy.licence) == (None, "not stated")


def test_taken_names_are_refused_before_the_work(root: Path) -> None:
    """A whole copy is not replaced; a damaged one is."""
    directory = quantise(root).directory
    child = FakeQuantiser(LIBRARY)
    with pytest.raises(ModelError, match="There is a copy stories-15m-int8 already"):
        quantise(root, run=child)
    with pytest.raises(ModelError, match="cannot name a copy"):
        quantise(root, new_name="tinyllama-1.1b-chat", run=child)
    assert child.argv == []
    (directory / "config.json").unlink()
    assert rows(root)["stories-15m-int8"]["state"] == "damaged"
    quantise(root, run=child)
    assert rows(root)["stories-15m-int8"]["state"] == "ready"


def test_failed_quantising_leaves_nothing(root: Path) -> None:
    """The cause is the child's, and the name stays free."""
    with pytest.raises(ModelError, match="stories-15m could not be quantised: odd shapes"):
        quantise(root, run=FakeQuantiser({"error": "odd shapes"}, status=1))
    assert "stories-15m-int8" not in rows(root)
    assert [path for path in (root / "copies").iterdir() if path.is_dir()] == []


def test_list_tells_ready_missing_and_damaged(root: Path) -> None:
    """Sizes are what is there, or what making it takes."""
    by_name = rows(root)
    assert by_name["stories-15m"]["state"] == "ready"
    assert by_name["stories-15m"]["needed_bytes"] is None
    assert by_name["stories-15m"]["disk_bytes"] > 12
    missing = by_name["tinyllama-1.1b-chat"]
    assert (missing["state"], missing["disk_bytes"], missing["directory"]) == ("not fetched", None, None)
    assert missing["needed_bytes"] == PACKAGED_MODELS["tinyllama-1.1b-chat"].work_bytes
    (converted_dir(PACKAGED_MODELS["stories-15m"], root) / "config.json").unlink()
    damaged = rows(root)["stories-15m"]
    assert (damaged["state"], bool(damaged["problem"])) == ("damaged", True)


def test_list_shows_hub_snapshots(root: Path, tmp_path: Path) -> None:
    """A whole one with its parameters, half a one with what is missing."""
    hub = tmp_path / "hub"
    write_checkpoint(hub / "models--org--whole" / "snapshots" / COMMIT)
    half = hub / "models--org--half" / "snapshots" / COMMIT
    write_checkpoint(half)
    (half / "model.safetensors").unlink()
    by_name = {row["name"]: row for row in models_command.document(root, hub)}
    assert (by_name["org/whole"]["state"], by_name["org/whole"]["parameters"]) == ("ready", 6)
    assert by_name["org/half"]["state"] == "damaged"
    assert "no weights" in by_name["org/half"]["problem"]
    console = Console(file=io.StringIO(), width=250)
    console.print(models_command.table(root, hub))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for words in (
        "1,100 M",
        "Apache-2.0",
        "needs 2.85 GB",
        "not fetched",
        "org/whole",
        "model hub, commit dddddddddddd",
    ):
        assert words in shown


def remove(name: str, root: Path, *, agreed: bool = True, hub: Path | None = None) -> list[str]:
    """Remove; returns the questions that were asked."""
    asked: list[str] = []

    def confirm(question: str) -> bool:
        asked.append(question)
        return agreed

    console = Console(file=io.StringIO())
    models_command.remove(
        name,
        root=root,
        hub_root=hub or root / "no-hub",
        base_dir=root.parent,
        confirm=confirm,
        console=console,
    )
    return asked


def test_remove_asks_and_obeys(root: Path) -> None:
    """No keeps everything, yes removes what was named and nothing else."""
    quantise(root)
    with pytest.raises(Interrupted, match="nothing was removed"):
        remove("stories-15m", root, agreed=False)
    assert rows(root)["stories-15m"]["state"] == "ready"
    (question,) = remove("stories-15m", root)
    assert str(converted_dir(PACKAGED_MODELS["stories-15m"], root)) in question
    assert rows(root)["stories-15m"]["state"] == "not fetched"
    assert rows(root)["stories-15m-int8"]["state"] == "ready", "a copy does not need its parent"
    remove("stories-15m-int8", root)
    assert "stories-15m-int8" not in rows(root)


def test_remove_takes_a_hub_repository_whole(root: Path, tmp_path: Path) -> None:
    """All snapshots and blobs go; neighbours stay."""
    hub = tmp_path / "hub"
    for name in ("one", "other"):
        write_checkpoint(hub / f"models--org--{name}" / "snapshots" / COMMIT)
    with pytest.raises(ModelError, match="with all its revisions"):
        remove("org/one@main", root, hub=hub)
    remove("org/one", root, hub=hub)
    assert [path.name for path in hub.iterdir()] == ["models--org--other"]


def test_what_is_not_in_the_cache_is_not_removed(root: Path) -> None:
    """A directory of the user's is refused even inside the cache's parent; a missing model is an error."""
    write_checkpoint(root.parent / "mine")
    for name in ("./mine", str(root.parent / "mine"), "mine"):
        with pytest.raises(ModelError, match="your own directory"):
            remove(name, root)
    assert (root.parent / "mine" / "config.json").exists()
    for name in ("tinyllama-1.1b-chat", "org/never"):
        with pytest.raises(ModelError, match="nothing to remove"):
            remove(name, root)
    with pytest.raises(ModelError, match="nearest name is 'stories-15m'"):
        remove("storys-15m", root)
