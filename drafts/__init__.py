"""What needs torch or transformers: making checkpoints from packaged weights, and draft models.

Each module that needs them runs as a child process (`python -m drafts.…`), so that torch's memory goes away with it and
nothing else in the project imports it. `replay` needs neither: it counts on token ids alone.
"""
