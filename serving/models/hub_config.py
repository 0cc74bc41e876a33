"""Fetches the config.json of one hub repository, and nothing else of it, into a cache of its own.

Run as `python -m serving.models.hub_config REPOSITORY REVISION CACHE` ("" for the default branch), as only the engine's
environment has huggingface_hub. Prints {"result": {"directory"}} or {"error", "hint", "kind"} as `hub_download` does. The hub's
own cache is left alone: there a snapshot without weights would look like a download that broke off.
"""

from __future__ import annotations

import sys
from pathlib import Path

from serving.models.hub_download import say
from serving.models.hub_refusals import Refusal, explain


def main(arguments: list[str]) -> int:
    """Fetch, or say on stdout why not; without a network what was fetched before serves."""
    if len(arguments) != 3:
        sys.stderr.write("usage: python -m serving.models.hub_config REPOSITORY REVISION CACHE\n")
        return 2
    repository, revision, cache = arguments[0], arguments[1] or None, arguments[2]
    try:
        from huggingface_hub import get_token, hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError
    except ImportError:
        say(
            error="Hub models need huggingface_hub, which comes with the engine.",
            hint="Install the engine (make setup), or give a directory that holds the model's config.json.",
            kind="unreachable",
        )
        return 1
    transport_error = HfHubHTTPError.__bases__[0]
    try:
        found = hf_hub_download(repository, "config.json", revision=revision, cache_dir=cache)
    except (OSError, ValueError, RuntimeError, EntryNotFoundError, transport_error) as error:
        if isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
            refusal = Refusal(
                f"{repository} holds no config.json.", "Take the form of this model that transformers loads."
            )
        else:
            refusal = explain(error, repository, revision, has_token=get_token() is not None)
        say(error=refusal.error, hint=refusal.hint, kind=refusal.kind)
        return 1
    say(result={"directory": str(Path(found).parent)})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
