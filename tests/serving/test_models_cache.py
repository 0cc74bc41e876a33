"""The cache of converted models: whole or absent, one builder at a time."""

import errno
import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from accounting.errors import MachineError, ModelError
from serving.models.cache import (
    CONVERTER_VERSION,
    cache_root,
    converted_dir,
    is_complete,
    make_atomically,
)
from serving.models.packaged import PACKAGED_MODELS

ROOT = Path(__file__).resolve().parents[2]


def write_model(directory: Path) -> None:
    """A build that writes one file."""
    (directory / "sub").mkdir()
    (directory / "sub" / "weights").write_bytes(b"12345")


def partials(directory: Path) -> list[Path]:
    """What unfinished builds left beside the directory."""
    return list(directory.parent.glob(f".{directory.name}.partial-*"))


def test_cache_root_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own variable comes first, then the XDG one, then the home directory."""
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_root({"KILOTOKEN_CACHE": "/k", "XDG_CACHE_HOME": "/x"}) == Path("/k")
    assert cache_root({"KILOTOKEN_CACHE": "~/k"}) == Path("/home/someone/k")
    assert cache_root({"KILOTOKEN_CACHE": "", "XDG_CACHE_HOME": "/x"}) == Path("/x/kilotoken")
    assert cache_root({}) == Path("/home/someone/.cache/kilotoken")


def test_directory_name_changes_with_the_source() -> None:
    """Another source file never meets an older conversion."""
    model = PACKAGED_MODELS["stories-15m"]
    directory = converted_dir(model, Path("/cache"))
    assert directory.parent == Path("/cache/models")
    assert directory.name.startswith("stories-15m-0.1.0-597a6652b5e5")
    assert converted_dir(replace(model, sha256="0" * 64), Path("/cache")) != directory


def test_made_directory_is_complete_and_not_made_again(tmp_path: Path) -> None:
    """The second call finds the manifest and does nothing."""
    directory = tmp_path / "models" / "m"
    make_atomically(directory, write_model, name="m", source_sha256="abc")
    assert is_complete(directory)
    manifest = json.loads((directory / "manifest.json").read_text())
    assert (manifest["name"], manifest["source_sha256"]) == ("m", "abc")
    assert manifest["converter_version"] == CONVERTER_VERSION
    assert manifest["files"]["sub/weights"]["bytes"] == 5
    make_atomically(directory, lambda _: pytest.fail("built twice"))
    assert partials(directory) == []


def test_damaged_directory_is_made_again(tmp_path: Path) -> None:
    """A file that changed size makes the directory incomplete."""
    directory = tmp_path / "m"
    make_atomically(directory, write_model)
    (directory / "sub" / "weights").write_bytes(b"1")
    assert not is_complete(directory)
    make_atomically(directory, write_model)
    assert is_complete(directory)


@pytest.mark.parametrize("manifest", [None, "", "[]", "{}", '{"converter_version": -1, "files": {}}'])
def test_incomplete(manifest: str | None, tmp_path: Path) -> None:
    """No manifest, a damaged one and one of another converter all mean: not complete."""
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    assert not is_complete(tmp_path)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failing_build_leaves_nothing(error: type[BaseException], tmp_path: Path) -> None:
    """Neither an error nor Ctrl-C leaves files."""
    directory = tmp_path / "m"

    def build(partial: Path) -> None:
        write_model(partial)
        raise error

    with pytest.raises(error):
        make_atomically(directory, build)
    assert not directory.exists()
    assert partials(directory) == []


def test_leftover_of_a_killed_process_is_removed(tmp_path: Path) -> None:
    """SIGKILL leaves a partial directory that the next build removes."""
    directory = tmp_path / "m"
    code = (
        "import os, signal, sys; from pathlib import Path; from serving.models.cache import make_atomically\n"
        "def build(partial):\n"
        "    (partial / 'half').write_text('x'); os.kill(os.getpid(), signal.SIGKILL)\n"
        "make_atomically(Path(sys.argv[1]), build)\n"
    )
    child = subprocess.run([sys.executable, "-c", code, str(directory)], cwd=ROOT, check=False)
    assert child.returncode == -9
    assert not directory.exists(), "a half-made directory never has the final name"
    assert len(partials(directory)) == 1
    make_atomically(directory, write_model)
    assert is_complete(directory)
    assert partials(directory) == []


def test_second_builder_waits_and_builds_nothing(tmp_path: Path) -> None:
    """Two at once: one converts, the other says that it waits, and uses the result."""
    directory = tmp_path / "m"
    building, waiting = threading.Event(), threading.Event()
    builds: list[str] = []

    def slow_build(partial: Path) -> None:
        building.set()
        assert waiting.wait(30)
        write_model(partial)
        builds.append("first")

    first = threading.Thread(target=make_atomically, args=(directory, slow_build))
    first.start()
    assert building.wait(30)
    make_atomically(directory, lambda _: builds.append("second"), on_wait=waiting.set)
    first.join(30)
    assert builds == ["first"]
    assert is_complete(directory)


def test_too_little_space_names_both_numbers(tmp_path: Path) -> None:
    """The space is checked before anything is fetched."""
    with pytest.raises(ModelError, match=r"needs 2,000 bytes .* has 1,999 free") as caught:
        make_atomically(tmp_path / "m", write_model, needed_bytes=2000, free_bytes=lambda _: 1999)
    assert "KILOTOKEN_CACHE" in caught.value.hint
    assert not (tmp_path / "m").exists()


def test_disk_that_becomes_full(tmp_path: Path) -> None:
    """Others fill disks too: the error says so and nothing stays."""

    def build(partial: Path) -> None:
        write_model(partial)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ModelError, match="became full"):
        make_atomically(tmp_path / "m", build)
    assert partials(tmp_path / "m") == []


def test_cache_that_cannot_be_written(tmp_path: Path) -> None:
    """An unusable cache is the machine's fault, and the hint names the variable."""
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="cannot be used") as caught:
        make_atomically(tmp_path / "file" / "models" / "m", write_model)
    assert "KILOTOKEN_CACHE" in caught.value.hint
