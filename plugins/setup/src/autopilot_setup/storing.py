"""Keeping what a user chose in the file that they write by hand as well."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autopilot.api import UserError
from autopilot.sessions.home import write_atomic


def store(path: Path, game: str, screen: Mapping[str, Any], keys: Mapping[tuple[str, ...], Mapping[str, str]]) -> None:
    """Write `[GAME.screen]`, and keys under the tables that `keys` names below the game's, whole or not at all.

    The rest of the file stays as they wrote it. Raises UserError where it is written in a way that cannot be added to.
    """
    import tomlkit

    document = tomlkit.parse(path.read_text(encoding="utf-8-sig") if path.exists() else "")
    try:
        mine = document.setdefault(game, tomlkit.table(is_super_table=True))
        mine["screen"] = screen
        for (*above, last), chosen in keys.items():
            table = mine
            for name in above:
                table = table.setdefault(name, tomlkit.table(is_super_table=True))
            table.setdefault(last, tomlkit.table()).update(chosen)
        text = tomlkit.dumps(document)
        tomllib.loads(text)
    except (ValueError, TypeError, AttributeError) as e:  # tomlkit's own are ValueErrors
        raise UserError(f"{path} cannot be added to ({e}): write [{game}.screen] by hand") from e
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text.encode())
