import hashlib
import random
import re
import subprocess
import sys
from collections import Counter, defaultdict
from difflib import SequenceMatcher
from functools import cache
from itertools import chain, combinations
from pathlib import Path

import pytest

from accounting.errors import ConfigError
from loadtest.workloads import Message, Split, Workload, load_workload
from loadtest.workloads.catalogue import WORKLOADS
from loadtest.workloads.copy_edit import TASKS
from loadtest.workloads.passage_patterns import PATTERNS
from loadtest.workloads.passages import passage, record
from loadtest.workloads.slots import Slots

ROOT = Path(__file__).parents[2]
NAMES = tuple(WORKLOADS)
WORDS = {"chat": (15, 80), "copy": (70, 200), "story": (15, 50), "code": (10, 70), "shared": (380, 640)}
TEMPLATES = {
    "chat": (24, 8),
    "copy": (16, 6),
    "story": (16, 6),
    "code": (20, 8),
    "shared": (11, 4),
}  # in all, and among the measured

every_workload = pytest.mark.parametrize("name", NAMES)
every_copy_task = pytest.mark.parametrize(
    ("split", "name"), [(split, name) for split, makers in TASKS.items() for name in makers]
)


@cache
def workload(name: str, seed: int = 1) -> Workload:
    """The generated workload, made once for all tests."""
    return load_workload(name, seed=seed)


def contents(name: str, seed: int = 1) -> list[str]:
    """The text of every prompt."""
    return [prompt.messages[0].content for prompt in workload(name, seed).prompts]


@every_workload
def test_the_splits_are_large_enough(name: str) -> None:
    """2,000 prompts: 800 measured ones, 200 each for warm-up and held out, 400 to train on."""
    counts = Counter(prompt.split for prompt in workload(name).prompts)
    assert counts[Split.MEASURED] >= 800
    assert counts[Split.WARM_UP] >= 200
    assert counts[Split.HELD_OUT] >= 200
    assert counts[Split.TRAIN] >= 400
    assert counts.total() >= 2000


@every_workload
def test_of_returns_the_prompts_of_one_split(name: str) -> None:
    """The splits together are the workload: nothing is lost and nothing is in two of them."""
    parts = [workload(name).of(split) for split in Split]
    assert tuple(chain.from_iterable(parts)) == workload(name).prompts
    for split, part in zip(Split, parts, strict=True):
        assert {prompt.split for prompt in part} == {split}


@every_workload
def test_prompts_and_ids_are_distinct(name: str) -> None:
    """No text and no id occurs twice, so that a cache hit is never the workload's own doing."""
    prompts = workload(name).prompts
    assert len({prompt.messages for prompt in prompts}) == len(prompts)
    assert len({prompt.prompt_id for prompt in prompts}) == len(prompts)
    assert all(prompt.workload == name for prompt in prompts)
    assert all(re.fullmatch(rf"{name}-[a-z_]+-\d{{5}}", prompt.prompt_id) for prompt in prompts)


@every_workload
def test_every_template_is_in_one_split(name: str) -> None:
    """A draft trained on a template is never measured on it; there are enough templates to generalise."""
    splits = defaultdict(set)
    for prompt in workload(name).prompts:
        splits[prompt.template].add(prompt.split)
    assert all(len(found) == 1 for found in splits.values())
    in_all, measured = TEMPLATES[name]
    assert len(splits) >= in_all
    assert sum(found == {Split.MEASURED} for found in splits.values()) >= measured


def test_the_same_seed_gives_the_same_prompts_in_another_process() -> None:
    """Hash randomisation and the global generator have no say in the prompts."""
    code = (
        "import hashlib, random; random.seed(99); from loadtest.workloads import load_workload; "
        f"made = [load_workload(name, seed=1) for name in {NAMES!r}]; "
        "print(hashlib.sha256(repr(made).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed in ("1", "2")
    }
    here = repr([load_workload(name, seed=1) for name in NAMES])
    assert digests == {hashlib.sha256(here.encode()).hexdigest()}


@every_workload
def test_the_global_generator_is_left_alone(name: str) -> None:
    """Generating prompts draws nothing from the module-level random state."""
    before = random.getstate()
    load_workload(name, seed=5)
    assert random.getstate() == before


@every_workload
def test_another_seed_gives_other_prompts_but_the_same_splits(name: str) -> None:
    """A seed changes the words, never which template is trained on or measured."""
    shared = set(contents(name, 1)) & set(contents(name, 2))
    assert len(shared) < 0.01 * len(contents(name))
    of_template = [
        {prompt.template: prompt.split for prompt in workload(name, seed).prompts} for seed in (1, 2)
    ]
    assert of_template[0] == of_template[1]


@every_workload
def test_a_stretch_of_prompts_holds_every_template_of_its_split(name: str) -> None:
    """Prompts come in rounds, so that a short run sees as many templates as a long one."""
    for split in Split:
        prompts = workload(name).of(split)
        templates = {prompt.template for prompt in prompts}
        first, second = prompts[: len(templates)], prompts[len(templates) : 2 * len(templates)]
        assert {prompt.template for prompt in first} == {prompt.template for prompt in second} == templates
    measured = workload(name).of(Split.MEASURED)
    size = len({prompt.template for prompt in measured})
    orders = {
        tuple(p.template for p in measured[start : start + size]) for start in range(0, 10 * size, size)
    }
    assert len(orders) > 1


@every_workload
def test_prompts_are_one_filled_user_message_of_the_right_length(name: str) -> None:
    """Every prompt is a single user message of plain text in which no slot was left open."""
    least, most = WORDS[name]
    for prompt in workload(name).prompts:
        assert [message.role for message in prompt.messages] == ["user"]
        assert prompt.max_tokens is None
    for text in contents(name):
        assert least <= len(text.split()) <= most, text
        assert not set("{}") & set(text)
        assert text.isascii()
        assert "  " not in text
        assert not re.search(r"\b[Aa] (apple|old|owl|engineer|orange|iron|animal|umbrella)\b", text), text


@every_workload
def test_a_generated_workload_says_where_it_comes_from(name: str) -> None:
    """The source names the seed, so that a result can be generated again."""
    assert workload(name, 2).source == "generated, seed 2"
    assert workload(name).name == name
    assert workload(name).description


@every_copy_task
def test_the_answer_to_a_copy_task_is_mostly_the_given_text(split: Split, name: str) -> None:
    """Right answers have 60 to 130 words, nearly all of which stand in the prompt in the same order."""
    for seed in range(25):
        task = TASKS[split][name](random.Random(seed), PATTERNS[split])
        answer = task.answer.split()
        assert 60 <= len(answer) <= 130
        assert _copied_share(task.answer, task.given) >= 0.8, task


def _copied_share(answer: str, given: str) -> float:
    """The share of the answer's words that stand in the given text in the same order."""
    words, source = (re.findall(r"\w+", text.lower()) for text in (answer, given))
    blocks = SequenceMatcher(None, source, words, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) / len(words)


@every_copy_task
def test_the_copy_prompt_is_the_instruction_and_then_the_text(split: Split, name: str) -> None:
    """Small models need the instruction first and short; the text to be copied follows it."""
    for prompt in workload("copy").of(split):
        if prompt.template == name:
            instruction, _, given = prompt.messages[0].content.partition("\n\n")
            assert len(instruction.split()) <= 30
            assert len(given.split()) >= 60


@pytest.mark.parametrize("name", ["change_name", "change_number", "change_town", "change_date"])
def test_a_change_has_one_meaning(name: str) -> None:
    """The old word stands in the text, the new one does not, and the answer has it the other way round."""
    split, make = next((split, makers[name]) for split, makers in TASKS.items() if name in makers)
    for seed in range(60):
        task = make(random.Random(seed), PATTERNS[split])
        assert task.given != task.answer
        changed = [
            (old, new)
            for old, new in zip(task.given.split(), task.answer.split(), strict=False)
            if old != new
        ]
        assert changed
        assert all(word in task.instruction for word in changed[0][0].strip(".,").split())
        assert len(re.findall(rf"\b{re.escape(changed[0][1].strip('.,'))}\b", task.given)) == 0


@pytest.mark.parametrize("split", list(Split))
def test_a_passage_holds_its_details(split: Split) -> None:
    """Every opening names the person, the town and the date; no number stands in the passage twice."""
    for seed in range(150):
        made = passage(random.Random(seed), PATTERNS[split])
        assert 60 <= len(made.text.split()) <= 112
        assert made.person in made.text
        assert made.town in made.text
        assert made.text.count(made.date) == 1
        assert all(len(re.findall(rf"\b{number}\b", made.text)) == 1 for number in made.numbers)


def test_no_sentence_pattern_serves_two_splits() -> None:
    """A copied sentence is the answer itself: training on it must not help with a measured one."""
    for one, other in combinations(PATTERNS.values(), 2):
        assert not {*one.openings, *one.middles, *one.closings} & {
            *other.openings,
            *other.middles,
            *other.closings,
        }
        assert not set(one.fields) & set(other.fields)


def test_a_record_repeats_no_field() -> None:
    """A record can be turned into another format without losing a field."""
    for seed in range(30):
        names = [name for name, _ in record(random.Random(seed), PATTERNS[Split.MEASURED])]
        assert len(set(names)) == len(names) >= 10


def test_slots_remember_numbered_names_and_repeat_no_other() -> None:
    """`{fruit1}` is the same fruit each time; `{fruit}` is one that was not used before."""
    slots = Slots(random.Random(3), {"fruit": ("apple", "pear", "fig")})
    first, again, second, third = slots.fill("{fruit1} {fruit1} {fruit} {fruit}").split()
    assert first == again
    assert {first, second, third} == {"apple", "pear", "fig"}
    with pytest.raises(ValueError, match="more than the 3 words of the slot 'fruit'"):
        slots.fill("{fruit}")


def test_slots_put_the_right_article() -> None:
    """A word that begins with a vowel takes `an`, except where it does not sound like one."""
    slots = Slots(random.Random(0), {}, {"it": "owl", "that": "useful map"})
    assert slots.fill("A {it} on a {that}") == "An owl on a useful map"


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    """The message lists what is allowed and the hint names the workload that was probably meant."""
    with pytest.raises(ConfigError) as caught:
        load_workload("storys", seed=1)
    assert "'storys'" in caught.value.message
    assert all(name in caught.value.message for name in (*NAMES, ".jsonl"))
    assert "'story'" in caught.value.hint


def test_a_name_like_none_is_refused_without_a_guess() -> None:
    """Where nothing is near, the hint lists the names instead of guessing."""
    with pytest.raises(ConfigError) as caught:
        load_workload("/tmp/prompts.csv", seed=1)
    assert "Did you mean" not in caught.value.hint


def test_a_path_is_looked_up_from_the_base_directory(tmp_path: Path) -> None:
    """An experiment file names its prompts relative to itself; an absolute path stays as it is."""
    file = tmp_path / "mine.jsonl"
    file.write_text('{"prompt": "one"}\n{"prompt": "two"}\n', encoding="utf-8")
    relative = load_workload("mine.jsonl", seed=1, base_dir=tmp_path)
    absolute = load_workload(str(file), seed=2, base_dir=tmp_path / "elsewhere")
    assert relative == absolute
    assert relative.name == "mine"
    assert relative.prompts[0].messages == (Message("user", "one"),)


def test_prompts_of_the_shared_workload_have_long_beginnings_in_common_within_a_split_only() -> None:
    """What a prefix cache can save: four beginnings carry nearly all words of every prompt of a split."""
    beginnings: dict[Split, set[str]] = defaultdict(set)
    for prompt in workload("shared").prompts:
        text, _, question = prompt.messages[0].content.rpartition("\n\n")
        assert len(text.split()) > 15 * len(question.split())
        beginnings[prompt.split].add(text)
    assert {len(found) for found in beginnings.values()} == {4}
    assert len(set().union(*beginnings.values())) == 16
