"""Draft models distilled from a target: where they begin, their teacher, their training."""
