"""Which small programs the `code` workload asks for.

Short requests for a function, a class, a fix or an explanation. Answers repeat names and idioms of the language rather than the
prompt: between `chat`, whose answers are free, and `copy`, whose answers stand in the prompt.

Splits are by template, as a draft that was trained on a template's answers knows their shape.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from loadtest.workloads.coding_words import VOCABULARY
from loadtest.workloads.prompt import Split, Workload
from loadtest.workloads.slots import Slots
from loadtest.workloads.templates import build_workload, pattern_templates

NAME = "code"

_DESCRIPTION = "requests for small programs, fixes and explanations of code"

_PROMPTS_PER_TEMPLATE: Mapping[Split, int] = {
    Split.TRAIN: 120,
    Split.WARM_UP: 80,
    Split.MEASURED: 110,
    Split.HELD_OUT: 80,
}

_PATTERNS: Mapping[Split, Mapping[str, str]] = {
    Split.TRAIN: {
        "list_function": "Write a {language} function that takes {collection} and returns {wanted}. {care} {care}",
        "text_function": "Write a {language} function that takes a text and {text_rule}. {care} {care}",
        "data_class": "Write a {language} class for {record} with {field}, {field} and {field}. Give it a method that prints "
        "all of it in one line. {care}",
        "file_script": "I have {file_kind}. Write a short {language} program that {file_job}. {care}",
        "explain_concept": "Explain {concept} in {language} to {reader}. Show a short example about {record}. {care}",
        "fix_function": "My {language} function takes {collection} and should return {wanted}, but {bug}. What is usually the "
        "reason, and what does a right version look like? {care}",
    },
    Split.WARM_UP: {
        "number_function": "Write a {language} function that {number_task}. {care} {care}",
        "structure_class": "Implement {structure} in {language} with the operations {operation} and {operation}. {care}",
        "menu_program": "Write a small {language} program with a menu that keeps {field} and {field} of {record}. {care}",
    },
    Split.MEASURED: {
        "number_helper": "In {language}, how do I write a helper that {number_task}? {care} {care}",
        "two_rules": "I need a {language} function for text. First it {text_rule}, then it {text_rule}. {care}",
        "list_and_test": "Give me a {language} function that finds, in {collection}, {wanted}. Then give {wanted} in a second "
        "function. {care}",
        "build_structure": "Show me how to build {structure} in {language}. I want to {operation} and to {operation}. {care}",
        "records_table": "Write {language} code that keeps many records of {record}, each with {field} and {field}, and finds "
        "the one with the highest value. {care}",
        "read_and_report": "Write a {language} script for {file_kind}: it {file_job} and then {file_job}. {care}",
        "compare_concepts": "When should I use {concept} and when {concept} in {language}? Answer for {reader}, with code. {care}",
        "why_bug": "A {language} program works on {collection} and {bug}. Show such a program and its correction. {care}",
    },
    Split.HELD_OUT: {
        "one_liner": "Is there a short way in {language} to get {wanted} from {collection}? {care} {care}",
        "convert_record": "Write {language} code that reads {record} from {file_kind}, with {field} and {field}, and turns it "
        "into an object. {care}",
        "exercise": "Make up a programming exercise about {record} and {concept} for {reader}, and solve it in {language}. {care}",
    },
}


def generate(seed: int) -> Workload:
    """The code workload of a seed; the templates and their splits are the same for every seed."""
    templates = pattern_templates(_PATTERNS, _fill)
    return build_workload(
        NAME, _DESCRIPTION, templates, prompts_per_template=_PROMPTS_PER_TEMPLATE, seed=seed
    )


def _fill(pattern: str, rng: random.Random) -> str:
    return Slots(rng, VOCABULARY).fill(pattern)
