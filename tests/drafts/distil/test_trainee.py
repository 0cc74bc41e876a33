"""What the trainer simulates of a draft is what the draft would do, token by token."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="comes with the engine")
pytest.importorskip("transformers", reason="comes with the engine")

from drafts.distil.initial import cut_layers, small_model  # noqa: E402
from drafts.distil.teacher import DistilTeacher, columns  # noqa: E402
from drafts.distil.trainee import DistilTrainee, DistilTraining  # noqa: E402
from drafts.training.batches import padded  # noqa: E402
from drafts.training.examples import ExampleFile  # noqa: E402
from drafts.training.objective import Objective  # noqa: E402
from drafts.training.teacher_store import TeacherStore, alone  # noqa: E402
from tests.drafts.tiny_llama import tiny_llama, write_answers  # noqa: E402


@pytest.fixture
def examples(tmp_path: Path) -> ExampleFile:
    return ExampleFile(write_answers(tmp_path / "a.jsonl", tiny_llama(), count=4), longest=64)


def store_of(folder: Path, examples: ExampleFile, likeliest: int) -> TeacherStore:
    store = TeacherStore(folder / "store", examples, columns(likeliest), "x")
    for number, example in enumerate(examples):
        store.put(number, DistilTeacher(tiny_llama(), likeliest).said_of(alone(example, "cpu")))
    return store


def test_matches_are_the_draft_s_own_greedy_tokens(examples: ExampleFile, tmp_path: Path) -> None:
    draft = cut_layers(tiny_llama(), [0, 1, 3])
    trainee = DistilTrainee(draft, trained=store_of(tmp_path, examples, 8), how=DistilTraining())
    k = 3
    batch = padded([0, 1, 2, 3], list(examples))
    found_any = False
    for example, matches in zip(examples, trainee.matches(batch, k), strict=True):
        for token in range(example.answer_from + 1, len(example.tokens)):
            text = torch.from_numpy(example.tokens[None, :token])
            for i in range(k):
                with torch.inference_mode():
                    said = int(draft(text).logits[0, -1].argmax())
                agrees = token + i < len(example.tokens) and said == example.tokens[token + i]
                assert matches[i, token] == agrees
                found_any |= agrees
                if not agrees:
                    break
                text = torch.cat([text, torch.tensor([[said]])], dim=1)
    assert found_any


def test_the_loss_is_least_for_the_target_itself(examples: ExampleFile, tmp_path: Path) -> None:
    store, generator = store_of(tmp_path, examples, 64), torch.Generator()
    batch = padded([0, 1, 2, 3], list(examples))
    how = DistilTraining(early=Objective.KL, hybrid_from=1.0)
    own = DistilTrainee(tiny_llama(), trained=store, how=how).loss(batch, done=0.0, generator=generator)
    other = DistilTrainee(tiny_llama(seed=7), trained=store, how=how).loss(
        batch, done=0.0, generator=generator
    )
    assert float(own.detach()) < 0.02 < float(other.detach())


def test_padding_changes_no_loss(examples: ExampleFile, tmp_path: Path) -> None:
    store = store_of(tmp_path, examples, 64)
    trainee = DistilTrainee(tiny_llama(seed=7), trained=store, how=DistilTraining())
    wide = padded([0], [examples[0]])
    longer = type(wide)(
        wide.numbers,
        torch.nn.functional.pad(wide.tokens, (0, 9)),
        torch.nn.functional.pad(wide.learned, (0, 9)),
    )
    losses = [
        float(trainee.loss(batch, done=0.0, generator=torch.Generator()).detach()) for batch in (wide, longer)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=2e-2)


def test_layers_of_the_target_in_their_order() -> None:
    target = tiny_llama()
    draft = cut_layers(target, [0, 3])
    assert draft.config.num_hidden_layers == 2
    assert draft.training
    torch.testing.assert_close(
        draft.model.layers[1].mlp.up_proj.weight, target.model.layers[3].mlp.up_proj.weight
    )
    torch.testing.assert_close(draft.lm_head.weight, target.lm_head.weight)
    with pytest.raises(ValueError, match=r"layers \[4\] of a target with 4"):
        cut_layers(target, [4])


def test_a_small_model_needs_the_target_s_vocabulary(tmp_path: Path) -> None:
    tiny_llama().save_pretrained(tmp_path / "small")
    assert small_model(tmp_path / "small", target_vocabulary=64).config.vocab_size == 64
    with pytest.raises(ValueError, match="has 64 tokens, the target 65"):
        small_model(tmp_path / "small", target_vocabulary=65)


def test_rows_are_kept_to_the_bit_and_an_interrupted_pass_goes_on(
    examples: ExampleFile, tmp_path: Path
) -> None:
    teacher = DistilTeacher(tiny_llama(), 8)
    store = TeacherStore(tmp_path / "s", examples, columns(8), "x")
    said = teacher.said_of(alone(examples[0], "cpu"))
    store.put(0, said)
    store.flush()
    again = TeacherStore(tmp_path / "s", examples, columns(8), "x")
    assert again.done == 1
    assert torch.equal(again.rows(0, "ids"), said["ids"])
    assert torch.equal(again.rows(0, "log_p"), said["log_p"])
    with pytest.raises(ValueError, match="example 2 cannot come behind 1"):
        again.put(2, said)
    assert TeacherStore(tmp_path / "s", examples, columns(8), "another target").done == 0
    assert np.isclose(float(said["log_p"].exp().sum(-1).max()), 1.0, atol=0.5)
