"""The outside plugin, whose network is small."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.plugins import install_ribbon


@pytest.fixture(scope="session")
def ribbon(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the outside plugin is installed; put it on the path to use it."""
    return install_ribbon(tmp_path_factory.mktemp("ribbon") / "site")
