"""What `kilotoken draft check` does: is this draft whole, its target's, what was trained, and served as it was judged?

Four questions, the cheap ones first: what the files say of themselves (nothing is loaded), what they are when computed (a child
process), what a live server counts against what replay says, and all of it kept as a verdict beside the weights.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from accounting.errors import ModelError
from drafts.manifest import changed_files, fingerprint, read_manifest
from serving.engine_build import installed_device
from serving.legality import Circumstances, refusals
from serving.models.checkpoint_facts import CheckpointFacts, read_checkpoint_facts
from serving.models.draft_verdict import keep_verdict
from serving.number_type import explicit_type
from workbench.child_steps import failure, run_module
from workbench.drafting.live import LiveAsk, live_against_replay
from workbench.drafting.sections import method_of, server_with, speculation
from workbench.models import resolve_model
from workbench.status_line import steps

Document = dict[str, Any]
Say = Callable[[str], None]
FORMAT = "kilotoken-draft-check/1"
DEFAULT_WORKLOADS = ("chat", "copy")


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """`live` is None where no server is to be started. `dtype`: auto is the type that is served fast here."""

    draft: str
    target: str
    k: int
    live: LiveAsk | None
    dtype: str = "auto"


def check_draft(request: CheckRequest, *, base_dir: Path, log: Path, say: Say) -> Document:
    """Ask all of it; the document, which is kept beside the draft where its directory can be written.

    Raises:
        KilotokenError: if something could not be asked, which says nothing about the draft: no verdict is kept then.
    """
    told = steps(say)
    draft = resolve_model(request.draft, base_dir=base_dir, report=told, tokenizer_needed=False)
    target = resolve_model(request.target, base_dir=base_dir, report=told)
    directories = (Path(draft.served_from), Path(target.served_from))
    facts = [read_checkpoint_facts(directory) for directory in directories]
    document: Document = {
        "format": FORMAT, "draft": request.draft, "target": request.target, "method": method_of(facts[0]),
        "checked_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "parity": {"reason": "what the files say of themselves is wrong already"},
        "live": {"reason": "not asked for" if request.live is None else "the files are wrong already"},
    }  # fmt: skip
    problems = _said_problems(request, facts[0], facts[1], directories, say)
    live_problems: list[str] = []
    if not problems:
        found, document["parity"] = _computed(request, directories, told)
        problems += found
    if request.live is not None and not problems:
        document["live"], live_problems = _live(request, request.live, directories, log, say)
    document |= {"problems": [*problems, *live_problems], "passed": not problems and not live_problems}
    document["kept_in"] = _keep(
        directories, document, live_problems, live_asked="positions" in document["live"]
    )
    return document


def _type_of(request: CheckRequest) -> str:
    return explicit_type(request.dtype, device=installed_device())


def _said_problems(
    request: CheckRequest,
    draft: CheckpointFacts,
    target: CheckpointFacts,
    directories: tuple[Path, Path],
    say: Say,
) -> list[str]:
    """Tensors, shapes, vocabulary, tokenizer, and what the manifest says of files and target."""
    say("reading what the files say")
    section = speculation(draft, directories[0], request.k)
    config = server_with(request.target, target, section, dtype=_type_of(request), streams=1)
    circumstances = Circumstances(device=installed_device(), target=target, draft=draft)
    problems = [refusal.reason for refusal in refusals(config, circumstances)]
    manifest = read_manifest(directories[0])
    if manifest is not None:
        problems += changed_files(directories[0], manifest.files)
        if manifest.target.sha256 != fingerprint(directories[1]):
            problems.append(
                f"it was trained for other files than these of {request.target}: its target was {manifest.target.name}, "
                f"{manifest.target.sha256[:12]}"
            )
    return problems


def _computed(
    request: CheckRequest, directories: tuple[Path, Path], report: Callable[..., None]
) -> tuple[list[str], Document]:
    """What the child finds wrong of the files, and how near its logits are.

    Raises:
        ModelError: if the files cannot be computed here; nothing is known of the draft then.
    """
    report("computing what the files say of a few texts", 0, None)
    with tempfile.TemporaryDirectory(prefix="kilotoken-check-") as folder:
        job = Path(folder) / "job.json"
        job.write_text(json.dumps({"draft": str(directories[0]), "target": str(directories[1])}))
        outcome = run_module("drafts.training.check_files", [str(job)], report)
    if outcome.error:
        raise failure(
            f"{request.draft} could not be checked",
            outcome,
            hint="It takes torch and transformers, which come with the engine.",
        )
    if said := outcome.result.get("not_modelled"):
        raise ModelError(
            f"{request.draft} cannot be checked: {said}",
            hint="It can be served and compared all the same (`kilotoken run`).",
        )
    return list(outcome.result["problems"]), dict(outcome.result["parity"])


def _live(
    request: CheckRequest,
    ask: LiveAsk,
    directories: tuple[Path, Path],
    log: Path,
    say: Say,
) -> tuple[Document, list[str]]:
    """What the server counts against replay, and where they differ.

    Raises:
        KilotokenError: if it could not be measured; nothing is known of it then.
    """
    found = live_against_replay(*directories, request.k, ask, dtype=_type_of(request), log=log, say=say)
    wrong = [row for row in found["positions"] if abs(row["difference"]) > found["allowed"]]
    return found, [
        f"at position {row['position']} the server accepts {row['live']:.1%}, the replay of its answers says "
        f"{row['replay']:.1%} ({100 * found['allowed']:.0f} points are allowed)"
        for row in wrong
    ]


def _keep(
    directories: tuple[Path, Path], document: Document, live_problems: Sequence[str], *, live_asked: bool
) -> str | None:
    """Where the verdict is kept; None where the directory cannot be written."""
    more = {key: document[key] for key in ("target", "method", "parity", "live")}
    files_alone = [problem for problem in document["problems"] if problem not in live_problems]
    try:
        keep_verdict(
            *directories, problems=files_alone, live_problems=live_problems, live_asked=live_asked,
            checked_at=document["checked_at"], more=more,
        )  # fmt: skip
    except OSError:
        return None
    return str(directories[0])
