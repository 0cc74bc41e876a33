"""What the text that names a model is taken for."""

import re
from pathlib import Path

import pytest

from accounting.errors import ModelError
from serving.models.catalogue import (
    HubId,
    LocalPath,
    Packaged,
    QuantisedCopy,
    classify_model,
)
from serving.models.packaged import PACKAGED_MODELS


@pytest.fixture(autouse=True)
def empty_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let copies in the user's own cache play no part."""
    root = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("KILOTOKEN_CACHE", str(root))
    return root


def test_copies_in_the_users_cache_are_names(empty_cache: Path, tmp_path: Path) -> None:
    """Whoever asks without naming the copies means those."""
    (empty_cache / "copies" / "mine-int8").mkdir(parents=True)
    assert classify_model("mine-int8", base_dir=tmp_path) == QuantisedCopy("mine-int8")


@pytest.mark.parametrize("name", PACKAGED_MODELS)
def test_packaged_name(name: str, tmp_path: Path) -> None:
    """Every catalogued name is found, whatever white space surrounds it."""
    assert classify_model(f" {name}\n", base_dir=tmp_path) == Packaged(PACKAGED_MODELS[name])


def test_packaged_models_are_pinned() -> None:
    """A version and a hash belong to each entry, and the disk space asked for covers the work."""
    for model in PACKAGED_MODELS.values():
        assert len(model.sha256) == 64
        assert model.work_bytes > model.source_bytes + model.disk_bytes
        assert model.memory_bytes > model.disk_bytes, "a conversion holds the whole checkpoint in memory"
        assert model.version in model.source


def test_parts_are_in_numeric_order() -> None:
    """part10 comes after part9: the order of the tuple is the order of joining."""
    for model in PACKAGED_MODELS.values():
        numbers = [int(re.findall(r"\d+$", part.package)[0]) for part in model.parts if len(model.parts) > 1]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len({part.version for part in model.parts}) == 1


def test_packaged_name_wins_over_a_directory_of_that_name(tmp_path: Path) -> None:
    """A stray directory must not change what a documented name means; ./ reaches it."""
    (tmp_path / "stories-15m").mkdir()
    assert isinstance(classify_model("stories-15m", base_dir=tmp_path), Packaged)
    assert classify_model("./stories-15m", base_dir=tmp_path) == LocalPath(tmp_path / "stories-15m")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("org/name", HubId("org/name", None)),
        ("Org-1/na.me_2@main", HubId("Org-1/na.me_2", "main")),
        ("org/name@refs/pr/3", HubId("org/name", "refs/pr/3")),
    ],
)
def test_hub_id(text: str, expected: HubId, tmp_path: Path) -> None:
    """org/name with an optional revision is a hub repository."""
    assert classify_model(text, base_dir=tmp_path) == expected


def test_existing_relative_path_wins_over_a_hub_id(tmp_path: Path) -> None:
    """What lies here is meant before what may lie elsewhere."""
    (tmp_path / "org" / "name").mkdir(parents=True)
    assert classify_model("org/name", base_dir=tmp_path) == LocalPath(tmp_path / "org" / "name")


@pytest.mark.parametrize("text", ["./x", "../x", "/nowhere/x", "."])
def test_what_looks_like_a_path_is_one(text: str, tmp_path: Path) -> None:
    """A path is taken as one even if it does not exist: its error is then about the path."""
    source = classify_model(text, base_dir=tmp_path)
    assert isinstance(source, LocalPath)
    assert source.path.is_absolute()


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tilde that no shell expanded (in a YAML file) works."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert classify_model("~/m", base_dir=tmp_path) == LocalPath(tmp_path / "home" / "m")


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("smollm2-135m", "smollm2-135m-instruct"),
        ("SmolLM2-135M-Instruct", "smollm2-135m-instruct"),
        ("stories15M", "stories-15m"),
    ],
)
def test_near_miss_names_the_nearest(text: str, nearest: str, tmp_path: Path) -> None:
    """A misspelt name is an error with the right name in it, not a download attempt."""
    with pytest.raises(ModelError, match=f"nearest name is '{nearest}'") as caught:
        classify_model(text, base_dir=tmp_path)
    assert "Allowed are" in caught.value.message
    assert nearest in caught.value.hint


@pytest.mark.parametrize(
    "text", ["", "gpt2", "a/b/c", "org/", "-x/y", "org/name@", "org/--flag", "~nobody-of-that-name/x", "x\0y"]
)
def test_anything_else_is_refused(text: str, tmp_path: Path) -> None:
    """Whatever is none of the three kinds is refused, options in disguise included."""
    with pytest.raises(ModelError):
        classify_model(text, base_dir=tmp_path)


def test_a_copy_that_was_not_made_yet_says_how(tmp_path: Path) -> None:
    """A shipped experiment names one: the first user of it must not be told of a typing mistake."""
    with pytest.raises(ModelError) as caught:
        classify_model("smollm2-135m-instruct-int8", base_dir=tmp_path)
    assert "has not been made on this machine yet" in caught.value.message
    assert caught.value.hint == "Make it: kilotoken models quantize smollm2-135m-instruct --scheme int8"
