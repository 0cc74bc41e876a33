"""Which of a file's entries become prompts, and in which split each is.

Entries whose first request is equal count once: the later ones are dropped and counted. Either every entry
says its `split` or none does. Where none does, a hash of the template (without one, of the content) sends
about 15 % to warm-up and the rest to the measured prompts, whatever the order of the entries. A file whose
entries all name one template is split by content instead: nothing was trained on it, and it needs a warm-up
too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from accounting.errors import ConfigError
from loadtest.workloads.hash_split import chosen_by_hash
from loadtest.workloads.json_lines import Place
from loadtest.workloads.prompt import Message, Prompt, Sampling, Split, Workload

_WARM_UP_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class Entry:
    """What one line, or one conversation, of a file says."""

    place: Place
    messages: tuple[Message, ...]
    template: str | None = None
    split: Split | None = None
    turns: tuple[str, ...] = ()
    max_tokens: int | None = None
    output_tokens: int | None = None
    sampling: Sampling | None = None

    @property
    def content_key(self) -> str:
        """Equal for equal first requests only."""
        return _digest(json.dumps([[message.role, message.content] for message in self.messages]))

    @property
    def group(self) -> str:
        """The template, or a stand-in of its own for an entry without one."""
        return self.template if self.template is not None else f"untemplated-{self.content_key[:12]}"

    def prompt(self, workload: str, split: Split) -> Prompt:
        """The prompt of this entry."""
        return Prompt(
            prompt_id=f"{workload}-{self.place.unit}-{self.place.number:05d}",
            workload=workload,
            template=self.group,
            split=split,
            messages=self.messages,
            max_tokens=self.max_tokens,
            turns=self.turns,
            sampling=self.sampling,
            output_tokens=self.output_tokens,
        )


def workload_of(
    entries: Sequence[Entry], *, name: str, source: str, limit: int | None = None, note: str = ""
) -> Workload:
    """The workload of a file's entries, of the first `limit` distinct ones if that is given.

    Raises:
        ConfigError: if fewer than two are distinct, or the given splits cannot be used.
    """
    path = entries[0].place.path
    distinct = _without_duplicates(entries)
    kept = distinct[:limit]
    if len(kept) < 2:
        raise ConfigError(
            f"{path}: there is only one distinct prompt. At least two are needed, because a prompt used for "
            "warm-up is never measured.",
            hint="Add a second line with another prompt." if limit is None else "Raise the limit.",
        )
    prompts = tuple(entry.prompt(name, split) for entry, split in zip(kept, _splits(kept), strict=True))
    description = f"{len(kept)} prompts from {path.name}"
    if dropped := len(entries) - len(distinct):
        description += f"; {dropped} {'duplicate' if dropped == 1 else 'duplicates'} dropped"
    if len(kept) < len(distinct):
        description += f"; {len(distinct) - len(kept)} more left out by the limit"
    return Workload(name, f"{description}{note}", source, prompts)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _without_duplicates(entries: Sequence[Entry]) -> list[Entry]:
    first: dict[str, Entry] = {}
    for entry in entries:
        first.setdefault(entry.content_key, entry)
    return list(first.values())


def _splits(entries: Sequence[Entry]) -> list[Split]:
    given = [entry.split for entry in entries if entry.split is not None]
    if not given:
        return _assigned(entries)
    for entry in entries:
        if entry.split is None:
            entry.place.fail(
                "this line has no 'split', but others have. Either every line gives one or none does.",
                hint=f"Add a 'split' ({', '.join(Split)}), or remove it from all lines.",
            )
    _check_trained_templates(entries)
    return given


def _check_trained_templates(entries: Sequence[Entry]) -> None:
    trained = {entry.group: entry.place.number for entry in reversed(entries) if entry.split is Split.TRAIN}
    for entry in entries:
        if entry.split is not Split.TRAIN and entry.group in trained:
            entry.place.fail(
                f"the template {entry.group!r} is {entry.split} here and train on line {trained[entry.group]}. "
                "A template used for training may be in no other split.",
                hint="A draft that was trained on a template looks better on it than it is.",
            )


def _assigned(entries: Sequence[Entry]) -> list[Split]:
    groups = [entry.group for entry in entries]
    if len(set(groups)) < 2:
        groups = [entry.content_key for entry in entries]
    warm_up = chosen_by_hash(set(groups), _WARM_UP_SHARE)
    return [Split.WARM_UP if group in warm_up else Split.MEASURED for group in groups]
