"""Everything here starts a real vLLM on this machine's CPU."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from serving.engine_build import installed_engine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here as live; where no engine is installed skip with the reason, or fail in CI."""
    engine = installed_engine()
    here = Path(__file__).parent
    for item in items:
        if not item.path.is_relative_to(here):
            continue
        item.add_marker(pytest.mark.live)
        item.add_marker(pytest.mark.timeout(900))
        if engine is None and not os.environ.get("CI"):
            item.add_marker(pytest.mark.skip(reason="no vLLM is installed: `make setup` installs it"))
