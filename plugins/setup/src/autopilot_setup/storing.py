"""Keeping what a user chose in the file that they write by hand as well."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from autopilot.api import UserError
from autopilot.sessions.home import write_atomic


def store(path: Path, game: str, screen: Mapping[str, Any], keys: Mapping[tuple[str, ...], Mapping[str, str]]) -> None:
    """Write `[GAME.screen]`, and keys under the tables that `keys` names below the game's, whole or not at all.

    The rest of the file stays as they wrote it. Raises UserError where it is written in a way that cannot be added to.
    """
    with _changed(path, game) as mine:
        mine["screen"] = screen
        for place, chosen in keys.items():
            _table(mine, place).update(chosen)


def store_lag(path: Path, game: str, ms: float) -> None:
    """Write `lag_ms` into `[GAME.screen]`, which setup, run again, forgets; else as `store`."""
    with _changed(path, game) as mine:
        _table(mine, ("screen",))["lag_ms"] = ms


def _table(mine: Any, place: tuple[str, ...]) -> Any:
    import tomlkit

    *above, last = place
    for name in above:
        mine = mine.setdefault(name, tomlkit.table(is_super_table=True))
    return mine.setdefault(last, tomlkit.table())


@contextmanager
def _changed(path: Path, game: str) -> Iterator[Any]:
    """Give the game's table, and write the file as it is afterwards."""
    import tomlkit

    try:
        document = tomlkit.parse(path.read_text(encoding="utf-8-sig") if path.exists() else "")
        yield document.setdefault(game, tomlkit.table(is_super_table=True))
        text = tomlkit.dumps(document)
        tomllib.loads(text)
    except (ValueError, TypeError, AttributeError) as e:  # tomlkit's own are ValueErrors
        raise UserError(f"{path} cannot be added to ({e}): write [{game}.screen] by hand") from e
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text.encode())
