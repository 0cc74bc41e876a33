"""Why a hub gave no model, in a user's words: gated, not found, unreachable, or a disk that became full.

huggingface_hub's errors are recognised by the names of their classes, so that this file needs no library.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """What went wrong and what to do. Kind "unreachable": the hub said nothing about the model."""

    error: str
    hint: str = ""
    kind: str = ""


def explain(error: BaseException, repository: str, revision: str | None, *, has_token: bool) -> Refusal:
    """The refusal behind an exception of huggingface_hub (or of the system below it)."""
    names = {cls.__name__ for cls in type(error).__mro__}
    status = getattr(getattr(error, "response", None), "status_code", None)
    if _full_disk(error):
        return Refusal(
            f"The disk became full while {repository} was being fetched.",
            "Files that came whole are kept. Make room, or set HF_HOME to a directory with room, and start again.",
        )
    if "GatedRepoError" in names:
        return _gated(repository, has_token)
    if "RevisionNotFoundError" in names:
        return Refusal(
            f"{repository} has no revision {revision!r}.",
            "Name a branch, a tag or a full commit hash, or leave @… away for the default branch.",
        )
    if "RepositoryNotFoundError" in names:
        seen = "your token sees" if has_token else "can be seen without a token"
        return Refusal(
            f"There is no repository {repository} that {seen}.",
            "Check the name; a private one needs HF_TOKEN (or `hf auth login`) of an account that may read it.",
        )
    if status in (401, 403):
        what = "refuses this token" if has_token else "wants a token"
        return Refusal(f"The hub {what} for {repository} (HTTP {status}).", _TOKEN_HINT)
    return _unreachable(error, repository, status)


_TOKEN_HINT = "Set HF_TOKEN to a token that may read it, or log in with `hf auth login`."


def _gated(repository: str, has_token: bool) -> Refusal:
    if has_token:
        return Refusal(
            f"{repository} is gated, and the account of your token has no access to it.",
            "Ask for access on the model's page with that account, then start again; a fine-grained token also"
            " needs the permission to read gated repositories.",
        )
    return Refusal(
        f"{repository} is gated: its authors want to know who downloads it, and there is no token here.",
        f"Ask for access on the model's page. {_TOKEN_HINT}",
    )


def _unreachable(error: BaseException, repository: str, status: int | None) -> Refusal:
    if any(type(each).__name__ == "OfflineModeIsEnabled" for each in _chain(error)):
        return Refusal(
            f"{repository} is not on this machine as a whole, and HF_HUB_OFFLINE forbids to fetch it.",
            "Unset HF_HUB_OFFLINE, or name a packaged model or a local directory.",
            "unreachable",
        )
    cause = str(error).strip().splitlines()
    said = (
        f"HTTP {status}" if status else f"{type(error).__name__}: {cause[0] if cause else 'no reason given'}"
    )
    return Refusal(
        f"The hub could not be reached for {repository}, or broke off ({said}).",
        "Files that came whole are kept: start again when the network is back. HF_ENDPOINT names another hub.",
        "unreachable",
    )


def _full_disk(error: BaseException) -> bool:
    full = (errno.ENOSPC, errno.EDQUOT)
    return any(isinstance(each, OSError) and each.errno in full for each in _chain(error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
