"""A plan's directory: plan.json, server.yaml for `kilotoken serve`, and with a proof proof.yaml and its run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from accounting.errors import RunError
from accounting.prices import Price
from workbench.planning.proof import mixed_workload, proof_experiment, proof_sentence
from workbench.run_directory import RunDirectory, write_json

Document = dict[str, Any]
PLAN, SERVER, PROOF = "plan.json", "server.yaml", "proof.yaml"
#: What a plan is of: a proof is of the same plan or of none.
_OF = ("target", "server", "slo", "by", "request_mix", "traces", "profile")


def check_directory(directory: Path) -> None:
    """Refuse a directory that cannot be written, before a plan is made.

    Raises:
        RunError: saying why.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"{directory} cannot be written: {error.strerror or error}.", hint="Give another --out."
        ) from error


def write_plan(document: Document, directory: Path) -> None:
    """Keep the plan, and its configuration where there is a policy to serve.

    Raises:
        RunError: if another plan is there: its proof would be taken for this one's.
    """
    check_directory(directory)
    plain = _plain(document)
    known = _read(directory / PLAN)
    if known is not None and any(known.get(key) != plain.get(key) for key in _OF):
        raise RunError(f"{directory} holds another plan.", hint="Give another --out.")
    if document["feasible"]:
        unproved = (
            "; a schedule, which is not to be served before a proof says so" if document["schedule"] else ""
        )
        text = yaml.safe_dump(plain["server"], sort_keys=False, default_flow_style=False, width=100)
        (directory / SERVER).write_text(
            f"# planned by kilotoken: {document['chosen']['name']}{unproved}\n{text}", encoding="utf-8"
        )
    write_json(directory / PLAN, plain)


def _plain(document: Mapping[str, Any]) -> Document:
    """As a file holds it: dates as text."""
    return dict(json.loads(json.dumps(document, default=str)))


def _read(path: Path) -> Document | None:
    if not path.exists():
        return None
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"{path} is damaged: {error}.", hint="Give another --out, or remove it.") from error


def write_proof(
    document: Mapping[str, Any],
    directory: Path,
    *,
    workloads: Sequence[str],
    budget_h: float | None,
    price: Price | None,
) -> Path:
    """The proof's experiment. Until its run has begun it may be asked for otherwise; a run that has begun goes on as it was.

    Raises:
        RunError: if the run was begun otherwise.
    """
    path = directory / PROOF
    experiment = proof_experiment(
        document,
        document["profiled_server"],
        workloads=workloads or [mixed_workload(document["request_mix"])],
        budget_h=budget_h,
        highest=document["most_streams"],
        price=price,
        base_dir=Path.cwd(),
    )
    begun = (directory / "proof" / "plan.json").exists()
    if begun and _undated(_read(path) or {}) != _undated(_plain(experiment)):
        raise RunError(
            f"{directory / 'proof'} was begun otherwise.",
            hint="Give the options that it was begun with, or another --out.",
        )
    if not begun:
        write_json(path, experiment)  # JSON is YAML
    return path


def _undated(experiment: Document) -> Document:
    """Without the price's date: an amount given on the command line is dated today, whenever that is."""
    price = {key: value for key, value in experiment.get("price", {}).items() if key != "as_of"}
    return experiment | {"price": price}


def with_proof(document: Document, directory: Path) -> Document:
    """The plan with what its proof found, kept so."""
    rows = RunDirectory.open(directory / "proof").read_json("comparison.json")["comparisons"]
    said = proof_sentence(rows, schedule=document["schedule"])
    proved = document | {"proof": {"run": "proof", "rows": rows, "said": said}}
    write_json(directory / PLAN, _plain(proved))
    return proved
