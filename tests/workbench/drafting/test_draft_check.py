"""`kilotoken draft check` without a server: a draft as its trainer left it passes; each way to spoil one is found."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

torch = pytest.importorskip("torch", reason="comes with the engine")

from safetensors.torch import load_file, save_file  # noqa: E402

from accounting.errors import ConfigError, ModelError, ServerError  # noqa: E402
from drafts.distil.train import DistilJob, distil  # noqa: E402
from drafts.eagle3.train import Eagle3Job, train_head  # noqa: E402
from drafts.manifest import FILE as MANIFEST  # noqa: E402
from drafts.manifest import digests, read_manifest, write_manifest  # noqa: E402
from drafts.training.check_files import CheckJob, check_files  # noqa: E402
from serving.legality import Circumstances, refuse_illegal  # noqa: E402
from serving.models.checkpoint_facts import read_checkpoint_facts  # noqa: E402
from serving.models.draft_verdict import DraftVerdict, checkpoint_mark, kept_verdicts  # noqa: E402
from tests.drafts.tiny_llama import tiny_llama, write_answers  # noqa: E402
from workbench.child_steps import Outcome, run_module  # noqa: E402
from workbench.drafting import check  # noqa: E402
from workbench.drafting.check import CheckRequest, check_draft  # noqa: E402
from workbench.drafting.live import LiveAsk  # noqa: E402
from workbench.drafting.sections import server_with, speculation  # noqa: E402
from workbench.replay_draft import DraftModel, replay_draft  # noqa: E402

Spoil = Callable[[Path], None]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A target, a head in both layouts and a distilled draft, as the trainers leave them."""
    home = tmp_path_factory.mktemp("made")
    model = tiny_llama(layers=6)
    model.to(torch.bfloat16).save_pretrained(home / "target")
    model.float()
    _write_tokenizer(home / "target", "token")
    asked: dict[str, Any] = {
        "target": str(home / "target"), "trained": str(write_answers(home / "train.jsonl", model, count=40)),
        "held_out": str(write_answers(home / "heldout.jsonl", model, count=8, seed=2)),
        "tokens_per_step": 240, "learning_rate": 3e-3, "epochs": 1.0, "k": 3,
    }  # fmt: skip
    train_head(Eagle3Job(**asked, directory=str(home / "head"), layers=(1, 2, 4), vocabulary_sizes=(32,)))
    distil(DistilJob(**asked, directory=str(home / "distilled"), layers=(0, 5), likeliest=16))
    return home


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the child would compute, without the seconds that importing torch takes it; one test asks a real child."""

    def computed(_module: str, arguments: list[str], _report: object) -> Outcome:
        return Outcome(
            result=check_files(msgspec.json.decode(Path(arguments[0]).read_bytes(), type=CheckJob))
        )

    monkeypatch.setattr(check, "run_module", computed)


def _write_tokenizer(directory: Path, word: str) -> None:
    tokens = {f"{word}{i}": i for i in range(64)}
    (directory / "tokenizer.json").write_text(
        json.dumps({"model": {"type": "BPE", "vocab": tokens, "merges": []}})
    )
    (directory / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"})
    )


def verdict_of(draft: Path, target: Path) -> DraftVerdict | None:
    return kept_verdicts(draft, checkpoint_mark(draft)).get(checkpoint_mark(target))


def checked(draft: Path, target: Path, *, live: LiveAsk | None = None) -> dict[str, Any]:
    request = CheckRequest(str(draft), str(target), k=3, live=live)
    return check_draft(request, base_dir=Path(), log=Path("unused.log"), say=lambda _text: None)


def test_a_child_process_computes_it(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "run_module", run_module)
    assert checked(made / "head/draft", made / "target")["parity"]["same_first"] > 0.98


@pytest.mark.parametrize("draft", ["head/draft", "head/draft-speculators", "distilled/draft"])
def test_what_a_trainer_left_passes(made: Path, draft: str) -> None:
    found = checked(made / draft, made / "target")
    assert found["problems"] == []
    assert found["passed"]
    assert found["parity"]["rows"] > 20
    assert found["parity"]["same_first"] > 0.98
    assert found["parity"]["largest_error"] < 1e-3
    assert found["live"] == {"reason": "not asked for"}
    verdict = verdict_of(made / draft, made / "target")
    assert verdict is not None
    assert verdict.problems == ()
    manifest = read_manifest(made / draft)
    assert manifest is not None
    assert set(manifest.files) >= {"config.json", "model.safetensors", "parity.json"}
    assert manifest.metrics["after"]["acceptance_length"] >= 1


def _tensors(directory: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = directory / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)


def _without_a_norm(directory: Path) -> None:
    _tensors(directory, lambda tensors: tensors.pop("midlayer.hidden_norm.weight"))


def _ids_for_offsets(directory: Path) -> None:
    def change(tensors: dict[str, Any]) -> None:
        tensors["d2t"] += torch.arange(len(tensors["d2t"]))

    _tensors(directory, change)


def _permuted_rows(directory: Path) -> None:
    """As a file format that keeps rotary pairs side by side has them."""

    def change(tensors: dict[str, Any]) -> None:
        for part in ("q_proj", "k_proj"):
            name = f"midlayer.self_attn.{part}.weight"
            rows = tensors[name]
            heads = rows.shape[0] // 8
            tensors[name] = rows.view(heads, 2, 4, -1).transpose(1, 2).reshape(rows.shape)

    _tensors(directory, change)


def _same_tokens_twice(directory: Path) -> None:
    def change(tensors: dict[str, Any]) -> None:
        tensors["d2t"][5] = tensors["d2t"][4] - 1

    _tensors(directory, change)


def _other_marks(directory: Path) -> None:
    """As where d2t holds other offsets than those t2d was made with."""

    def change(tensors: dict[str, Any]) -> None:
        tensors["t2d"] = tensors["t2d"].roll(1)

    _tensors(directory, change)


def _other_states(directory: Path) -> None:
    """Its config says the state behind all layers, where the trainer had that behind the fourth."""
    config = json.loads((directory / "config.json").read_text())
    config["eagle_aux_hidden_state_layer_ids"] = [1, 2, 6]
    config["eagle_config"]["eagle_aux_hidden_state_layer_ids"] = [1, 2, 6]
    (directory / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_without_a_norm, "lacks hidden_norm.weight"),
        (_ids_for_offsets, "it must hold offsets"),
        (_permuted_rows, "its logits are not its trainer's"),
        (_other_states, "its logits are not its trainer's"),
        (_same_tokens_twice, "to a token that another one is already"),
        (_other_marks, "t2d marks other tokens"),
    ],
)
def test_a_spoilt_head_fails(made: Path, tmp_path: Path, spoil: Spoil, words: str) -> None:
    draft = tmp_path / "spoilt"
    shutil.copytree(made / "head/draft", draft)
    spoil(draft)
    manifest = read_manifest(draft)
    assert manifest is not None
    unsaid = {name: digest for name, digest in manifest.files.items() if name == "parity.json"}
    (draft / MANIFEST).unlink()  # the SHA-256 would say it already
    write_manifest(draft, msgspec.structs.replace(manifest, files=unsaid))
    found = checked(draft, made / "target")
    assert not found["passed"]
    assert any(words in problem for problem in found["problems"]), found["problems"]
    refused(draft, made)


def refused(draft: Path, made: Path) -> None:
    """Neither served nor replayed, unless that is said."""
    facts = [read_checkpoint_facts(made / "target"), read_checkpoint_facts(draft)]
    section = {**speculation(facts[1], draft, 3), "unchecked": False}
    circumstances = Circumstances(device="cpu", target=facts[0], draft=facts[1])
    config = server_with(str(made / "target"), facts[0], section, dtype="bfloat16", streams=1)
    with pytest.raises(ConfigError, match="failed `kilotoken draft check`"):
        refuse_illegal(config, circumstances)
    drafter = DraftModel(str(draft), str(made / "target"))
    with pytest.raises(ModelError, match="failed `kilotoken draft check`") as caught:
        replay_draft(made / "heldout.jsonl", [], drafter, [3], None, report=lambda *_: None)
    assert "--unchecked" in caught.value.hint


def test_changed_files_and_another_target_are_told(made: Path, tmp_path: Path) -> None:
    draft, target = tmp_path / "draft", tmp_path / "target"
    shutil.copytree(made / "distilled/draft", draft)
    other = tiny_llama(layers=6, seed=9)
    other.save_pretrained(target)
    _write_tokenizer(target, "token")
    _tensors(draft, lambda tensors: tensors["model.norm.weight"].mul_(1.5))
    problems = " ".join(checked(draft, target)["problems"])
    assert "model.safetensors has another SHA-256" in problems
    assert "it was trained for other files than these" in problems


def test_another_tokenizer_is_told(made: Path, tmp_path: Path) -> None:
    draft = tmp_path / "draft"
    shutil.copytree(made / "distilled/draft", draft)
    _write_tokenizer(draft, "other")
    problems = checked(draft, made / "target")["problems"]
    assert any("have another id or are unknown to the draft" in problem for problem in problems)


def test_a_verdict_speaks_of_the_files_that_were_checked(made: Path, tmp_path: Path) -> None:
    draft = tmp_path / "draft"
    shutil.copytree(made / "head/draft", draft)
    _without_a_norm(draft)
    checked(draft, made / "target")
    assert verdict_of(draft, made / "target") is not None
    shutil.copyfile(made / "head/draft/model.safetensors", draft / "model.safetensors")
    assert verdict_of(draft, made / "target") is None, "other weights: nothing is known of them"
    assert digests(draft, ["model.safetensors"]) == digests(made / "head/draft", ["model.safetensors"])


def test_a_verdict_is_one_target_s(made: Path, tmp_path: Path) -> None:
    draft, other = tmp_path / "draft", tmp_path / "other"
    shutil.copytree(made / "distilled/draft", draft)
    tiny_llama(layers=6, seed=9).to(torch.bfloat16).save_pretrained(other)
    _write_tokenizer(other, "token")
    assert checked(draft, made / "target")["passed"]
    assert not checked(draft, other)["passed"]
    right, wrong = verdict_of(draft, made / "target"), verdict_of(draft, other)
    assert right is not None
    assert right.problems == ()
    assert wrong is not None
    assert "it was trained for other files" in wrong.problems[0]


def _position(live: float) -> dict[str, Any]:
    row = {"position": 1, "live": live, "replay": 0.5, "difference": 0.5 - live}
    return {"positions": [row], "allowed": 0.03, "drafts": 500}


def test_what_a_server_counts_decides_and_is_not_forgotten(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft, target = tmp_path / "draft", made / "target"
    shutil.copytree(made / "head/draft", draft)
    ask = LiveAsk(("chat",))
    monkeypatch.setattr(check, "live_against_replay", lambda *_, **__: _position(0.44))
    found = checked(draft, target, live=ask)
    assert found["problems"] == [
        "at position 1 the server accepts 44.0%, the replay of its answers says 50.0% (3 points are allowed)"
    ]
    assert checked(draft, target)["passed"], "the files alone are right"
    verdict = verdict_of(draft, target)
    assert verdict is not None
    assert verdict.problems == tuple(found["problems"]), "what a server showed still holds"
    monkeypatch.setattr(check, "live_against_replay", lambda *_, **__: _position(0.48))
    assert checked(draft, target, live=ask)["passed"]
    verdict = verdict_of(draft, target)
    assert verdict is not None
    assert verdict.problems == ()


def test_what_could_not_be_measured_is_no_verdict(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = tmp_path / "draft"
    shutil.copytree(made / "head/draft", draft)
    (draft / "kilotoken-check.json").unlink(missing_ok=True)

    def dead(*_: Any, **__: Any) -> Any:
        raise ServerError("the server ended")

    monkeypatch.setattr(check, "live_against_replay", dead)
    with pytest.raises(ServerError, match="the server ended"):
        checked(draft, made / "target", live=LiveAsk(("chat",)))
    assert verdict_of(draft, made / "target") is None


def test_a_head_that_cannot_be_computed_here_is_no_failure(made: Path, tmp_path: Path) -> None:
    draft = tmp_path / "draft"
    shutil.copytree(made / "head/draft", draft)
    (draft / MANIFEST).unlink()
    config = json.loads((draft / "config.json").read_text())
    (draft / "config.json").write_text(json.dumps(config | {"norm_before_fc": True}))
    with pytest.raises(ModelError, match=r"norm_before_fc of the head in .* cannot be computed here"):
        checked(draft, made / "target")
    (draft / "config.json").write_text(json.dumps(config | {"architectures": ["LlamaForCausalLMEagle"]}))
    _tensors(draft, lambda tensors: tensors.pop("d2t"))
    with pytest.raises(ModelError, match="is a head of another method"):
        checked(draft, made / "target")


def test_a_head_from_elsewhere_has_no_logits_to_compare(made: Path, tmp_path: Path) -> None:
    draft = tmp_path / "draft"
    shutil.copytree(made / "head/draft", draft)
    for name in (MANIFEST, "parity.json"):
        (draft / name).unlink()
    found = checked(draft, made / "target")
    assert found["passed"]
    assert "no record of what its trainer computed" in found["parity"]["reason"]
