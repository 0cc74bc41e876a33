"""Which openings the `story` workload gives to be continued.

Openings of children's stories in simple words, for models of some 15M parameters that were trained on nothing
else and cannot follow an instruction. Each is a single user message that the model goes on from.

Splits are by template: a draft trained on stories that begin in one way knows how they go on, and measured
on the same template its acceptance would be flattered.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from loadtest.workloads.prompt import Split, Workload
from loadtest.workloads.slots import Slots
from loadtest.workloads.story_words import VOCABULARY
from loadtest.workloads.templates import build_workload, pattern_templates

NAME = "story"

_DESCRIPTION = "openings of children's stories in simple words, to be continued"

_PROMPTS_PER_TEMPLATE: Mapping[Split, int] = {
    Split.TRAIN: 120,
    Split.WARM_UP: 80,
    Split.MEASURED: 110,
    Split.HELD_OUT: 80,
}

# `{name1}` is a girl's name or a boy's, and {He}, {he}, {him}, {his} go with it.
_PATTERNS: Mapping[Split, Mapping[str, str]] = {
    Split.TRAIN: {
        "new_friend": "{name1} was a {trait} {animal1} who had no friends. One {weather} day, {he} met a "
        '{trait} {animal} by the {place}. "Do you want to {love} with me?" asked {name1}.',
        "lost_way": "{name1} the {animal} went for a walk to the {place}. {He} walked and walked. Then "
        "{he} did not know the way home. {name1} felt {feeling}, and {he}",
        "baking_day": "It was a {weather} day. {name1} and {his} {family1} wanted to make {food} for the "
        "{trait} {animal}. But there was a problem. The {thing} was gone! {name1} said,",
        "strange_sound": "One night, {name1} was in bed. {He} heard {sound} from the {place}. {name1} was "
        "{feeling}, but {he} took {his} {thing} and went to look.",
        "broken_thing": "{name1} had a {thing} from {his} {family}. {He} loved it very much. One "
        "{weather} morning, a {trait} {animal} came and broke it. {name1} felt",
        "do_not": '"Do not {rule}," said {his} {family1}. But {name1} was a {trait} {kind} and {he} did '
        "not listen. When {his} {family1} was in the {place},",
    },
    Split.WARM_UP: {
        "every_day": "Every day, {name1} went to the {place} to {love}. But on this {weather} day, a "
        "{trait} {animal} was there. It had a {thing}. {name1} said,",
        "the_race": "The {trait} {animal} and the {trait} {animal} wanted to have a race to the {place}. "
        '{name1} had a {thing} and said, "Ready, set, go!" Then',
        "bedtime": "It was time for bed, but {name1} was not tired. {He} wanted to {love}. {His} {family} "
        "came in with a {thing} and told {him} about a {animal}.",
    },
    Split.MEASURED: {
        "once_upon": "Once upon a time, there was a {trait} {animal} named {name1}. {He} loved to {love}. "
        "One {weather} day, {he} went to the {place} and saw",
        "found_thing": "One day, {name1} found a {thing} in the {place}. {He} showed it to {his} "
        '{family}. "What is it for?" asked {name1}. They did not know, so a {trait} {animal} said,',
        "big_wish": "{name1} was a {trait} {kind} with a big wish. {He} wanted to {wish}. {His} {family1} "
        'said, "Let us go to the {place} and ask the {animal}." So',
        "sharing": "{name1} had some {food} and a {thing}. {His} friend, the {trait} {animal}, had "
        "nothing and felt {feeling}. {name1} thought about it. Then {he}",
        "in_a_far": "In a far away {place}, a {trait} {animal1} lived with {his} {family}. The "
        "{animal1}'s name was {name1}. Each morning, {he} liked to {love}. But one {weather} morning,",
        "cannot_do": "{name1} the {trait} {animal} could not {love} like the others. This made {him} "
        '{feeling}. "I will try again," said {name1}. {He} took a {thing} and',
        "help_me": '"Help! Help!" cried the {trait} {animal}. It was stuck in the {place}. {name1} heard '
        "the cry and ran there with {his} {family} and a {thing}. Together they",
        "present_day": "Today was a special day for {name1}. {His} {family} gave {him} a big box. Inside "
        "the box was a {thing} and a {trait} {animal}! {name1} was so",
    },
    Split.HELD_OUT: {
        "two_children": "{name1} and {other1} were playing in the {place} on a {weather} day. They liked "
        'to {love}. Then they saw a {trait} {animal} with a {thing}. "Look!" said {other1}.',
        "little_thing": "There was once a {thing} that lived in the {place}. It wanted to {wish}. One "
        "day, a {trait} {kind} named {name1} picked it up and said,",
        "growing_seed": "{name1} put a small seed in the ground near the {place}. {He} waited with {his} "
        "{family} and a {trait} {animal}. After one {weather} night, the seed was a",
    },
}

_GIRL = {"he": "she", "He": "She", "him": "her", "his": "her", "His": "Her", "kind": "girl"}
_BOY = {"he": "he", "He": "He", "him": "him", "his": "his", "His": "His", "kind": "boy"}


def generate(seed: int) -> Workload:
    """The story workload of a seed; the templates and their splits are the same for every seed."""
    templates = pattern_templates(_PATTERNS, _opening)
    return build_workload(
        NAME, _DESCRIPTION, templates, prompts_per_template=_PROMPTS_PER_TEMPLATE, seed=seed
    )


def _opening(pattern: str, rng: random.Random) -> str:
    names, pronouns = rng.choice(((VOCABULARY["girl"], _GIRL), (VOCABULARY["boy"], _BOY)))
    others = (*VOCABULARY["girl"], *VOCABULARY["boy"])
    name = rng.choice(names)
    other = rng.choice([candidate for candidate in others if candidate != name])
    return Slots(rng, VOCABULARY, {**pronouns, "name1": name, "other1": other}).fill(pattern)
