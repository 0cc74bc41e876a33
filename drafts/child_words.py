"""What a child process says to the one that started it: one JSON object a line on stdout.

{"stage", "done", "total"} with whatever else is known, {"result"} at the end, {"error", "hint"} for a cause.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from accounting.errors import KilotokenError


def say(**said: Any) -> None:
    """One line."""
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def told(work: Callable[[], Any]) -> int:
    """Do it and say its result, or why it failed; the exit status.

    RuntimeError is what torch raises for whatever a device refuses, ImportError what an environment without an engine does.
    """
    try:
        result = work()
    except KilotokenError as error:
        say(error=error.message, hint=error.hint)
        return 1
    except (ImportError, MemoryError, OSError, RuntimeError, TypeError, ValueError) as error:
        say(error=f"{type(error).__name__}: {error}")
        return 1
    say(result={} if result is None else result)
    return 0
