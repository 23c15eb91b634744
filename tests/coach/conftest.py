"""A sitting on the tutorial's game, held once with its demonstrator as the person and its tiny network."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.plugins import install_ribbon
from support.sitting import Held


@pytest.fixture(scope="module")  # longer, other tests would see the plugin
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The outside plugin, installed for this process and those that it starts."""
    with pytest.MonkeyPatch.context() as patch:
        site = install_ribbon(tmp_path_factory.mktemp("ribbon") / "site")
        patch.syspath_prepend(str(site))
        patch.setenv("PYTHONPATH", str(site))
        yield site
        for name in [name for name in sys.modules if name.startswith("autopilot_ribbon")]:
            del sys.modules[name]


@pytest.fixture(scope="module")
def held(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Held:
    """A sitting of a hundred seconds; copy its home to change it."""
    return Held(tmp_path_factory.mktemp("held"))


@pytest.fixture
def home(held: Held, tmp_path: Path) -> Path:
    """A copy of the home in which it was held."""
    return Path(shutil.copytree(held.root, tmp_path / "home"))
