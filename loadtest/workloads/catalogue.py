"""Which workload a name means: a generated one, a file, a trace, declared lengths, or a mix."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from accounting.errors import ConfigError
from loadtest.workloads import chat, coding, copy_edit, shared_prefix, story, synthetic
from loadtest.workloads.azure_trace import read_azure
from loadtest.workloads.jsonl import read_jsonl
from loadtest.workloads.mix import Part, mixed
from loadtest.workloads.mooncake_trace import read_mooncake
from loadtest.workloads.name_options import checked_options, option_pairs
from loadtest.workloads.prompt import Workload
from loadtest.workloads.question_sets import QUESTION_SETS, read_question_set
from loadtest.workloads.recognised import ENDINGS, format_of
from loadtest.workloads.servegen_trace import dataset_of, read_servegen
from loadtest.workloads.sharegpt import read_sharegpt
from loadtest.workloads.source_name import SourceName, split_mix, split_source

WORKLOADS: dict[str, Callable[[int], Workload]] = {
    chat.NAME: chat.generate,
    copy_edit.NAME: copy_edit.generate,
    story.NAME: story.generate,
    coding.NAME: coding.generate,
    shared_prefix.NAME: shared_prefix.generate,
}

TRACES = {"azure": read_azure, "mooncake": read_mooncake, "servegen": read_servegen}
FILE_FORMATS = ("jsonl", *QUESTION_SETS, "sharegpt", *TRACES)
FORMATS = (*FILE_FORMATS, synthetic.NAME)


class _QuestionOptions(msgspec.Struct, frozen=True):
    """What a file of prompts takes behind `?`."""

    limit: Annotated[int, msgspec.Meta(ge=2)] | None = None  # only its first so many prompts


def load_workload(name_or_path: str, *, seed: int, base_dir: Path | None = None) -> Workload:
    """The workload of that name.

    A name is one of WORKLOADS; a path (looked up from `base_dir`), with its format before it
    (`mt-bench:path`) or one that the file's content leaves no doubt about, and options behind it
    (`?limit=100`); `synthetic:` with lengths; or a mix of these (`chat*0.7+copy*0.3`). `seed` decides what
    is generated or drawn; a file of prompts says everything itself and ignores it.

    Raises:
        ConfigError: naming what is unknown, cannot be read or cannot be used, and what is allowed.
    """
    if name_or_path in WORKLOADS:
        return WORKLOADS[name_or_path](seed)
    if parts := split_mix(name_or_path):
        loaded = [Part(load_workload(name, seed=seed, base_dir=base_dir), weight) for name, weight in parts]
        return mixed(loaded, seed=seed)
    source = split_source(name_or_path, FORMATS)
    if source.format == synthetic.NAME:
        pairs = option_pairs(source.path, origin=name_or_path, separator=",")
        return synthetic.generate(pairs, origin=name_or_path, seed=seed)
    return _read(source, name_or_path, seed=seed, base_dir=base_dir)


def files_of(name_or_path: str, *, base_dir: Path | None = None) -> tuple[Path, ...]:
    """Every file that the name reads, a ServeGen profile's dataset too: what a run must keep."""
    found: list[Path] = []
    for name, _ in split_mix(name_or_path) or [(name_or_path, 1.0)]:
        source = split_source(name, FORMATS)
        if name in WORKLOADS or source.format == synthetic.NAME:
            continue
        path = _placed(source.path, base_dir)
        found.append(path)
        if (source.format or _format_of(path, name)) == "servegen":
            found.append(dataset_of(path))
    return tuple(dict.fromkeys(found))


def relocated(name_or_path: str, place: Callable[[str], str]) -> str:
    """The same name with every path in it replaced by `place(path)`; formats, options and weights stay."""
    if parts := split_mix(name_or_path):
        return "+".join(f"{relocated(name, place)}*{weight!r}" for name, weight in parts)
    source = split_source(name_or_path, FORMATS)
    if name_or_path in WORKLOADS or source.format == synthetic.NAME:
        return name_or_path
    prefix, options = (
        (f"{source.format}:" if source.format else ""),
        (f"?{source.options}" if source.options else ""),
    )
    return f"{prefix}{place(source.path)}{options}"


def _placed(path: str, base_dir: Path | None) -> Path:
    return Path(path) if base_dir is None else base_dir / path


def _read(source: SourceName, name: str, *, seed: int, base_dir: Path | None) -> Workload:
    path = _placed(source.path, base_dir)
    pairs = option_pairs(source.options, origin=name)
    if not source.format:
        return _read_as(_format_of(path, name), path, pairs, name=name, seed=seed)
    try:
        return _read_as(source.format, path, pairs, name=name, seed=seed)
    except ConfigError as error:
        other = _other_format(path, source.format)
        hint = (
            f"{error.hint} The content looks like {other}: `{other}:{source.path}`." if other else error.hint
        )
        raise ConfigError(error.message, hint=hint.strip(), details=error.details) from error


def _read_as(file_format: str, path: Path, pairs: Mapping[str, str], *, name: str, seed: int) -> Workload:
    if file_format in TRACES:
        workload = f"{file_format}-{path.name.partition('.')[0]}"
        return TRACES[file_format](path, name=workload, pairs=pairs, seed=seed)
    limit = checked_options(pairs, _QuestionOptions, origin=name).limit
    if file_format in QUESTION_SETS:
        return read_question_set(path, name=file_format, limit=limit)
    if file_format == "sharegpt":
        return read_sharegpt(path, name=f"sharegpt-{path.stem}", limit=limit)
    return read_jsonl(path, limit=limit)


def _other_format(path: Path, given: str) -> str | None:
    """The format that a file refused as `given` seems to have, if it is another one."""
    try:
        found = format_of(path)
    except ConfigError:
        return None
    return found if found != given else None


def _format_of(path: Path, name: str) -> str:
    """The format of a path that came without one."""
    if not path.name.endswith(ENDINGS):
        raise _unknown(name)
    found = format_of(path)
    if found is None and path.name.endswith(".jsonl"):
        return "jsonl"
    if found is None:
        raise ConfigError(
            f"{path}: its content shows no format that is known.",
            hint=f"Say which it is, as format:path. Formats: {', '.join(FILE_FORMATS)}.",
        )
    return found


def _unknown(name: str) -> ConfigError:
    known = ", ".join(WORKLOADS)
    nearest = difflib.get_close_matches(name.lower(), WORKLOADS, n=1, cutoff=0.4)
    hint = f"Did you mean {nearest[0]!r}?" if nearest else f"Use one of {known}, or a .jsonl file."
    if all(part in WORKLOADS for part in name.split("+")):
        hint = f"A mix gives each part a weight: {'+'.join(f'{part}*1' for part in name.split('+'))}."
    return ConfigError(
        f"There is no workload {name!r}. Allowed: {known}, the path of a file ending in {', '.join(ENDINGS)}, "
        f"format:path ({', '.join(FILE_FORMATS)}), {synthetic.NAME}:input=N,output=N, or a mix such as "
        "chat*0.7+copy*0.3.",
        hint=hint,
    )
