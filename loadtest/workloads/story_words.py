"""Which heroes, things and wishes the stories begin with; all words are ones that a small child knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

VOCABULARY: Mapping[str, Sequence[str]] = {
    "boy": (
        "Tim", "Ben", "Tom", "Max", "Sam", "Jack", "Leo", "Bob", "Dan", "Finn", "Joe", "Luke", "Nick",
        "Paul", "Otto", "Rex", "Theo", "Will", "Zack", "Billy", "Freddy", "Toby", "Charlie", "Oscar",
    ),
    "girl": (
        "Lily", "Sue", "Mia", "Anna", "Lucy", "Amy", "Zoe", "Emma", "Daisy", "Ella", "Rosie", "Molly",
        "Kate", "Jane", "Mary", "Nora", "Ruby", "Sally", "Tina", "Polly", "Bella", "Grace", "Ivy", "Clara",
    ),
    "animal": (
        "fox", "bear", "rabbit", "mouse", "frog", "duck", "owl", "cat", "dog", "pony", "squirrel",
        "hedgehog", "turtle", "lamb", "pig", "bird", "fish", "lion", "elephant", "monkey", "bee", "snail",
        "goat", "kitten", "puppy", "hen", "bunny", "ant",
    ),
    "trait": (
        "little", "brave", "shy", "happy", "kind", "silly", "curious", "sleepy", "clever", "lonely",
        "hungry", "quiet", "funny", "grumpy", "gentle", "tiny", "friendly", "proud", "messy", "careful",
    ),
    "love": (
        "play in the mud", "sing songs", "jump over puddles", "look at the stars", "pick red berries",
        "ride a bike", "draw pictures", "climb trees", "run in the park", "bake cakes", "swim in the pond",
        "hide under the bed", "count clouds", "dance in the rain", "collect shiny stones", "read books",
        "help in the garden", "build tall towers", "play with a ball", "listen to the birds", "fly a kite",
        "eat sweet apples", "splash in the bath", "roll down the hill",
    ),
    "place": (
        "forest", "park", "garden", "farm", "beach", "big field", "old barn", "pond", "hill", "kitchen",
        "school", "market", "river", "meadow", "village", "tree house", "playground", "yard", "zoo", "cave",
    ),
    "thing": (
        "red ball", "shiny key", "blue hat", "toy boat", "soft blanket", "yellow kite", "small box",
        "golden bell", "green book", "wooden spoon", "big drum", "little lamp", "broken toy", "warm scarf",
        "silver coin", "purple flower", "round stone", "old map", "tiny door", "magic cup", "paper plane",
        "long rope", "glass jar", "white feather",
    ),
    "weather": ("sunny", "rainy", "windy", "cold", "snowy", "warm", "foggy", "bright", "cloudy", "hot"),
    "family": (
        "mom", "dad", "grandma", "grandpa", "big sister", "big brother", "aunt", "uncle", "best friend",
        "baby brother", "little sister", "teacher",
    ),
    "food": (
        "cake", "soup", "cookies", "sandwiches", "pie", "carrot soup", "banana bread", "pancakes",
        "berry jam", "bread", "muffins", "pizza", "popcorn", "noodles", "ice cream", "apple juice",
    ),
    "feeling": (
        "sad", "scared", "excited", "angry", "tired", "surprised", "worried", "very happy", "bored", "cold",
        "lost", "proud",
    ),
    "wish": (
        "fly like a bird", "find a friend", "be as tall as a tree", "see the big sea", "touch the moon",
        "have a birthday party", "learn to swim", "make the sun come back", "be very brave",
        "own a little dog", "help the sick bird", "bake the best cake", "talk to the fish",
        "sleep under the stars", "build a small house", "win the race", "ride on a train",
        "grow a giant pumpkin",
    ),
    "sound": (
        "a loud bang", "a soft cry", "a funny song", "a tiny voice", "a strange noise",
        "a knock at the door", "a big splash", "a sweet bell", "a quiet laugh", "a long howl",
        "a gentle hum", "a crack",
    ),
    "rule": (
        "go near the water", "open the red door", "talk to the big wolf", "touch the hot stove",
        "leave the yard", "eat before dinner", "climb the old wall", "wake the baby", "run on the ice",
        "lose the key", "play with the sharp knife", "go into the dark cave",
    ),
}  # fmt: skip
