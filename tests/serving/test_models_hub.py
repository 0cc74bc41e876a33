"""What is fetched of a hub repository, what its refusals say, and what the cache is taken for."""

import errno
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from accounting.errors import ModelError
from serving.models.hub_cache import (
    all_snapshots,
    find_snapshot,
    hub_cache_root,
    licence_of,
    remember_reference,
)
from serving.models.hub_download import _remove_stale, check_space, main, wanted_files
from serving.models.hub_refusals import explain

COMMIT = "c" * 40


def write_snapshot(root: Path, commit: str = COMMIT) -> Path:
    """The smallest snapshot of org/na--me that passes as a checkpoint."""
    directory = root / "models--org--na--me" / "snapshots" / commit
    directory.mkdir(parents=True)
    (directory / "config.json").write_text("{}")
    (directory / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    (directory / "tokenizer.json").write_text("{}")
    return directory


def test_only_what_serving_needs_is_wanted() -> None:
    """No pickles, no pictures, no other form of the same weights."""
    sizes = {
        "config.json": 1, "model-00001-of-00002.safetensors": 5, "model-00002-of-00002.safetensors": 6,
        "model.safetensors.index.json": 1, "tokenizer.model": 1, "chat_template.jinja": 1, "README.md": 1,
        "consolidated.safetensors": 11, "pytorch_model.bin": 11, "original/model.safetensors": 11,
        "logo.png": 1, "x.gguf": 9, "optimizer.pt": 9,
    }  # fmt: skip
    unwanted = {"consolidated.safetensors", "pytorch_model.bin", "original/model.safetensors", "logo.png"}
    assert set(wanted_files(sizes)) == set(sizes) - unwanted - {"x.gguf", "optimizer.pt"}
    assert set(wanted_files({"consolidated.safetensors": 1})) == {"consolidated.safetensors"}


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.gguf", None])
def test_repository_without_safetensors(name: str | None) -> None:
    """The refusal names what is there instead."""
    with pytest.raises(ModelError, match=name or "no weights"):
        wanted_files({"config.json": 1, **({name: 1} if name else {})})


def error_named(name: str, status: int | None = None, base: type[Exception] = OSError) -> Exception:
    """An exception as huggingface_hub would raise it, known by its class's name."""
    error = type(name, (base,), {})("said by the library\nsecond line")
    if status is not None:
        error.response = SimpleNamespace(status_code=status)  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(
    ("error", "has_token", "said", "kind"),
    [
        (error_named("GatedRepoError", 401), False, "there is no token here", ""),
        (error_named("GatedRepoError", 403), True, "has no access", ""),
        (error_named("RevisionNotFoundError", 404), True, "has no revision 'v1'", ""),
        (error_named("RepositoryNotFoundError", 401), False, "can be seen without a token", ""),
        (error_named("HfHubHTTPError", 403), True, "refuses this token", ""),
        (error_named("HfHubHTTPError", 503), True, "HTTP 503", "unreachable"),
        (error_named("OfflineModeIsEnabled"), False, "HF_HUB_OFFLINE", "unreachable"),
        (error_named("ConnectError"), False, "ConnectError: said by the library)", "unreachable"),
        (OSError(errno.ENOSPC, "No space left on device"), False, "disk became full", ""),
        (OSError(errno.EDQUOT, "Quota exceeded"), False, "disk became full", ""),
    ],
)
def test_refusals(error: Exception, has_token: bool, said: str, kind: str) -> None:
    """Each cause has its own words, and each says what to do."""
    refusal = explain(error, "org/name", "v1", has_token=has_token)
    assert said in refusal.error
    assert refusal.kind == kind
    assert refusal.hint


def test_disk_that_fills_is_found_behind_another_error() -> None:
    """The library may wrap what the system said."""
    wrapped = RuntimeError("download failed")
    wrapped.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert "disk became full" in explain(wrapped, "org/name", None, has_token=False).error


def test_space_is_checked_where_the_cache_will_be(tmp_path: Path) -> None:
    """The cache need not exist yet; a whole model that is here already needs nothing."""
    check_space(tmp_path / "not" / "yet", 0, "org/name")
    with pytest.raises(ModelError, match=r"org/name needs 1,0+,0+") as caught:
        check_space(tmp_path / "not" / "yet", 10**18, "org/name")
    assert "HF_HOME" in caught.value.hint


def test_partial_files_of_killed_processes_are_removed(tmp_path: Path) -> None:
    """A file that is still written to belongs to somebody."""
    stale, fresh, whole = (tmp_path / name for name in ("a.1.incomplete", "b.2.incomplete", "c"))
    for path in (stale, fresh, whole):
        path.touch()
    os.utime(stale, (1, 1))
    os.utime(whole, (1, 1))
    _remove_stale(tmp_path, now_s=time.time())
    assert sorted(tmp_path.iterdir()) == [fresh, whole]


def test_cache_root_is_the_librarys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same variables in the same order as huggingface_hub reads them."""
    monkeypatch.setenv("HOME", "/home/someone")
    assert hub_cache_root({"HF_HUB_CACHE": "/a", "HF_HOME": "/b"}) == Path("/a")
    assert hub_cache_root({"HF_HOME": "/b", "XDG_CACHE_HOME": "/x"}) == Path("/b/hub")
    assert hub_cache_root({"XDG_CACHE_HOME": "/x"}) == Path("/x/huggingface/hub")
    assert hub_cache_root({}) == Path("/home/someone/.cache/huggingface/hub")


def test_snapshot_is_found_by_branch_and_by_commit(tmp_path: Path) -> None:
    """A branch means what was last remembered; an unknown one means nothing."""
    directory = write_snapshot(tmp_path)
    assert find_snapshot(tmp_path, "org/na--me", None) is None, "nobody said what main means"
    remember_reference(tmp_path, "org/na--me", None, COMMIT)
    remember_reference(tmp_path, "org/na--me", "refs/pr/3", COMMIT)
    for revision in (None, "main", "refs/pr/3", COMMIT):
        found = find_snapshot(tmp_path, "org/na--me", revision)
        assert found is not None
        assert (found.directory, found.problem) == (directory, "")
    assert find_snapshot(tmp_path, "org/na--me", "v2") is None


def test_half_a_snapshot_says_what_is_missing(tmp_path: Path) -> None:
    """It is listed, with its problem."""
    (write_snapshot(tmp_path) / "model.safetensors").unlink()
    (found,) = all_snapshots(tmp_path)
    assert found.repository == "org/na--me"
    assert "no weights" in found.problem


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: apache-2.0\n---\n# M", "apache-2.0"),
        ("---\nlicense: other\nlicense_name: gemma\n---\n", "gemma"),
        ("---\nlicense: [mit, bsd]\n---\n", "mit, bsd"),
        ("---\ntags: [x]\n---\n", "not stated"),
        ("# no front matter", "not stated"),
        ("# M\n---\nlicense: mit\n---\n", "not stated"),
        ("---\n: [\n---\n", "not stated"),
        (None, "not stated"),
    ],
)
def test_licence_of_the_card(card: str | None, licence: str, tmp_path: Path) -> None:
    """Only what the card's front matter says is a licence."""
    if card is not None:
        (tmp_path / "README.md").write_text(card)
    assert licence_of(tmp_path) == licence


def test_wrong_use_of_the_downloader(capsys: pytest.CaptureFixture[str]) -> None:
    """Anything but two arguments is answered with the usage."""
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err
