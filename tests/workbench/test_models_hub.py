"""Hub repositories through the real downloader child, against a small hub on this machine's loopback."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from accounting.errors import ModelError
from serving.models.hub_cache import hub_cache_root
from workbench.models import ModelKind, ResolvedModel, model_on_disk, resolve_model

pytest.importorskip("huggingface_hub", reason="the downloader's library comes with the engine")

OLD, NEW = "a" * 40, "b" * 40


def weights_of(size: int) -> bytes:
    """A sound safetensors file of one tensor."""
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return len(header).to_bytes(8, "little") + header + (bytes(range(250)) * (size // 250 + 1))[:size]


WEIGHTS = weights_of(100_000)
FILES = {
    "config.json": b"{}",
    "tokenizer.json": b"{}",
    "model.safetensors": WEIGHTS,
    "README.md": b"---\nlicense: mit\n---\n# A model\n",
    "pytorch_model.bin": b"pickle",
    "onnx/model.safetensors": b"another form",
}


class FakeHub:
    """One repository `org/name`: its commits, and which faults the next requests meet."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = dict(FILES)
        self.sizes: dict[str, int] = {}  # a file's stated size where it is not the true one
        self.commit = OLD
        self.gated_for: set[str] = set()  # Authorization headers ("" for none) that meet the gate
        self.cuts = 0  # how many downloads of the weights break off half way
        self.requests: list[tuple[str, str, str]] = []  # method, path, Range
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def downloads(self, name: str) -> list[str]:
        """The ranges in which a file's bytes were asked for."""
        return [
            ranged for method, path, ranged in self.requests if method == "GET" and path.endswith(f"/{name}")
        ]

    def _handler(hub) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - `self` is the handler's below
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                hub.requests.append((self.command, path, self.headers.get("Range", "")))
                if path.startswith("/api/models/org/name"):
                    self.api(path.removeprefix("/api/models/org/name"))
                elif path.startswith("/org/name/resolve/"):
                    self.file(path.split("/", 5)[5])
                else:
                    self.answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})

            do_HEAD = do_GET  # noqa: N815 - the base class asks for this name

            def api(self, path: str) -> None:
                if path.startswith("/revision/") and path.split("/")[2] not in ("main", OLD, NEW):
                    self.answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
                elif path.startswith("/tree/"):
                    entries = [
                        {"type": "file", "path": n, "size": len(c), "oid": etag(c)}
                        for n, c in hub.files.items()
                    ]
                    self.answer(200, json.dumps(entries).encode())
                else:
                    siblings = [
                        {"rfilename": n, "size": hub.sizes.get(n, len(c))} for n, c in hub.files.items()
                    ]
                    info = {"id": "org/name", "sha": hub.commit, "siblings": siblings, "tags": []}
                    self.answer(200, json.dumps(info).encode())

            def file(self, name: str) -> None:
                who = self.headers.get("Authorization", "").removeprefix("Bearer ")
                if who in hub.gated_for:
                    return self.answer(403 if who else 401, b"", {"X-Error-Code": "GatedRepo"})
                content = hub.files[name]
                start = int(self.headers.get("Range", "bytes=0-")[6:].partition("-")[0])
                extra = {"ETag": f'"{etag(content)}"', "X-Repo-Commit": hub.commit}
                if start:
                    extra["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
                if self.command == "GET" and name == "model.safetensors" and hub.cuts > 0:
                    hub.cuts -= 1
                    return self.answer(200, content, extra, sent=len(content) // 2)
                return self.answer(206 if start else 200, content[start:], extra)

            def answer(
                self, status: int, body: bytes, extra: dict[str, str] | None = None, sent: int | None = None
            ) -> None:
                self.send_response(status)
                for key, value in {"Content-Length": str(len(body)), **(extra or {})}.items():
                    self.send_header(key, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body[:sent])
                if sent is not None:
                    self.wfile.flush()
                    self.close_connection = True

        return Handler


def etag(content: bytes) -> str:
    """Git's hash stands for a small file's content; here any 40 digits do."""
    return hashlib.sha1(content).hexdigest()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A running hub, and an environment in which nothing but it and an empty cache is found."""
    fake = FakeHub()
    thread = threading.Thread(target=fake.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    for name in (
        "HF_TOKEN",
        "HUGGING_FACE_HUB_TOKEN",
        "HF_HUB_CACHE",
        "HF_HUB_OFFLINE",
        "TRANSFORMERS_OFFLINE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", fake.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    try:
        yield fake
    finally:
        fake.server.shutdown()
        fake.server.server_close()
        thread.join()


Reports = list[tuple[str, int, int | None]]


def resolve(text: str, tmp_path: Path, reports: Reports | None = None) -> ResolvedModel:
    """Resolve with a kilotoken cache of its own."""
    seen = reports if reports is not None else []
    return resolve_model(
        text, base_dir=tmp_path, report=lambda *step: seen.append(step), root=tmp_path / "cache"
    )


def test_repository_becomes_a_directory(hub: FakeHub, tmp_path: Path) -> None:
    """Only what serving needs is fetched; commit and licence are known; a commit that is here needs no hub."""
    reports: Reports = []
    resolved = resolve("org/name", tmp_path, reports)
    served = Path(resolved.served_from)
    assert sorted(path.name for path in served.iterdir()) == [
        "README.md", "config.json", "model.safetensors", "tokenizer.json",
    ], "no pickle, no other form of the weights"  # fmt: skip
    assert (served / "model.safetensors").read_bytes() == WEIGHTS
    assert (resolved.kind, resolved.name, resolved.revision) == (ModelKind.HUB, "name", OLD)
    assert (resolved.licence, resolved.source) == ("mit", "model hub, org/name")
    assert ("org/name: asking the hub", 0, None) in reports
    hub.requests.clear()
    assert resolve(f"org/name@{OLD}", tmp_path) == resolved
    assert hub.requests == []
    assert model_on_disk("org/name", base_dir=tmp_path) == served


def test_branch_that_moved_is_followed(hub: FakeHub, tmp_path: Path) -> None:
    """A branch means what it means now; files that did not change are not fetched again."""
    resolve("org/name", tmp_path)
    hub.commit, hub.files["config.json"] = NEW, b'{"new": 1}'
    hub.requests.clear()
    resolved = resolve("org/name", tmp_path)
    assert resolved.revision == NEW
    assert (Path(resolved.served_from) / "config.json").read_bytes() == b'{"new": 1}'
    assert hub.downloads("model.safetensors") == []


@pytest.mark.parametrize(
    ("token", "hint"), [("", "Set HF_TOKEN"), ("hf_somebody", "fine-grained"), ("hf_member", None)]
)
def test_gated(
    token: str, hint: str | None, hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a token, and with one that has no access, the message says which; with access it is fetched."""
    hub.gated_for = {"", "hf_somebody"}
    monkeypatch.setenv("HF_TOKEN", token)
    if hint is None:
        assert resolve("org/name", tmp_path).revision == OLD
        return
    with pytest.raises(ModelError, match="is gated") as caught:
        resolve("org/name", tmp_path)
    assert hint in caught.value.hint
    assert model_on_disk("org/name", base_dir=tmp_path) is None


def test_token_file_is_used(hub: FakeHub, tmp_path: Path) -> None:
    """Who logged in once needs no variable."""
    hub.gated_for = {""}
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "token").write_text("hf_member\n")
    assert resolve("org/name", tmp_path).revision == OLD


def test_cut_connection_is_resumed(hub: FakeHub, tmp_path: Path) -> None:
    """After a connection that broke off, only the missing range is asked for (the library writes 10 MB at a time)."""
    hub.files["model.safetensors"] = large = weights_of(24_000_000)
    hub.cuts = 1
    served = Path(resolve("org/name", tmp_path).served_from)
    assert (served / "model.safetensors").read_bytes() == large
    first, second = hub.downloads("model.safetensors")
    assert first == ""
    assert second.startswith("bytes=")
    assert int(second[6:].partition("-")[0]) > 0


def test_interrupted_download_goes_on_with_the_missing_files(hub: FakeHub, tmp_path: Path) -> None:
    """What a first attempt got whole is not asked for again, and half a snapshot is never served."""
    hub.cuts = 99
    with pytest.raises(ModelError, match="or broke off"):
        resolve("org/name", tmp_path)
    assert model_on_disk("org/name", base_dir=tmp_path) is None
    hub.cuts = 0
    hub.requests.clear()
    assert resolve("org/name", tmp_path).revision == OLD
    assert hub.downloads("config.json") == [], "it came whole the first time"


def test_offline_uses_the_cache_and_says_so(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a hub the whole snapshot in the cache serves; without one there, the error says what to do."""
    resolve("org/name", tmp_path)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    reports: Reports = []
    resolved = resolve("org/name", tmp_path, reports)
    assert resolved.revision == OLD
    assert "from the cache" in resolved.source
    assert any("could not be asked" in stage for stage, _, _ in reports)
    with pytest.raises(ModelError, match="could not be reached for org/other"):
        resolve("org/other", tmp_path)


def test_offline_mode_is_named(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that forbids fetching is the thing to unset."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE forbids"):
        resolve("org/name", tmp_path)


def test_branch_keeps_its_whole_snapshot_until_the_next_is_whole(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new commit that could not be fetched does not take the old one away."""
    resolve("org/name", tmp_path)
    hub.commit, hub.files["model.safetensors"], hub.gated_for = NEW, WEIGHTS[::-1], {""}
    with pytest.raises(ModelError, match="is gated"):
        resolve("org/name", tmp_path)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert resolve("org/name", tmp_path).revision == OLD


@pytest.mark.parametrize(
    ("text", "message"),
    [("org/other", "no repository org/other"), ("org/name@v9", "org/name has no revision 'v9'")],
)
def test_not_found(text: str, message: str, hub: FakeHub, tmp_path: Path) -> None:
    """A repository and a revision that are not there are told apart."""
    with pytest.raises(ModelError, match=message):
        resolve(text, tmp_path)


def test_disk_too_small_is_seen_before_the_download(hub: FakeHub, tmp_path: Path) -> None:
    """The repository's own file sizes decide; nothing is fetched."""
    hub.sizes["model.safetensors"] = 10**16
    with pytest.raises(ModelError, match=r"needs 10,000,000,000,0\d\d,\d+ more bytes"):
        resolve("org/name", tmp_path)
    assert hub.downloads("config.json") == []


def test_pickles_alone_are_refused(hub: FakeHub, tmp_path: Path) -> None:
    """A repository without safetensors is refused before anything is fetched."""
    del hub.files["model.safetensors"]
    with pytest.raises(ModelError, match=r"only pytorch_model\.bin and no safetensors"):
        resolve("org/name", tmp_path)
    assert not (hub_cache_root() / "models--org--name" / "snapshots").exists()
