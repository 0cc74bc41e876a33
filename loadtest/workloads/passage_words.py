"""Which names, things and numbers stand in the passages of the `copy` workload.

Day numbers (up to 28) and other numbers (from 29) never meet, and no passage uses a number twice: "replace
the number 42" has one meaning. Nobody is called he or she, so that a name can be replaced alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

VOCABULARY: Mapping[str, Sequence[str]] = {
    "person": (
        "Mira", "Jonas", "Talia", "Edgar", "Ines", "Ruben", "Hanna", "Viktor", "Selma", "Oskar", "Noemi",
        "Felix", "Greta", "Marek", "Yara", "Silas", "Petra", "Anton", "Leila", "Bruno", "Dora", "Emil",
        "Farah", "Gustav", "Helga", "Ivan", "Judith", "Kasim", "Linnea", "Matteo", "Nadia", "Orson",
        "Paula", "Quentin", "Rosa", "Stefan", "Tamar", "Ulrich", "Vera", "Wanda", "Ximena", "Yusuf",
        "Zelda", "Arthur", "Bettina", "Conrad", "Delia", "Ewan",
    ),
    "town": (
        "Alderby", "Brackenford", "Coldwater", "Dunmere", "Eastbrook", "Fernhill", "Greystone",
        "Harrowgate", "Ivydale", "Juniper Bay", "Kestrel Hill", "Larkfield", "Millbrook", "Northwick",
        "Oakhaven", "Pinecroft", "Quarry Bridge", "Ravenshore", "Stonebury", "Thornton Lea",
        "Upper Welling", "Valeport", "Westmarsh", "Yarrowdale", "Amberley Cross", "Birch Landing",
        "Crane Harbour", "Elmstead", "Foxley Green", "Hollow Creek",
    ),
    "month": (
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
        "November", "December",
    ),
    "weekday": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "day": tuple(str(day) for day in range(2, 29)),
    "number": tuple(str(number) for number in range(29, 99)),
    "year": tuple(str(year) for year in range(1921, 2016)),
    "colour": (
        "red", "blue", "green", "yellow", "white", "black", "brown", "grey", "orange", "purple", "silver",
        "golden", "pink", "turquoise",
    ),
    "material": (
        "wooden", "glass", "copper", "leather", "paper", "stone", "wool", "tin", "clay", "bamboo", "velvet",
        "iron", "linen", "cork",
    ),
    "goods": (
        "bottles", "boxes", "baskets", "lamps", "chairs", "buttons", "blankets", "spoons", "boots", "masks",
        "bells", "drums", "frames", "gloves", "hats", "jars", "kites", "ladders", "mirrors", "notebooks",
        "pillows", "ropes", "scarves", "tables", "umbrellas", "vases", "whistles", "candles", "brushes",
        "maps", "clocks", "trays", "bowls", "flags", "wheels", "puppets",
    ),
    "food": (
        "apples", "plums", "onions", "walnuts", "carrots", "loaves of bread", "lemons", "mushrooms",
        "pears", "beans", "cucumbers", "figs", "potatoes", "cherries", "pumpkins", "eggs", "olives",
        "peppers", "radishes", "tomatoes",
    ),
    "building": (
        "library", "bakery", "station", "town hall", "museum", "harbour office", "school", "post office",
        "mill", "theatre", "workshop", "chapel", "market hall", "boathouse", "greenhouse", "hospital",
        "lighthouse", "barn", "bank", "swimming pool", "brewery", "fire station",
    ),
    "job": (
        "baker", "carpenter", "teacher", "gardener", "driver", "tailor", "nurse", "painter", "plumber",
        "librarian", "fisherman", "musician", "clockmaker", "potter", "engineer", "shepherd", "printer",
        "cook", "weaver", "florist",
    ),
    "animal": (
        "goat", "donkey", "parrot", "sheepdog", "heron", "tabby cat", "pony", "goose", "turtle", "owl",
        "rabbit", "swan",
    ),
    "weather": (
        "rainy", "foggy", "sunny", "windy", "cold", "warm", "cloudy", "stormy", "mild", "snowy", "humid",
        "bright",
    ),
    "mood": (
        "pleased", "tired", "curious", "nervous", "cheerful", "quiet", "proud", "worried", "hungry",
        "surprised", "patient", "grateful",
    ),
    "direction": ("north", "south", "east", "west"),
}  # fmt: skip
