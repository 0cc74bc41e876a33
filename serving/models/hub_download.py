"""Fetches one hub repository into huggingface_hub's cache: only weights without code, config and tokenizer.

Run as `python -m serving.models.hub_download REPOSITORY REVISION` ("" for the default branch), as only the engine's
environment has huggingface_hub. It prints one JSON object a line: {"stage", "done", "total"} (bytes) while loading,
{"result": {"directory", "commit"}} at the end, or {"error", "hint", "kind"}. Kind "unreachable" means that the hub
said nothing about the model, so a copy that is here already may serve.

Files that came whole are kept and not fetched again; huggingface_hub 2.x goes on inside a file only within one call
(it asks for the missing range after a cut connection) and starts a file anew in the next.
"""

from __future__ import annotations

import fnmatch
import glob
import json
import shutil
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accounting.errors import KilotokenError, ModelError
from serving.models.hub_cache import remember_reference, repository_dir
from serving.models.hub_refusals import Refusal, explain

# Python files are inert unless the config says `trust_remote_code`; then the engine needs them.
_WANTED = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken", "*.py", "README.md")
_TICK_S = 0.5
_STALE_S = 3600.0  # a partial file that nobody wrote to for so long belongs to a killed process


def wanted_files(sizes: dict[str, int]) -> dict[str, int]:
    """The files of a repository that serving needs, with their sizes in bytes.

    Folders hold other forms of the same weights (ONNX, the authors' own), and `consolidated*` is Mistral's.

    Raises:
        ModelError: there are no safetensors weights.
    """
    flat = {name: size for name, size in sizes.items() if "/" not in name}
    wanted = {
        name: size for name, size in flat.items() if any(fnmatch.fnmatch(name, each) for each in _WANTED)
    }
    weights = [name for name in wanted if name.endswith(".safetensors")]
    if not weights:
        others = sorted(name for name in flat if name.endswith((".bin", ".pt", ".pth", ".gguf")))
        having = f"only {others[0]}" if others else "no weights"
        raise ModelError(
            f"The repository has {having} and no safetensors: pickle weights are refused, as loading them can run"
            " code, and vLLM 0.32 does not read GGUF.",
            hint="Take the safetensors form of this model.",
        )
    if any(not name.startswith("consolidated") for name in weights):
        return {name: size for name, size in wanted.items() if not name.startswith("consolidated")}
    return wanted


def download(repository: str, revision: str | None) -> Path:
    """Bring the repository's snapshot here and return its directory.

    Raises:
        ModelError: no safetensors, or the disk is too small.
        OSError: what huggingface_hub raises; see `hub_refusals.explain`.
    """
    from huggingface_hub import HfApi, constants, snapshot_download

    root = Path(constants.HF_HUB_CACHE)
    say(stage="asking the hub", done=0, total=None)
    info = HfApi().model_info(repository, revision=revision, files_metadata=True)
    files = wanted_files({entry.rfilename: entry.size or 0 for entry in info.siblings or []})
    base = repository_dir(root, repository)
    _remove_stale(base / "blobs", now_s=time.time())
    missing = {
        name: size for name, size in files.items() if not (base / "snapshots" / info.sha / name).exists()
    }
    needed_bytes = sum(missing.values())
    check_space(root, needed_bytes, repository)
    with _progress(base / "blobs", needed_bytes):
        # By commit, not by name: the name must go on meaning the older snapshot until this one is whole.
        directory = snapshot_download(
            repository, revision=info.sha, allow_patterns=[glob.escape(n) for n in files]
        )
    remember_reference(root, repository, revision, info.sha)
    return Path(directory)


def check_space(root: Path, needed_bytes: int, repository: str) -> None:
    """Raise ModelError if the disk of the cache cannot take what is still missing."""
    existing = next(path for path in (root, *root.parents) if path.exists())
    free_bytes = shutil.disk_usage(existing).free
    if free_bytes < needed_bytes:
        raise ModelError(
            f"Fetching {repository} needs {needed_bytes:,} more bytes and {root} has {free_bytes:,} free.",
            hint="Make room, or set HF_HOME to a directory with room.",
        )


def _remove_stale(blobs: Path, *, now_s: float) -> None:
    for partial in blobs.glob("*.incomplete"):
        if now_s - partial.stat().st_mtime > _STALE_S:
            partial.unlink(missing_ok=True)


@contextmanager
def _progress(blobs: Path, total_bytes: int) -> Iterator[None]:
    """Report the growth of `blobs`: it counts alike whichever transfer the library chose."""
    start_bytes, done = _bytes_of(blobs.glob("*")), threading.Event()

    def watch() -> None:
        while not done.wait(_TICK_S):
            grown = _bytes_of(blobs.glob("*")) - start_bytes
            say(stage="downloading", done=min(max(grown, 0), total_bytes), total=total_bytes)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _bytes_of(paths: Iterable[Path]) -> int:
    total = 0
    for path in paths:
        try:
            total += path.stat().st_size
        except OSError:  # renamed meanwhile
            continue
    return total


def say(**said: Any) -> None:
    """One line of what the parent reads."""
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Fetch, or say on stdout why not."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m serving.models.hub_download REPOSITORY REVISION\n")
        return 2
    repository, revision = arguments[0], arguments[1] or None
    try:
        from huggingface_hub import get_token
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError:
        hint = "Install the engine (make setup), or name a packaged model or a local directory."
        say(
            error="Hub models need huggingface_hub, which comes with the engine.",
            hint=hint,
            kind="unreachable",
        )
        return 1
    # The transport's own base error: huggingface_hub changed its HTTP library twice, its error kept the base.
    transport_error = HfHubHTTPError.__bases__[0]
    try:
        directory = download(repository, revision)
    except KilotokenError as error:
        refusal = Refusal(error.message, error.hint)
    except (OSError, ValueError, RuntimeError, transport_error) as error:
        refusal = explain(error, repository, revision, has_token=get_token() is not None)
    else:
        say(result={"directory": str(directory), "commit": directory.name})
        return 0
    say(error=refusal.error, hint=refusal.hint, kind=refusal.kind)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
