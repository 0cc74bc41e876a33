import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounting.errors import ConfigError
from loadtest.workloads import Message, Split, Workload
from loadtest.workloads.jsonl import read_jsonl

TWO = b'{"prompt": "one"}\n{"prompt": "two"}\n'


def written(tmp_path: Path, *lines: object) -> Path:
    """The path of a file with one JSON value per line."""
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    return path


def numbered(count: int, **fields: object) -> list[object]:
    """So many lines with distinct prompts."""
    return [{"prompt": f"prompt {index}", **fields} for index in range(count)]


def splits(workload: Workload) -> dict[str, Split]:
    """The split of each prompt by its text."""
    return {prompt.messages[-1].content: prompt.split for prompt in workload.prompts}


def test_a_line_gives_a_prompt_or_messages(tmp_path: Path) -> None:
    """A `prompt` becomes one user message; `messages` and the other fields are taken as they are."""
    path = written(
        tmp_path,
        {"prompt": "one", "max_tokens": 7, "template": "short"},
        {"messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "two"}]},
    )
    one, two = read_jsonl(path).prompts
    assert one.messages == (Message("user", "one"),)
    assert (one.max_tokens, one.template, one.workload) == (7, "short", "mine")
    assert two.messages == (Message("system", "be brief"), Message("user", "two"))
    assert two.max_tokens is None
    assert (one.prompt_id, two.prompt_id) == ("mine-line-00001", "mine-line-00002")


def test_the_source_names_the_file_and_its_digest(tmp_path: Path) -> None:
    """A result can be traced to the bytes it was measured with, and the caller may rename the workload."""
    path = tmp_path / "mine.jsonl"
    path.write_bytes(TWO)
    workload = read_jsonl(path, name="ours")
    assert workload.source == f"{path}, sha256 {hashlib.sha256(TWO).hexdigest()}"
    assert workload.name == workload.prompts[0].workload == "ours"
    assert workload.description == "2 prompts from mine.jsonl"


def test_blank_lines_a_byte_order_mark_and_carriage_returns_are_tolerated(tmp_path: Path) -> None:
    """Files saved by other editors are read; line numbers still count the blank lines."""
    path = tmp_path / "mine.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"prompt": "one"}\r\n\r\n  \n{"prompt": "two"}')
    assert [prompt.prompt_id for prompt in read_jsonl(path).prompts] == ["mine-line-00001", "mine-line-00004"]


def test_later_duplicates_are_dropped_and_counted(tmp_path: Path) -> None:
    """Equal messages count once, however they are written; the description says how many went."""
    same = {"messages": [{"role": "user", "content": "one"}]}
    path = written(tmp_path, {"prompt": "one", "max_tokens": 5}, {"prompt": "two"}, same, same, same)
    workload = read_jsonl(path)
    assert [prompt.max_tokens for prompt in workload.prompts] == [5, None]
    assert workload.description == "2 prompts from mine.jsonl; 3 duplicates dropped"
    once = read_jsonl(written(tmp_path, {"prompt": "one"}, {"prompt": "two"}, same))
    assert once.description.endswith("; 1 duplicate dropped")


def test_about_fifteen_percent_become_warm_up_whatever_the_order(tmp_path: Path) -> None:
    """Without `split` a hash decides, so that lines keep their split when others come or move."""
    lines = numbered(1000)
    forwards = splits(read_jsonl(written(tmp_path, *lines)))
    backwards = splits(read_jsonl(written(tmp_path, *lines[::-1])))
    assert forwards == backwards
    counts = Counter(forwards.values())
    assert set(counts) == {Split.WARM_UP, Split.MEASURED}
    assert 110 <= counts[Split.WARM_UP] <= 190


def test_a_template_stays_together(tmp_path: Path) -> None:
    """Prompts of one template get one split; a line without a template is one of its own."""
    lines = [{"prompt": f"{index}", "template": f"template {index % 20}"} for index in range(200)]
    workload = read_jsonl(written(tmp_path, *lines))
    of_template = {prompt.template: prompt.split for prompt in workload.prompts}
    assert all(of_template[prompt.template] is prompt.split for prompt in workload.prompts)
    assert len({prompt.template for prompt in read_jsonl(written(tmp_path, *numbered(30))).prompts}) == 30


@pytest.mark.parametrize("salt", range(12))
def test_two_templates_give_both_splits(tmp_path: Path, salt: int) -> None:
    """However the hashes fall, something is left for the warm-up and something to measure."""
    for lines in (
        [{"prompt": f"{salt} {index}", "template": f"{salt} {index % 2}"} for index in range(6)],
        [{"prompt": f"{salt} a"}, {"prompt": f"{salt} b"}],
        [{"prompt": f"{salt} {index}", "template": "only"} for index in range(3)],
    ):
        workload = read_jsonl(written(tmp_path, *lines))
        assert workload.of(Split.WARM_UP)
        assert workload.of(Split.MEASURED)


def test_given_splits_are_kept(tmp_path: Path) -> None:
    """Where every line says its split, nothing is assigned."""
    lines = [{"prompt": split, "split": split} for split in Split]
    assert splits(read_jsonl(written(tmp_path, *lines))) == {split: split for split in Split}


REFUSED = {
    "not an object": (b"[1]", "the line is a list", ""),
    "not json": (b"{'prompt': 'x'}", "not valid JSON", "one complete JSON object"),
    "cut short": (b'{"prompt": "x', "not valid JSON", ""),
    "deep nesting": (b"[" * 100_000, "this JSON cannot be used", ""),
    "huge number": (b'{"max_tokens": ' + b"9" * 5000 + b"}", "this JSON cannot be used", ""),
    "key twice": (b'{"prompt": "x", "prompt": "y"}', "given twice", ""),
    "not utf-8": (b'{"prompt": "\xff"}', "byte 13 is not valid UTF-8", "UTF-8"),
    "utf-16": ('{"prompt": "x"}'.encode("utf-16"), "not valid UTF-8", "UTF-8"),
    "half a surrogate": (b'{"prompt": "\\ud800"}', "surrogate", ""),
    "unknown key": (b'{"promt": "x"}', "unknown key 'promt'", "'prompt'"),
    "unknown key in another case": (b'{"prompt": "x", "maxTokens": 3}', "'maxTokens'", "'max_tokens'"),
    "both": (b'{"prompt": "x", "messages": []}', "both 'messages' and 'prompt'", ""),
    "neither": (b'{"max_tokens": 3}', "neither 'messages' nor 'prompt'", ""),
    "prompt is a number": (b'{"prompt": 3}', "'prompt' is a number", ""),
    "prompt is null": (b'{"prompt": null}', "'prompt' is null", ""),
    "prompt is empty": (b'{"prompt": ""}', "'prompt' is empty", ""),
    "messages is text": (b'{"messages": "x"}', "'messages' is a string", ""),
    "messages is empty": (b'{"messages": []}', "'messages' is empty", ""),
    "message is text": (b'{"messages": ["x"]}', "'messages[0]' is a string", ""),
    "message without role": (b'{"messages": [{"content": "x"}]}', "has no 'role'", ""),
    "message without content": (b'{"messages": [{"role": "user"}]}', "has no 'content'", ""),
    "message with unknown key": (
        b'{"messages": [{"role": "user", "text": "x"}]}',
        "unknown key 'text' in messages[0]",
        "'content'",
    ),
    "unknown role": (
        b'{"messages": [{"role": "User", "content": "x"}]}',
        "'User'. Allowed: system, user, assistant",
        "",
    ),
    "role is a list": (b'{"messages": [{"role": ["user"], "content": "x"}]}', "is a list", ""),
    "content is a list": (
        b'{"messages": [{"role": "user", "content": [1]}]}',
        "'messages[0].content' is a list",
        "",
    ),
    "max_tokens is zero": (b'{"prompt": "x", "max_tokens": 0}', "'max_tokens' is 0", ""),
    "max_tokens is true": (b'{"prompt": "x", "max_tokens": true}', "'max_tokens' is True", ""),
    "max_tokens is a fraction": (b'{"prompt": "x", "max_tokens": 1.5}', "'max_tokens' is 1.5", ""),
    "max_tokens is text": (b'{"prompt": "x", "max_tokens": "9"}', "'max_tokens' is '9'", ""),
    "template is a number": (b'{"prompt": "x", "template": 1}', "'template' is a number", ""),
    "template is empty": (b'{"prompt": "x", "template": ""}', "'template' is empty", ""),
    "unknown split": (
        b'{"prompt": "x", "split": "test"}',
        "Allowed: train, warm_up, measured, held_out",
        "",
    ),
    "split is a list": (b'{"prompt": "x", "split": ["train"]}', "'split' is a list", ""),
    "split on some lines": (b'{"prompt": "x", "split": "train"}', "line 1: this line has no 'split'", ""),
}


@pytest.mark.parametrize(("line", "message", "hint"), list(REFUSED.values()), ids=list(REFUSED))
def test_a_bad_line_is_refused_by_file_and_number(
    tmp_path: Path, line: bytes, message: str, hint: str
) -> None:
    """The message names the file, the line as an editor counts it, and what is allowed there."""
    path = tmp_path / "mine.jsonl"
    path.write_bytes(TWO + b"\n" + line)
    with pytest.raises(ConfigError) as caught:
        read_jsonl(path)
    assert str(path) in caught.value.message
    assert ("line 1:" if "line 1:" in message else "line 4:") in caught.value.message
    assert message in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize("content", [b"", b"\n  \n", b"\xef\xbb\xbf"], ids=["empty", "blank", "only a mark"])
def test_a_file_without_a_prompt_is_refused(tmp_path: Path, content: bytes) -> None:
    """An empty file is an error of the user, shown with an example line."""
    path = tmp_path / "mine.jsonl"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="line 1: the file holds no prompt") as caught:
        read_jsonl(path)
    assert '{"prompt"' in caught.value.hint


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    """What cannot be read is named with the system's own reason."""
    with pytest.raises(ConfigError, match=r"none\.jsonl: the prompts cannot be read: No such file"):
        read_jsonl(tmp_path / "none.jsonl")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_jsonl(tmp_path)


def test_one_distinct_prompt_is_refused(tmp_path: Path) -> None:
    """A prompt cannot be both the warm-up and the measurement."""
    with pytest.raises(ConfigError, match="only one distinct prompt"):
        read_jsonl(written(tmp_path, {"prompt": "one"}, {"prompt": "one"}))


def test_a_trained_template_may_not_be_measured(tmp_path: Path) -> None:
    """A file that trains and measures on one template is refused; warm-up and measured may share one."""
    lines = [
        {"prompt": "one", "template": "same", "split": "train"},
        {"prompt": "two", "template": "same", "split": "measured"},
    ]
    with pytest.raises(ConfigError, match="line 2: the template 'same' is measured here and train on line 1"):
        read_jsonl(written(tmp_path, *lines))
    lines[0]["split"] = "warm_up"
    assert len(read_jsonl(written(tmp_path, *lines)).prompts) == 2


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    contents=st.lists(st.text(min_size=1), min_size=2, max_size=6, unique=True),
    ascii_only=st.booleans(),
    as_messages=st.booleans(),
)
def test_any_text_comes_back_as_it_was_written(
    tmp_path: Path, contents: list[str], ascii_only: bool, as_messages: bool
) -> None:
    """Every Unicode text survives, escaped or not, line separators and control characters included."""
    lines = [
        {"messages": [{"role": "user", "content": text}]} if as_messages else {"prompt": text}
        for text in contents
    ]
    path = tmp_path / "any.jsonl"
    path.write_bytes(b"\n".join(json.dumps(line, ensure_ascii=ascii_only).encode() for line in lines))
    workload = read_jsonl(path)
    assert [prompt.messages[0].content for prompt in workload.prompts] == contents
    assert workload.of(Split.WARM_UP)
    assert workload.of(Split.MEASURED)
