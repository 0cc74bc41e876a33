"""Which shared libraries a CPU server should load first.

vLLM on CPU gains 15 % and more from Intel's OpenMP runtime and tcmalloc; both must be in LD_PRELOAD before
Python starts. Missing ones cost speed, not correctness: they are reported, never required.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

LIBRARY_DIRS = (
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib",
)


@dataclass(frozen=True, slots=True)
class Preload:
    """A library that was looked for; `path` is None where it was not found, `remedy` says how to get it."""

    name: str
    path: str | None
    remedy: str


def find_preloads(
    *, prefix: Path | None = None, library_dirs: Iterable[str] = LIBRARY_DIRS
) -> tuple[Preload, ...]:
    """Look for libiomp5 (in the environment's `lib/`) and tcmalloc (from the system)."""
    environment_lib = (prefix or Path(sys.prefix)) / "lib"
    iomp5 = environment_lib / "libiomp5.so"
    tcmalloc = next(
        (
            str(path)
            for directory in library_dirs
            for path in sorted(Path(directory).glob("libtcmalloc_minimal.so.*"))
        ),
        None,
    )
    return (
        Preload("libiomp5", str(iomp5) if iomp5.exists() else None, "pip install intel-openmp"),
        Preload("tcmalloc", tcmalloc, "make system-deps (Debian package libtcmalloc-minimal4)"),
    )


def found_paths(preloads: Iterable[Preload]) -> tuple[str, ...]:
    """Paths of those that were found, in preload order."""
    return tuple(preload.path for preload in preloads if preload.path)
