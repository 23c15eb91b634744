"""Where things live: sessions, bundles, races, training runs and caches, under one folder."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Buffer, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from autopilot.errors import UserError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class Home:
    """The folder that `--home` or `AUTOPILOT_HOME` names."""

    root: Path

    @classmethod
    def find(cls, given: str | None = None) -> Home:
        """Return the home that the user named, or the platform's folder for user data."""
        if chosen := given or os.environ.get("AUTOPILOT_HOME"):
            return cls(Path(chosen).expanduser())
        import platformdirs

        return cls(platformdirs.user_data_path("autopilot", appauthor=False))

    @property
    def sessions(self) -> Path:
        """Recorded sessions, a folder each."""
        return self.root / "sessions"

    @property
    def bundles(self) -> Path:
        """Trained bundles, a folder each."""
        return self.root / "bundles"

    @property
    def races(self) -> Path:
        """Race results, a folder each."""
        return self.root / "races"

    @property
    def runs(self) -> Path:
        """Training runs: checkpoints, TensorBoard curves, plots."""
        return self.root / "runs"

    @property
    def bindings(self) -> Path:
        """The user's own keys for games."""
        return self.root / "bindings.toml"

    @property
    def hud(self) -> Path:
        """What was learned of games' displays, a folder for each game."""
        return self.root / "hud"

    @property
    def cache(self) -> Path:
        """What can be made again from the sessions."""
        return self.root / "cache"

    def bundle(self, name: str) -> Path:
        """Return the folder of a bundle; raises UserError for a name that is not one."""
        return self.bundles / check_name(name, "bundle")


SCRIPTED = ("demonstrator", "random", "human")
"""Driver names that are not bundles; nor is what begins with `demonstrator-`."""


def is_scripted(name: str) -> bool:
    """Return whether a driver's name is no bundle's."""
    return name in SCRIPTED or name.startswith("demonstrator-")


def check_name(name: str, what: str) -> str:
    """Return a name that is safe as a folder's; raises UserError for `../x` and the like."""
    if not _NAME.fullmatch(name) or ".." in name:
        raise UserError(f"{what} name {name!r} cannot be used: take letters, digits, '-', '_' and '.' only")
    if what == "bundle" and is_scripted(name):
        raise UserError(f"{name!r} is a driver already: name the bundle otherwise")
    return name


@contextmanager
def new_folder(root: Path, name: str) -> Iterator[Path]:
    """Make a folder in `root` that is nobody else's: `name`, or `name-2` and so on. One left empty is removed."""
    for folder in (root / (name if n == 1 else f"{name}-{n}") for n in count(1)):
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        try:
            yield folder
        finally:
            with suppress(OSError):
                folder.rmdir()
        return


def write_json(path: Path, data: Any) -> None:
    """Write JSON, making the folder; raises TypeError for what JSON cannot say, else as `write_atomic`."""
    text = json.dumps(data, indent=2, sort_keys=True) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text.encode())


def write_atomic(path: Path, data: Buffer) -> None:
    """Write a file so that any crash leaves the old one or the new one, whole and on the disk."""
    tmp = path.with_name(f"{path.name}.{os.getpid()}.tmp")  # another process may write the same file
    try:
        with tmp.open("wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        tmp.replace(path)
    except BaseException:
        tmp.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make names that were created or removed in the folder last through a power cut."""
    if os.name == "nt":  # which cannot open a folder
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
