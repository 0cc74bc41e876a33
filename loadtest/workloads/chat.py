"""Which everyday questions the `chat` workload asks.

Short questions with open answers: hardly a phrase of the answer stands in the prompt, so a draft that copies
from the prompt gains little here. The opposite of the `copy` workload.

Splits are by template: a draft trained on answers to a template knows its phrases, and measured on the same
template its acceptance would be flattered.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from loadtest.workloads.chat_words import VOCABULARY
from loadtest.workloads.prompt import Split, Workload
from loadtest.workloads.slots import Slots
from loadtest.workloads.templates import build_workload, pattern_templates

NAME = "chat"

_DESCRIPTION = "short everyday questions whose answers share few words with the prompt"

_PROMPTS_PER_TEMPLATE: Mapping[Split, int] = {
    Split.TRAIN: 90,
    Split.WARM_UP: 60,
    Split.MEASURED: 90,
    Split.HELD_OUT: 60,
}

_PATTERNS: Mapping[Split, Mapping[str, str]] = {
    Split.TRAIN: {
        "job_day": "What does {job} do on an ordinary working day? Describe the day from morning to "
        "evening for {audience}. {style}",
        "teach_value": "How can I teach {audience} about {value}? I only have {span} for it. Suggest "
        "something that does not feel like a lesson. {style}",
        "spend_less": "I am {person} and I spend too much on {expense} and {expense}. How can I save "
        "money without feeling poor? {style}",
        "short_poem": "Write a short poem about {object} in {place} {moment}. It should please "
        "{audience}. It does not have to rhyme. {form}",
        "conversation": "Write a short conversation between {job} and {job}. They meet in {place} "
        "{moment} and talk about {hobby}. {form}",
        "gift_ideas": "I need a present for {relation}, who enjoys {hobby} and {hobby}. My budget: "
        "{budget}. What would you suggest, and why? {style}",
        "friendly_review": "Write a friendly review of {venue} that I visited {moment}. Praise the "
        "{praise} and mention one small weakness. {form}",
        "what_if": "What would happen if {what_if}? Think about daily life for {person} and about the "
        "work of {job}. {style}",
        "small_talk": "I will meet {relation} at {event} and I am bad at small talk. Give me {count} "
        "things to talk about. {style}",
        "new_habit": "I want to stop {bad_habit} and use the time for {hobby}. I am {person}. How do I "
        "begin, and how do I keep going? {style}",
    },
    Split.WARM_UP: {
        "daily_schedule": "Make a daily schedule for {person}. It must leave time for {hobby} and also for "
        "{hobby}. {style}",
        "describe_place": "Describe {place} {moment}. What would I see, hear and smell there? Write it "
        "for {audience}. {style}",
        "word_meaning": "What does the word '{word}' mean, and how is it different from '{word}'? Use "
        "each in a sentence about {hobby}. {style}",
        "packing_list": "What should I pack for {trip}? I will be away for {span} and I am {person}. {style}",
    },
    Split.MEASURED: {
        "explain_how": "Explain {phenomenon} to {audience}. Use plain words and one example from everyday "
        "life. {style}",
        "compare_two": "I cannot decide between {pair}. I am {person}, and what matters most to me is "
        "{value}. Which one would you choose? {style}",
        "plan_event": "Help me to plan {event} together with {relation}. Our budget: {budget}. Time to "
        "prepare: {span}. Tell us what to do first and what to leave out. {style}",
        "solve_problem": "{problem}. {tried}. What should I try next, and when is it time to ask a "
        "professional? {style}",
        "write_note": "Write a note to {relation}, {reason}. It should sound {tone}, and it must fit on a "
        "small card. {form}",
        "list_ideas": "Give me a list of {count} ideas for {goal}. They should suit {person}. My budget: "
        "{budget}. {style}",
        "first_steps": "I have never tried {hobby}, but I would like to start. I am {person} and I have "
        "{span} for it. What are the first steps? {style}",
        "object_past": "Tell {audience} about the past of {object}. Where did it come from, who used it, "
        "and how has it changed since then? {style}",
        "good_and_bad": "What are the good and the bad sides of {habit} for {person}? Would it be any "
        "different for {job}? {style}",
        "cook_without": "I want to cook {dish} for {relation}, but I have no {ingredient} and no "
        "{ingredient}. How do I make it anyway? {style}",
    },
    Split.HELD_OUT: {
        "interview": "I will interview {job} about {hobby} for a local paper. Which {count} questions "
        "should I ask, and in which order? {style}",
        "apology": "{fault}, and now I want to say sorry to {relation}. Write a message for me that "
        "sounds {tone}. {form}",
        "check_claim": "I heard from {source} that {claim}. Is that true? Explain it so that I can tell "
        "{audience} about it. {style}",
        "find_names": "Suggest {count} names for {venue}. It should make people think of {value} and "
        "appeal to {person}. Say a word about each name. {style}",
    },
}


def generate(seed: int) -> Workload:
    """The chat workload of a seed; the templates and their splits are the same for every seed."""
    templates = pattern_templates(_PATTERNS, _fill)
    return build_workload(
        NAME, _DESCRIPTION, templates, prompts_per_template=_PROMPTS_PER_TEMPLATE, seed=seed
    )


def _fill(pattern: str, rng: random.Random) -> str:
    return Slots(rng, VOCABULARY).fill(pattern)
