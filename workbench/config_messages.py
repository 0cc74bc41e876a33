"""A validation failure in a user's words: which key, what is allowed, the nearest valid name."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ValidationError

from accounting.errors import ConfigError


def config_error(error: ValidationError, model: type[BaseModel], *, origin: str) -> ConfigError:
    """Turn pydantic's findings into one ConfigError that names every finding."""
    findings = [_finding(dict(entry), model) for entry in error.errors(include_url=False)]
    unique = list(dict.fromkeys(findings))
    return ConfigError(
        f"{origin}: " + " ".join(unique),
        hint=f"`kilotoken validate {origin.split(': ')[0]}` checks the file again without starting anything.",
    )


def _finding(entry: dict[str, Any], model: type[BaseModel]) -> str:
    location = tuple(entry["loc"])
    path = ".".join(str(part) for part in location) or "the file"
    match entry["type"]:
        case "extra_forbidden":
            return f"unknown key {path!r}{suggestion(str(location[-1]), keys_at(model, location[:-1]))}."
        case "missing":
            return f"the key {path!r} is missing{_described(model, location)}."
        case "union_tag_invalid":
            context = entry["ctx"]
            allowed = [t.strip("' ") for t in str(context["expected_tags"]).split(",")]
            return f"{path}: {context['tag']!r} is not one of {', '.join(allowed)}" + _nearest(
                str(context["tag"]), allowed
            )
        case "union_tag_not_found":
            return f"{path}: say which with the key 'method'."
        case _:
            given = entry.get("input")
            shown = "" if isinstance(given, (dict, list, BaseModel)) else f" (given: {given!r})"
            message = str(entry["msg"]).removeprefix("Value error, ")
            return f"{path}: {message[:1].lower()}{message[1:].rstrip('.')}{shown}."


def _described(model: type[BaseModel], location: tuple[Any, ...]) -> str:
    """`: what the key means`; nothing where it has no words of its own."""
    fields = (m.model_fields.get(str(location[-1])) for m in models_at(model, location[:-1]))
    words = next((field.description for field in fields if field and field.description), "")
    return f": {words[:1].lower()}{words[1:].rstrip('.')}" if words else ""


def suggestion(word: str, allowed: Iterable[str]) -> str:
    """`; did you mean 'x'?` and the list of what is allowed."""
    allowed = sorted(allowed)
    near = difflib.get_close_matches(word, allowed, n=1, cutoff=0.5)
    guess = f"; did you mean {near[0]!r}?" if near else ";"
    return f"{guess} Allowed here: {', '.join(allowed) or 'nothing'}"


def _nearest(word: str, allowed: list[str]) -> str:
    near = difflib.get_close_matches(word, allowed, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else "."


def keys_at(model: type[BaseModel], location: tuple[Any, ...]) -> set[str]:
    """Field names valid at a location inside a model."""
    return {name for candidate in models_at(model, location) for name in candidate.model_fields}


def models_at(model: type[BaseModel], location: tuple[Any, ...]) -> list[type[BaseModel]]:
    """The models that may stand at a location inside a model; union members named by their tag are followed."""
    models: list[type[BaseModel]] = [model]
    for part in location:
        following: list[type[BaseModel]] = []
        for candidate in models:
            field = candidate.model_fields.get(str(part))
            if field is not None:
                following += list(_models_in(field.annotation))
            elif part in _tags(candidate):
                following.append(candidate)
        models = following or models
        tagged = [m for m in models if part in _tags(m)]
        models = tagged or models
    return models


def _tags(model: type[BaseModel]) -> set[Any]:
    method = model.model_fields.get("method")
    return set(typing.get_args(method.annotation)) if method else set()


def _models_in(annotation: Any) -> Iterable[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif typing.get_origin(annotation) in (
        typing.Union,
        types.UnionType,
        dict,
        list,
        tuple,
        typing.Annotated,
    ):
        for argument in typing.get_args(annotation):
            yield from _models_in(argument)
