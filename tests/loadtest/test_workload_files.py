import gzip
import json
from pathlib import Path

import pytest

from accounting.errors import ConfigError
from loadtest.workloads import Message, Split, Workload, load_workload
from loadtest.workloads.catalogue import files_of, relocated
from loadtest.workloads.prompt import Sampling

QUESTION = {"question_id": 81, "category": "writing", "turns": ["Write.", "Write again."], "reference": []}
FUNCTION = {
    "task_id": "HumanEval/0",
    "prompt": "def f():\n",
    "entry_point": "f",
    "canonical_solution": "  return 1",
    "test": "",
}
SUM = {"question": "2 + 3?", "answer": "#### 5"}


def lines(path: Path, *values: object) -> Path:
    """A file with one JSON value per line, packed where its name says so."""
    raw = "\n".join(json.dumps(value) for value in values).encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


def questions(count: int, category: str = "writing") -> list[dict[str, object]]:
    return [
        {"question_id": number, "category": category, "turns": [f"{category} {number}", "And then?"]}
        for number in range(count)
    ]


def load(name: str, base: Path) -> Workload:
    return load_workload(name, seed=1, base_dir=base)


def refusal(name: str, base: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(name, base)
    return caught.value


@pytest.mark.parametrize("name", ["mt-bench", "spec-bench"])
def test_questions_in_turns_are_sessions(tmp_path: Path, name: str) -> None:
    """The first turn is the prompt, the others follow the server's answers; each question is a template."""
    lines(tmp_path / "q.jsonl", QUESTION, {**QUESTION, "question_id": "b", "turns": ["Only this."]})
    made = load(f"{name}:q.jsonl", tmp_path)
    one, two = made.prompts
    assert (one.messages, one.turns) == ((Message("user", "Write."),), ("Write again.",))
    assert (two.messages, two.turns) == ((Message("user", "Only this."),), ())
    assert [prompt.template for prompt in made.prompts] == ["writing/81", "writing/b"]
    assert made.name == one.workload == name
    assert "3 turns in the file's 2 questions" in made.description


def test_human_eval_is_read_packed_and_unpacked(tmp_path: Path) -> None:
    """A function to be completed is sent as it stands; its solution and tests are not."""
    other = {**FUNCTION, "task_id": "HumanEval/1", "prompt": "def g():\n"}
    for file in ("h.jsonl", "h.jsonl.gz"):
        lines(tmp_path / file, FUNCTION, other)
        prompts = load(f"humaneval:{file}", tmp_path).prompts
        assert [prompt.messages for prompt in prompts] == [
            (Message("user", "def f():\n"),),
            (Message("user", "def g():\n"),),
        ]
        assert [prompt.template for prompt in prompts] == ["HumanEval/0", "HumanEval/1"]


def test_gsm8k_asks_the_question_and_keeps_the_answer(tmp_path: Path) -> None:
    lines(tmp_path / "g.jsonl", SUM, {**SUM, "question": "1 + 1?"})
    texts = [prompt.messages[0].content for prompt in load("gsm8k:g.jsonl", tmp_path).prompts]
    assert texts == ["2 + 3?", "1 + 1?"]


def test_every_category_is_measured(tmp_path: Path) -> None:
    """Taken as one template, whole categories would be spent on the warm-up."""
    lines(tmp_path / "q.jsonl", *questions(40, "math"), *questions(40, "coding"))
    made = load("mt-bench:q.jsonl", tmp_path)
    assert {p.template.split("/")[0] for p in made.of(Split.MEASURED)} == {"math", "coding"}
    warm_up, measured = ({p.messages for p in made.of(split)} for split in (Split.WARM_UP, Split.MEASURED))
    assert warm_up
    assert not warm_up & measured


def test_equal_questions_count_once_and_the_limit_is_said(tmp_path: Path) -> None:
    lines(tmp_path / "q.jsonl", *questions(6), {**questions(1)[0], "question_id": 99})
    made = load("mt-bench:q.jsonl?limit=4", tmp_path)
    assert len(made.prompts) == 4
    assert "1 duplicate dropped" in made.description
    assert "2 more left out by the limit" in made.description


@pytest.mark.parametrize(
    ("name", "damaged", "message"),
    [
        ("mt-bench", {"question_id": 1, "category": "math"}, "line 3: the line has no 'turns'"),
        ("mt-bench", {**QUESTION, "turns": []}, "line 3: 'turns' is empty"),
        ("mt-bench", {**QUESTION, "turns": ["a", ""]}, r"line 3: 'turns\[1\]' is empty"),
        ("spec-bench", {**QUESTION, "category": 3}, "line 3: 'category' is a number"),
        ("spec-bench", {**QUESTION, "question_id": None}, "line 3: 'question_id' is null"),
        ("humaneval", {**FUNCTION, "prompt": ""}, "line 3: 'prompt' is empty"),
        ("gsm8k", {"question": "?"}, "line 3: the line has no 'answer'"),
        ("gsm8k", ["?"], "line 3: the line is a list"),
    ],
)
def test_a_damaged_line_is_named_by_number(tmp_path: Path, name: str, damaged: object, message: str) -> None:
    good = {"mt-bench": QUESTION, "spec-bench": QUESTION, "humaneval": FUNCTION, "gsm8k": SUM}[name]
    lines(tmp_path / "x.jsonl", good, good, damaged)
    with pytest.raises(ConfigError, match=message):
        load(f"{name}:x.jsonl", tmp_path)


def test_a_gzip_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = lines(tmp_path / "h.jsonl.gz", FUNCTION, FUNCTION)
    path.write_bytes(path.read_bytes()[:-9])
    assert "not a complete gzip file" in refusal("humaneval:h.jsonl.gz", tmp_path).message


CONVERSATIONS = [
    {
        "id": "a",
        "conversations": [
            {"from": "system", "value": "Be brief."},
            {"from": "human", "value": "Hello."},
            {"from": "gpt", "value": "Hi."},
            {"from": "human", "value": "How"},
            {"from": "user", "value": "are you?"},
            {"from": "chatgpt", "value": "Well."},
        ],
    },
    {"conversations": [{"from": "gpt", "value": "cut off"}, {"from": "user", "value": "Go on."}]},
    {"conversations": [{"from": "bing", "value": "only an answer"}, {"from": "human", "value": "  "}]},
]


def test_a_conversation_is_what_people_said(tmp_path: Path) -> None:
    """Recorded answers are left out, what stands before the first question too; nothing asked, nothing sent."""
    (tmp_path / "talk.json").write_text(json.dumps(CONVERSATIONS))
    made = load("sharegpt:talk.json", tmp_path)
    one, two = made.prompts
    assert one.messages == (Message("system", "Be brief."), Message("user", "Hello."))
    assert one.turns == ("How\n\nare you?",)
    assert (two.messages, two.turns) == ((Message("user", "Go on."),), ())
    assert (one.prompt_id, one.template) == ("sharegpt-talk-conversation-00001", "sharegpt/1")
    assert "1 conversations without a question left out" in made.description


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        (
            [*CONVERSATIONS, {"conversations": [{"from": "humann", "value": "x"}]}],
            "conversation 4: 'from' is 'humann'",
            "'human'",
        ),
        (
            [CONVERSATIONS[0], {"conversations": [{"from": "human"}]}],
            "conversation 2: Object missing",
            "list",
        ),
        ([CONVERSATIONS[0], {"talk": []}], "conversation 2: Object missing", "list"),
        ({"a": 1}, "Expected `array`", "list"),
    ],
)
def test_a_damaged_conversation_is_named_by_number(
    tmp_path: Path, content: object, message: str, hint: str
) -> None:
    (tmp_path / "talk.json").write_text(json.dumps(content))
    error = refusal("sharegpt:talk.json", tmp_path)
    assert message in error.message
    assert hint in error.hint


def test_a_conversation_file_that_was_cut_off_is_named_by_line(tmp_path: Path) -> None:
    (tmp_path / "talk.json").write_text(json.dumps(CONVERSATIONS, indent=1)[:-30])
    assert ", line " in refusal("sharegpt:talk.json", tmp_path).message


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (questions(4), "mt-bench"),
        ([*questions(2), *questions(2, "rag")], "spec-bench"),
        ([FUNCTION, {**FUNCTION, "prompt": "x"}], "humaneval"),
        ([SUM, {**SUM, "question": "x"}], "gsm8k"),
        ([{"prompt": "a"}, {"prompt": "b"}], "data"),
    ],
)
def test_a_plain_path_is_read_by_what_the_file_holds(
    tmp_path: Path, content: list[object], name: str
) -> None:
    lines(tmp_path / "data.jsonl", *content)
    made = load("data.jsonl", tmp_path)
    assert made.name == name
    if name != "data":
        assert made == load(f"{name}:data.jsonl", tmp_path)


def test_what_leaves_a_doubt_is_asked_for(tmp_path: Path) -> None:
    """Questions in turns with other categories could be either set; other content is none that is known."""
    lines(tmp_path / "q.jsonl", *questions(3, "cooking"))
    assert "mt-bench:q.jsonl or spec-bench:q.jsonl" in refusal("q.jsonl", tmp_path).hint
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    assert "format:path" in refusal("x.csv", tmp_path).hint
    assert "cannot be read: No such file" in refusal("none.json", tmp_path).message


def test_a_wrong_or_unknown_format_is_answered_with_the_right_one(tmp_path: Path) -> None:
    lines(tmp_path / "g.jsonl", SUM, SUM)
    assert "`gsm8k:g.jsonl`" in refusal("mt-bench:g.jsonl", tmp_path).hint
    unknown = refusal("mtbench:g.jsonl", tmp_path)
    assert "no format 'mtbench'" in unknown.message
    assert "`mt-bench:`" in unknown.hint
    assert "Did you mean 'limit'" in refusal("gsm8k:g.jsonl?limits=3", tmp_path).hint
    assert "limit=x cannot be used" in refusal("gsm8k:g.jsonl?limit=x", tmp_path).message


def test_a_line_may_give_turns_sampling_and_the_answers_length(tmp_path: Path) -> None:
    sampling = {"temperature": 0.7, "top_p": 0.9, "seed": 3, "stop": ["\n"]}
    lines(
        tmp_path / "p.jsonl",
        {"prompt": "a", "turns": ["b", "c"], "sampling": sampling, "output_tokens": 40, "max_tokens": 50},
        {"prompt": "d"},
    )
    one, two = load("p.jsonl", tmp_path).prompts
    assert one.turns == ("b", "c")
    assert one.sampling == Sampling(temperature=0.7, top_p=0.9, seed=3, stop=("\n",))
    assert (one.output_tokens, one.max_tokens) == (40, 50)
    assert (two.turns, two.sampling, two.output_tokens) == ((), None, None)


@pytest.mark.parametrize(
    ("fields", "message", "hint"),
    [
        ({"sampling": {"temprature": 1}}, "unknown key 'temprature' in sampling", "'temperature'"),
        ({"sampling": {"temperature": "hot"}}, "Expected `float", ""),
        ({"sampling": {"temperature": 3}}, "temperature is 3.0. Allowed: 0 to 2", ""),
        ({"sampling": {"top_p": 0}}, "top_p is 0.0. Allowed: above 0", ""),
        ({"sampling": {"min_p": float("nan")}}, "min_p is nan", ""),
        ({"sampling": {"top_k": None}}, "'sampling.top_k' is null", ""),
        ({"sampling": {"stop": [""]}}, "'sampling.stop'", ""),
        ({"sampling": {}}, "'sampling' is empty", ""),
        ({"sampling": 0.7}, "'sampling' is a number", ""),
        ({"turns": "b"}, "'turns' is a string", ""),
        ({"turns": []}, "'turns' is empty", ""),
        ({"output_tokens": 0}, "'output_tokens' is 0", ""),
    ],
)
def test_settings_that_cannot_be_used_are_refused(
    tmp_path: Path, fields: dict[str, object], message: str, hint: str
) -> None:
    lines(tmp_path / "p.jsonl", {"prompt": "a"}, {"prompt": "b", **fields})
    error = refusal("p.jsonl", tmp_path)
    assert "line 2:" in error.message
    assert message in error.message
    assert hint in error.hint


def test_a_run_can_find_and_move_every_file_of_a_name(tmp_path: Path) -> None:
    """Formats, options and weights stay as they are; a ServeGen trace has a second file beside it."""
    lines(tmp_path / "data.jsonl", SUM, SUM)
    name = "data.jsonl*0.5+servegen:c-trace.csv?scale=0.5*0.25+synthetic:input=8,output=8*1+chat*2"
    assert files_of(name, base_dir=tmp_path) == tuple(
        tmp_path / file for file in ("data.jsonl", "c-trace.csv", "c-dataset.json")
    )
    assert relocated(name, lambda path: f"kept/{path}") == (
        "kept/data.jsonl*0.5+servegen:kept/c-trace.csv?scale=0.5*0.25+synthetic:input=8,output=8*1.0+chat*2.0"
    )
    assert files_of("chat") == ()
    assert relocated("chat", lambda path: "x") == "chat"
