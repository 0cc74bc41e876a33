"""Which sentences a passage of the `copy` workload may hold, split by split.

The right answer repeats the passage. A draft that was trained on a sentence would know it before reading it,
so no sentence pattern serves two splits, as no template does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from loadtest.workloads.prompt import Split


@dataclass(frozen=True, slots=True)
class Patterns:
    """The sentence patterns of one split, and the field patterns of its records, as (name, value)."""

    openings: tuple[str, ...]  # each names {person1} and {town1} and gives the date {day1} {month1}
    middles: tuple[str, ...]
    closings: tuple[str, ...]
    fields: tuple[tuple[str, str], ...] = ()  # only where a template asks for records


_TRAIN = Patterns(
    openings=(
        "{person1}, a {job1} from {town1}, began a new project on {day1} {month1}.",
        "It was a {weather} morning in {town1} on {day1} {month1} when {person1} lost a {colour} suitcase.",
        "Every year on {day1} {month1}, the people of {town1} give {person1} a basket of {food}.",
        "Since {day1} {month1}, {person1} has worked as a {job} at the {building} in {town1}.",
        "A train with {number} passengers left {town1} on {day1} {month1}, and {person1} was the driver.",
        "Visitors who came to {town1} on {day1} {month1} met {person1} in front of the {building}.",
    ),
    middles=(
        "{person} asked for {number} {food} and paid with a {colour} banknote.",
        "A {job} from {town} repaired the {material} door within {number} minutes.",
        "{person} counted {number} steps between the {building} and the {building}.",
        "At the market, {food} and {food} were sold in {colour} bags.",
        "The {weather} weather lasted until {weekday}, and nobody went to {town}.",
        "The {job} wrote down {number} names in a {colour} notebook.",
        "A {animal} from the {building} followed {person} all the way home.",
        "{person} was {mood}, because the box held {food} instead of {goods}.",
        "The clock above the {building} stopped in {year} and was never mended.",
        "{person} found a {material} key under the {colour} carpet.",
        "Between {month} and {month}, the river carries {material} boats to {town}.",
        "{person} planted {number} trees on the {direction} side of the {building}.",
        "In the cellar of the {building} stood {number} {material} {goods} in a row.",
        "{person} lent the {job} a ladder, a saw and {number} {goods}.",
        "The price of {food} rose by {number} percent after a {weather} summer.",
        "Each guest received a {colour} card, a {material} spoon and some {food}.",
        "It takes {number} minutes to walk from the {building} to the bridge.",
        "The {job} keeps a {animal} and never travels without it.",
        "Two children sold {food} next to the {colour} fence of the {building}.",
        "For the repair, {person} ordered {number} {goods} from a shop in {town}.",
        "The {direction} wing of the {building} has been empty since {year}.",
        "{person} and the {job} played cards until the {weather} evening was over.",
    ),
    closings=(
        "In the end, {person} closed the {building} and went home {mood}.",
        "The next meeting will be held on a {weekday} in {town}.",
        "Today only {number} of the {material} {goods} are left.",
        "Nobody knows what happened to the {animal} and the {colour} {goods}.",
        "A week later, {person} sold the {material} {goods} to a {job}.",
    ),
    fields=(
        ("Guest", "{person}"),
        ("Home", "a {colour} house in {town}"),
        ("Arrival", "{weekday}, {day} {month}"),
        ("Luggage", "{number} {material} {goods}"),
        ("Pet", "one {colour} {animal}"),
        ("Breakfast", "{food} and {food}"),
        ("Room", "number {number} next to the {building}"),
        ("Profession", "{job}, {mood} and always on time"),
        ("Last visit", "{month} {year}"),
        ("Phone", "to be asked from the {building} in {town}"),
    ),
)

_WARM_UP = Patterns(
    openings=(
        "The letter from {town1} was dated {day1} {month1} and was signed by {person1}.",
        "The walking club first met in {town1} on {day1} {month1}, and {person1} led the way.",
        "Nobody in {town1} forgets {day1} {month1}, when {person1} painted the {building} {colour}.",
        "A parcel for {person1} reached the {building} in {town1} on {day1} {month1}.",
    ),
    middles=(
        "Behind the {building}, a {colour} {animal} was sleeping in the grass.",
        "There were {number} {goods} on the table, and only {number} of them were {colour}.",
        "The {job} and the {job} agreed to meet again after {number} days.",
        "The {colour} bus stops at the {building}, then at the {building}, and then in {town}.",
        "{person} brought {food}, a {material} lamp and a long letter from {town}.",
        "Above the door of the {building} hangs a {material} sign from {year}.",
        "On {weekday}, the {job} sharpened {number} knives without a break.",
        "The garden is {number} metres long and full of {colour} flowers.",
        "{person} speaks little, but the {animal} seems to understand every word.",
        "A {weather} wind blew the {goods} into the {direction} field.",
        "Most people in {town} eat {food} on {weekday} and {food} on holidays.",
        "The {building} lends {material} {goods} to anyone who asks before noon.",
        "{person} drew a map with {number} paths and a {colour} line for the river.",
        "Even the {job} was {mood} when the music began.",
    ),
    closings=(
        "Since then, the {colour} {goods} have been kept in the {building} of {town}.",
        "{person} will tell the rest of the story in {month}.",
        "After that, the {job} switched off the light and locked the {building}.",
    ),
)

_MEASURED = Patterns(
    openings=(
        "On {day1} {month1}, {person1} arrived in {town1} with {number} {material} {goods}.",
        "The {building} in {town1} opened its doors on {day1} {month1}, and {person1} was the first guest.",
        "In {town1}, a {job} named {person1} kept a diary that starts on {day1} {month1}.",
        "{person1} bought the old {building} in {town1} on {day1} {month1} for a very low price.",
        "Early on {day1} {month1}, {person1} cycled from the {building} in {town1} to the coast.",
        "The newspaper of {town1} printed a picture of {person1} on {day1} {month1}.",
        "From {day1} {month1} onwards, {person1} rented a {colour} room near the {building} of {town1}.",
        "Three friends of {person1} came to {town1} on {day1} {month1} to look for a {animal}.",
    ),
    middles=(
        "The road to {town} was closed, so everybody took the path along the {direction} shore.",
        "The {building} was built in {year} and still has its {material} floor.",
        "{person} and {person} carried the {material} {goods} up to the second floor.",
        "Someone had painted the walls {colour} and the window frames {colour}.",
        "On {weekday}, {person} sent {number} {goods} to {town} by boat.",
        "The old map showed {number} houses, a {building} and a {material} bridge.",
        "For lunch there were {food}, {food} and a large pot of soup.",
        "A ticket to {town} costs {number} coins, but children travel for free.",
        "Nobody in {town} had ever seen so many {colour} {goods}.",
        "The choir sang for {number} minutes, and even the {job} felt {mood}.",
        "A {weather} night followed, and the {animal} stayed inside the {building}.",
        "{person} still owns a photograph of {town} from {year}.",
        "Under the stairs lay {number} {goods}, wrapped in {colour} cloth.",
        "The {job} offered {food} to everyone who waited in the queue.",
        "{person} had promised to be back by {weekday}, but the ferry was late.",
        "Next to the {building} stands a {material} statue of a {animal}.",
        "Only {number} people live there in winter, most of them near the {building}.",
        "{person} mended the {colour} sail with thread that the {job} had made.",
        "The prize was a {material} box with {number} {food} inside.",
        "In {month}, the whole street smells of {food} and fresh paint.",
        "A {mood} {job} explained why the {building} has no windows.",
        "The {goods} were too heavy, so {person} left them at the {building}.",
        "Twice a day, a {animal} pulls a small cart with {food} through {town}.",
        "The {direction} gate opens at noon and closes after {number} minutes.",
        "According to the {job}, the {building} had {number} rooms in {year}.",
        "{person} won the game with {number} points and bought {colour} ribbons for all.",
    ),
    closings=(
        "That evening, {person} wrote the whole story down on {colour} paper.",
        "The last boat to {town} left {number} minutes later.",
        "{person} thanked the {job} and put the {material} box back on its shelf.",
        "By {weekday}, everything was clean again, and the {animal} had returned.",
        "The {goods} are now on display in the {building}, next to the {material} door.",
        "What remained was a {colour} ticket and a short note for {person}.",
    ),
    fields=(
        ("Name", "{person}"),
        ("Town", "{town}"),
        ("Date", "{day} {month} {year}"),
        ("Item", "{number} {colour} {goods}"),
        ("Driver", "{person} from {town}"),
        ("Storage", "{material} shelf in the {building}"),
        ("Label", "{colour} paper with a {colour} line"),
        ("Weight", "{number} kilograms"),
        ("Paid by", "the {job} of the {building}"),
        ("Insured since", "{month} {year}"),
        ("Packed in", "{material} boxes with {colour} lids"),
    ),
)

_HELD_OUT = Patterns(
    openings=(
        "On the {weather} evening of {day1} {month1}, {person1} left the {building} in {town1}.",
        "A storm reached {town1} on {day1} {month1} and broke the roof above {person1} and the {animal}.",
        "{person1} has been the mayor of {town1} since {day1} {month1}.",
        "For the fair on {day1} {month1}, {person1} baked {number} cakes and drove them to {town1}.",
    ),
    middles=(
        "The baker's cart was full, yet {person} found room for {number} {food}.",
        "Every {weekday}, the {job} polishes the {material} {goods} of the {building}.",
        "Along the canal, {number} {colour} tents had been put up overnight.",
        "{person} borrowed a {material} boat and rowed to {town} alone.",
        "The school in {town} has {number} pupils and one very old {animal}.",
        "Fresh {food} cost twice as much as in {year}.",
        "From the tower one can see the {building}, the {building} and the sea.",
        "The {animal} took a piece of {colour} cheese and ran {direction}.",
        "{person} and a {mood} {job} waited in the {weather} street for an hour.",
        "Inside the drawer were {goods}, {number} stamps and a letter to {person}.",
        "It had been {weather} all week, so the {material} bridge was slippery.",
        "The tour ends at the {building}, where {food} are served on {material} plates.",
        "A note in {colour} ink said that the key was in {town}.",
        "In {month}, the {job} teaches {number} guests how to make {goods}.",
    ),
    closings=(
        "Whoever finds the {goods} should bring them to the {building} in {town}.",
        "{person} laughed, took the {colour} umbrella and left before {weekday}.",
        "Until today, the {job} of {town} tells this story to every guest.",
    ),
)

PATTERNS: Mapping[Split, Patterns] = {
    Split.TRAIN: _TRAIN,
    Split.WARM_UP: _WARM_UP,
    Split.MEASURED: _MEASURED,
    Split.HELD_OUT: _HELD_OUT,
}
