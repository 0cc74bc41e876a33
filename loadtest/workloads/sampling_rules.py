"""Which sampling settings a request may carry, and within which bounds a server takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from loadtest.workloads.json_lines import Place, check_keys, kind, shown
from loadtest.workloads.prompt import Sampling

# Setting -> (test, what is allowed). vLLM or the OpenAI interface refuses what is beyond.
_BOUNDS: Mapping[str, tuple[Callable[[float], bool], str]] = {
    "temperature": (lambda value: 0 <= value <= 2, "0 to 2"),
    "top_p": (lambda value: 0 < value <= 1, "above 0, up to 1"),
    "top_k": (lambda value: value >= -1, "at least 1, or 0 or -1 for all tokens"),
    "min_p": (lambda value: 0 <= value <= 1, "0 to 1"),
    "presence_penalty": (lambda value: -2 <= value <= 2, "-2 to 2"),
    "frequency_penalty": (lambda value: -2 <= value <= 2, "-2 to 2"),
    "repetition_penalty": (lambda value: 0 < value < float("inf"), "above 0"),
}


def sampling_problem(sampling: Sampling) -> str:
    """What is out of bounds, in words that name the setting; empty where nothing is."""
    for name, (within, allowed) in _BOUNDS.items():
        value = getattr(sampling, name)
        if value is not None and not within(value):
            return f"{name} is {value}. Allowed: {allowed}."
    return ""


def read_sampling(value: object, place: Place) -> Sampling:
    """The `sampling` object of a line; ConfigError names the setting that cannot be used."""
    if not isinstance(value, dict) or not value:
        found = "empty" if value == {} else kind(value)
        place.fail(f"'sampling' is {found}. It must be an object with at least one setting.")
    check_keys(value, Sampling.__struct_fields__, place, " in sampling")
    for key, setting in value.items():
        if setting is None:
            place.fail(f"'sampling.{key}' is null. Leave it out where nothing is set.")
    try:
        sampling = msgspec.convert(value, Sampling)
    except msgspec.ValidationError as error:
        place.fail(f"'sampling' cannot be used: {error}.")
    if problem := sampling_problem(sampling):
        place.fail(f"sampling.{problem}")
    if sampling.stop == () or "" in (sampling.stop or ()):
        place.fail(
            f"'sampling.stop' is {shown(list(sampling.stop or ()))}. It must list strings that are not empty."
        )
    return sampling
