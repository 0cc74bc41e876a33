"""Which words stand in for tokens where a server takes text only: common ones, mostly one token each.

A text of N such words has about N tokens (1.00 per word with the tokenizer of SmolLM2, 1.01 with
TinyLlama's); the answer's `usage` says how many it had. The words mean nothing together.
"""

from __future__ import annotations

from collections.abc import Sequence

from loadtest.workloads.token_blocks import spread

_WARM_UP_WORDS = 48

# Short, frequent, lower-case English words; none twice.
# fmt: off
WORDS: Sequence[str] = (
    "about", "above", "across", "act", "add", "after", "again", "age", "ago", "air", "all", "also",
    "always", "among", "amount", "animal", "answer", "any", "appear", "area", "arm", "around", "arrive",
    "art", "ask", "away", "baby", "back", "bad", "bank", "base", "beach", "bear", "beat", "beautiful",
    "bed", "before", "begin", "behind", "believe", "below", "best", "better", "between", "big", "bird",
    "bit", "black", "blood", "blue", "board", "boat", "body", "book", "born", "both", "bottom", "box",
    "boy", "bread", "break", "bright", "bring", "brother", "brown", "build", "building", "business",
    "busy", "buy", "call", "calm", "came", "camp", "can", "car", "care", "carry", "case", "catch",
    "cause", "cell", "center", "century", "certain", "chair", "chance", "change", "check", "child",
    "choose", "church", "circle", "city", "class", "clean", "clear", "climb", "close", "clothes", "cloud",
    "coast", "cold", "color", "come", "common", "company", "complete", "consider", "contain", "continue",
    "control", "cook", "cool", "copy", "corner", "correct", "cost", "cotton", "could", "count", "country",
    "course", "cover", "create", "cross", "crowd", "cry", "current", "cut", "dance", "dark", "day",
    "dead", "deal", "dear", "death", "decide", "deep", "design", "develop", "difference", "different",
    "direct", "discover", "distance", "doctor", "dog", "done", "door", "doubt", "down", "draw", "dream",
    "dress", "drink", "drive", "drop", "dry", "during", "each", "early", "earth", "east", "easy", "eat",
    "edge", "effect", "egg", "eight", "either", "electric", "element", "else", "end", "energy", "engine",
    "enough", "enter", "equal", "even", "evening", "event", "ever", "every", "exact", "example", "except",
    "expect", "experience", "eye", "face", "fact", "fair", "fall", "family", "famous", "far", "farm",
    "fast", "father", "fear", "feel", "feet", "few", "field", "fight", "figure", "fill", "final", "find",
    "fine", "finger", "finish", "fire", "first", "fish", "fit", "five", "floor", "flow", "flower", "fly",
    "follow", "food", "foot", "force", "foreign", "forest", "form", "forward", "found", "four", "free",
    "fresh", "friend", "from", "front", "fruit", "full", "game", "garden", "gas", "gave", "general",
    "gentle", "girl", "give", "glad", "glass", "gold", "gone", "good", "govern", "grand", "grass", "gray",
    "great", "green", "ground", "group", "grow", "guess", "guide", "half", "hand", "happen", "happy",
    "hard", "have", "head", "hear", "heart", "heat", "heavy", "height", "help", "here", "high", "hill",
    "history", "hold", "home", "hope", "horse", "hot", "hotel", "hour", "house", "huge", "human",
    "hundred", "hunt", "hurry", "ice", "idea", "image", "include", "inside", "interest", "iron", "island",
    "join", "jump", "just", "keep", "key", "kind", "king", "kitchen", "know", "lady", "lake", "land",
    "language", "large", "last", "late", "laugh", "law", "lead", "learn", "least", "leave", "left", "leg",
    "less", "letter", "level", "lie", "life", "lift", "light", "like", "line", "list", "listen", "little",
    "live", "local", "long", "look", "lost", "love", "low", "machine", "main", "make", "man", "many",
    "map", "mark", "market", "matter", "may", "mean", "measure", "meat", "meet", "member", "men", "metal",
    "method", "middle", "might", "mile", "milk", "million", "mind", "minute", "miss", "modern", "moment",
    "money", "month", "moon", "more", "morning", "most", "mother", "mountain", "mouth", "move", "much",
    "music", "must", "name", "nation", "natural", "nature", "near", "need", "never", "new", "next",
    "night", "nine", "noise", "north", "nose", "note", "nothing", "notice", "number", "object", "observe",
    "ocean", "offer", "office", "often", "oil", "old", "once", "one", "only", "open", "operate",
    "opposite", "orange", "order", "other", "our", "out", "outside", "over", "own", "page", "paint",
    "pair", "paper", "parent", "park", "part", "party", "pass", "past", "path", "pay", "people",
    "perfect", "perhaps", "period", "person", "phone", "picture", "piece", "place", "plain", "plan",
    "plane", "plant", "play", "please", "point", "poor", "position", "possible", "pound", "power",
    "practice", "prepare", "present", "press", "pretty", "price", "print", "private", "probable",
    "problem", "process", "produce", "product", "property", "protect", "prove", "provide", "public",
    "pull", "pure", "push", "put", "quality", "question", "quick", "quiet", "quite", "race", "radio",
    "rain", "raise", "range", "rate", "reach", "read", "ready", "real", "reason", "receive", "record",
    "red", "region", "remember", "repeat", "reply", "report", "rest", "result", "return", "rice", "rich",
    "ride", "right", "ring", "rise", "river", "road", "rock", "roll", "room", "root", "rose", "round",
    "row", "rule", "run", "safe", "said", "sail", "salt", "same", "sand", "save", "say", "scale",
    "school", "science", "sea", "search", "season", "seat", "second", "section", "see", "seed", "seem",
    "select", "self", "sell", "send", "sense", "sentence", "serve", "set", "seven", "several", "shape",
    "share", "sharp", "ship", "shoe", "shop", "short", "should", "shoulder", "show", "side", "sight",
    "sign", "silver", "similar", "simple", "since", "sing", "sister", "sit", "size", "skill", "skin",
    "sky", "sleep", "slow", "small", "smell", "smile", "snow", "social", "soft", "soil", "soldier",
    "solution", "some", "son", "song", "soon", "sort", "sound", "south", "space", "speak", "special",
    "speed", "spell", "spend", "spoke", "spot", "spread", "spring", "square", "stage", "stand", "star",
    "start", "state", "station", "stay", "steam", "steel", "step", "still", "stone", "stood", "stop",
    "store", "story", "straight", "strange", "street", "strong", "student", "study", "subject", "success",
    "such", "sudden", "sugar", "suit", "summer", "sun", "supply", "support", "sure", "surface",
    "surprise", "sweet", "swim", "system", "table", "take", "talk", "tall", "teach", "team", "tell",
    "ten", "term", "test", "than", "that", "their", "them", "then", "there", "these", "they", "thick",
    "thin", "thing", "think", "third", "this", "those", "though", "thought", "three", "through", "time",
    "tiny", "tire", "today", "together", "told", "tone", "too", "took", "tool", "top", "total", "touch",
    "toward", "town", "track", "trade", "train", "travel", "tree", "trip", "true", "try", "turn",
    "twelve", "two", "type", "under", "unit", "until", "upon", "use", "usual", "valley", "value",
    "various", "very", "view", "village", "visit", "voice", "wait", "walk", "wall", "want", "war", "warm",
    "wash", "watch", "water", "wave", "way", "wear", "weather", "week", "weight", "well", "went", "were",
    "west", "what", "wheel", "when", "where", "which", "while", "white", "who", "whole", "why", "wide",
    "wife", "wild", "will", "win", "wind", "window", "wing", "winter", "wire", "wish", "with", "woman",
    "wonder", "wood", "word", "work", "world", "would", "write", "wrong", "year", "yellow", "yes", "yet",
    "young",
)
# fmt: on


def text_of(seed: int, keys: Sequence[int], lengths: Sequence[int]) -> str:
    """One word for each token of the blocks `keys`; warm-up keys (below 0) have words of their own."""
    numbers = spread(seed, keys, lengths, warm_up=(0, _WARM_UP_WORDS), measured=(_WARM_UP_WORDS, len(WORDS)))
    return " ".join([WORDS[number] for number in numbers.tolist()])
