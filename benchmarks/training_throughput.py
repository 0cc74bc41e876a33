"""How many tokens a second can a draft learn from here? A dummy-weight target of any size, answers of random tokens, a minute of each.

    python benchmarks/training_throughput.py --sizes 1b --work DIR --name h100                # a 1B-class Llama, on a GPU
    python benchmarks/training_throughput.py --sizes smollm2 --work DIR --name 2-core-cpu     # 135M, on two cores

Both trainers run as `kilotoken draft make` runs them. Weights and tokens are random, so that acceptance means nothing and is not
shown: what is measured is the target's pass over the answers and the steps of the training, in tokens of prompts and answers.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from drafts.training.device import device_for
from workbench.child_steps import run_module
from workbench.models import resolve_model
from workbench.provenance import collect_provenance, machine_sentence
from workbench.run_directory import write_json

RESULTS = Path(__file__).with_name("results")
Row = dict[str, Any]
_SMALL = {"head_dim": 64, "rms_norm_eps": 1e-5, "max_position_embeddings": 2048, "tie_word_embeddings": False}
#: Published config.json sizes of models of these classes (Llama-3.2-1B, SmolLM2-135M); the vocabulary is the tokenizer's.
SIZES: dict[str, Row] = {
    "1b": _SMALL | {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32,
                    "num_key_value_heads": 8, "vocab_size": 32000},
    "smollm2": _SMALL | {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9,
                         "num_key_value_heads": 3, "vocab_size": 32000},
}  # fmt: skip
#: Whose tokenizer the random target takes; its vocabulary is what the sizes name.
TOKENIZER_OF = "stories-15m"
PROMPT, ANSWER = 64, 192


def main() -> None:
    """Make the target and its answers, train both kinds, show, keep."""
    given = _arguments()
    given.work.mkdir(parents=True, exist_ok=True)
    target = _target(given)
    trained = _answers(given.work / "train.jsonl", given.answers, seed=1)
    held_out = _answers(given.work / "heldout.jsonl", 8, seed=2)
    jobs: list[tuple[str, str, Row]] = [
        ("eagle3", "drafts.eagle3.train", {"vocabulary_sizes": [8192]}),
        ("distil", "drafts.distil.train", {"layers": [0, SIZES[given.sizes]["num_hidden_layers"] - 1]}),
    ]
    rows = []
    for kind, module, own in jobs:
        job = own | {
            "target": str(target), "trained": str(trained), "held_out": str(held_out),
            "directory": str((given.work / kind).resolve()), "budget_s": 60.0 * given.minutes, "epochs": 1000.0,
            "tokens_per_step": given.tokens_per_step,
        }  # fmt: skip
        write_json(given.work / f"{kind}.json", job)
        outcome = run_module(module, [str(given.work / f"{kind}.json")], lambda *_: None)
        if outcome.error:
            sys.exit(f"error: {kind}: {outcome.error}\n{outcome.details}")
        rows.append(_row(kind, given, outcome.result))
        print(json.dumps(rows[-1]), flush=True)
    if given.name:
        provenance = collect_provenance(sys.argv)
        facts = {
            "command": provenance["command"], "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine_sentence(provenance["hardware"]), "versions": provenance["versions"], "git": provenance["git"],
            "device": device_for(None), "target": {"class": given.sizes, **SIZES[given.sizes]},
            "prompt_tokens": PROMPT, "answer_tokens": ANSWER, "answers": given.answers, "rows": rows,
        }  # fmt: skip
        write_json(RESULTS / f"training-throughput-{given.name}.json", facts)


def _target(given: argparse.Namespace) -> Path:
    target, sizes = given.work / "target", given.work / "sizes.json"
    if not (target / "config.json").is_file():
        write_json(sizes, SIZES[given.sizes])
        source = resolve_model(TOKENIZER_OF, base_dir=Path(), report=lambda *_: None)
        outcome = run_module(
            "drafts.random_checkpoint",
            [str(sizes), source.served_from, str(target.resolve())],
            lambda *_: None,
        )
        if outcome.error:
            sys.exit(f"error: {outcome.error}")
    return Path(target).resolve()


def _answers(path: Path, count: int, *, seed: int) -> Path:
    drawn = random.Random(seed)
    with path.open("w") as file:
        for number in range(count):
            tokens = [[drawn.randrange(3, 32000) for _ in range(length)] for length in (PROMPT, ANSWER)]
            trace = {
                "id": f"{seed}-{number}", "label": "random", "model": "random",
                "prompt_token_ids": tokens[0], "output_token_ids": tokens[1],
            }  # fmt: skip
            file.write(json.dumps(trace) + "\n")
    return path.resolve()


def _row(kind: str, given: argparse.Namespace, found: Row) -> Row:
    store = "teacher-trained" if kind == "eagle3" else "teacher"
    asked_s = json.loads((given.work / kind / store / "store.json").read_text())["spent_s"]
    tokens = given.answers * (PROMPT + ANSWER)
    return {
        "kind": kind, "steps": found["steps"],
        "target_pass_tokens_per_s": tokens / asked_s,
        "training_tokens_per_s": found["steps"] * given.tokens_per_step / found["elapsed_s"],
    }  # fmt: skip


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", choices=SIZES, required=True)
    parser.add_argument("--answers", type=int, default=200)
    parser.add_argument(
        "--minutes", type=float, default=2.0, help="of each training, the target's pass included"
    )
    parser.add_argument("--tokens-per-step", type=int, default=2048)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--name", help="write results/training-throughput-NAME.json")
    return parser.parse_args()


if __name__ == "__main__":
    main()
