"""What the trainer simulates of a head is what a server would do with it, and what is exported is what was trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="comes with the engine")
pytest.importorskip("transformers", reason="comes with the engine")

from safetensors.torch import load_file  # noqa: E402

from drafts.eagle3.export import Layout, export_head  # noqa: E402
from drafts.eagle3.initial import initial_head, shape_for  # noqa: E402
from drafts.eagle3.teacher import Eagle3Teacher, columns, default_layers, layers_to_train  # noqa: E402
from drafts.eagle3.trainee import HeadTrainee, HeadTraining  # noqa: E402
from drafts.eagle3.vocabulary import DraftVocabulary  # noqa: E402
from drafts.training.batches import padded  # noqa: E402
from drafts.training.examples import ExampleFile  # noqa: E402
from drafts.training.loop import look_at, train  # noqa: E402
from drafts.training.plan import TrainingPlan  # noqa: E402
from drafts.training.schedule import Schedule  # noqa: E402
from drafts.training.teacher_store import TeacherStore, alone  # noqa: E402
from tests.drafts.eagle3.test_model import chain  # noqa: E402
from tests.drafts.tiny_llama import tiny_llama, write_answers  # noqa: E402

VOCABULARY = DraftVocabulary(np.array([1, 2, *range(5, 60)], dtype=np.int64))
LAYERS = (1, 2, 5)


@pytest.fixture(scope="module")
def target() -> Any:
    return tiny_llama(layers=8)


@pytest.fixture(scope="module")
def files(target: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ExampleFile]:
    folder = tmp_path_factory.mktemp("answers")
    return {
        "train": ExampleFile(write_answers(folder / "t.jsonl", target, count=60), longest=64),
        "held_out": ExampleFile(write_answers(folder / "h.jsonl", target, count=12, seed=2), longest=64),
    }


@pytest.fixture(scope="module")
def stores(target: Any, files: dict[str, ExampleFile], tmp_path_factory: pytest.TempPathFactory) -> Any:
    teacher, made = Eagle3Teacher(target, LAYERS), {}
    for name, examples in files.items():
        store = TeacherStore(tmp_path_factory.mktemp(name), examples, columns(32, 3), "x")
        for number, example in enumerate(examples):
            store.put(number, teacher.said_of(alone(example, "cpu")))
        made[name] = store
    return made


def trainee_of(target: Any, stores: Any, **how: Any) -> HeadTrainee:
    shape = shape_for(target.config, vocabulary=len(VOCABULARY.target_ids))
    head = initial_head(target, shape, VOCABULARY, seed=1)
    return HeadTrainee(
        head, target, VOCABULARY,
        trained=stores["train"], held_out=stores["held_out"], how=HeadTraining(**how),
    )  # fmt: skip


def test_matches_are_what_a_server_s_chain_would_say(target: Any, files: Any, stores: Any) -> None:
    trainee = trainee_of(target, stores)
    head, example, k = trainee.head, files["held_out"][0], 3
    (matches,) = trainee.matches(padded([0], [example]), k)
    features = stores["held_out"].rows(0, "features").float()[None]
    fused = head.fc(features)
    tokens = torch.from_numpy(example.tokens)
    embedded = target.get_input_embeddings()(tokens)[None]
    agreed = 0
    for first in range(example.answer_from + 1, len(tokens)):
        slot, cache = first - 2, []
        for before in range(slot):
            chain(head, fused[:, before : before + 1], [embedded[:, before + 1 : before + 2]], before, cache)
        feature, known = fused[:, slot : slot + 1], int(tokens[first - 1])
        for i in range(k):
            own = target.get_input_embeddings()(torch.tensor([[known]]))
            (feature,) = chain(head, feature, [own], slot + i, cache)
            said = int(VOCABULARY.target_ids[int(head.logits(feature)[0, 0].argmax())])
            agrees = first + i < len(tokens) and said == int(tokens[first + i])
            assert matches[i, first] == agrees
            agreed += agrees
            if not agrees:
                break
            known = said
    assert agreed, "a head that never agrees shows nothing here"


def test_it_learns(target: Any, files: Any, stores: Any, tmp_path: Path) -> None:
    plan = TrainingPlan(
        schedule=Schedule(3e-3),
        epochs=8,
        budget_s=None,
        tokens_per_step=240,
        looks=6,
        held_out=12,
        k=3,
        patience=99,
    )
    trainee = trainee_of(target, stores)
    before = look_at(trainee, files["held_out"], range(12), 3, "cpu").acceptance_length
    done = train(
        trainee, files["train"], files["held_out"], plan,
        directory=tmp_path, clock=lambda: 0.0, tell=lambda *_: None,
    )  # fmt: skip
    after = look_at(trainee, files["held_out"], range(12), 3, "cpu").acceptance_length
    assert after > before
    assert after == pytest.approx(max(look.acceptance_length for look in done.looks))
    assert np.mean(done.losses[-5:]) < 0.9 * np.mean(done.losses[:5])


def test_layers_are_those_of_the_served_model(target: Any) -> None:
    assert default_layers(30) == layers_to_train(30) == (2, 15, 27)
    assert all(len(layers_to_train(depth)) == 3 for depth in range(4, 40)), "three, whatever the depth"
    depth = target.config.num_hidden_layers
    with pytest.raises(ValueError, match=f"of a target with {depth}"):
        Eagle3Teacher(target, (2, 4, depth + 1))
    tokens = torch.tensor([[5, 9, 3, 7]])
    behind_all = Eagle3Teacher(target, (depth,)).features(tokens)
    normed = target.model(tokens, output_hidden_states=True).hidden_states[-1][0]
    torch.testing.assert_close(target.model.norm(behind_all), normed)
    assert not torch.allclose(behind_all, normed), "the stream itself, as vLLM hands it out"


@pytest.mark.parametrize("layout", Layout)
def test_what_is_exported_is_what_was_trained(
    target: Any, stores: Any, tmp_path: Path, layout: Layout
) -> None:
    head = trainee_of(target, stores).head
    export_head(head, VOCABULARY, target.config, LAYERS, tmp_path, layout=layout, verifier="tiny")
    tensors = load_file(tmp_path / "model.safetensors")
    config = json.loads((tmp_path / "config.json").read_text())
    layer = "midlayer." if layout is Layout.PLAIN else "layers.0."
    assert tensors[f"{layer}self_attn.q_proj.weight"].shape == (32, 64)
    torch.testing.assert_close(tensors["fc.weight"], head.fc.weight.detach().to(torch.bfloat16))
    ids = torch.arange(len(VOCABULARY.target_ids)) + tensors["d2t"]
    assert ids.tolist() == VOCABULARY.target_ids.tolist()
    assert tensors["t2d"].sum() == len(ids)
    assert tensors["t2d"][ids].all()
    assert "embed_tokens.weight" not in tensors, "the server shares the target's"
    assert config["draft_vocab_size"] == len(ids)
    assert config["norm_before_residual"] is False, "each layout has another default"
