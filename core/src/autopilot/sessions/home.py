"""Where things live: sessions, bundles, races, training runs and caches, under one folder."""

from __future__ import annotations

import json
import os
import re
import shutil
from codecs import BOM_UTF8
from collections.abc import Buffer, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autopilot.api.errors import UserError
from autopilot.api.files import patiently

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_WINDOWS = re.compile(r"(con|prn|aux|nul|com[1-9]|lpt[1-9])(\..*)?|.*\.", re.IGNORECASE)
"""What Windows takes for a device, or shortens: no folder's name anywhere, since sessions and bundles travel."""


class _Under:
    """A path under a home."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, home: Home, owner: type[Home]) -> Path:
        return home.root / self._name


@dataclass(frozen=True, slots=True)
class Home:
    """The folder that `--home` or `AUTOPILOT_HOME` names."""

    root: Path

    sessions = _Under("sessions")
    """Recorded sessions, a folder each."""
    bundles = _Under("bundles")
    """Trained bundles, a folder each."""
    races = _Under("races")
    """Race results, a folder each."""
    runs = _Under("runs")
    """Training runs: checkpoints, TensorBoard curves, plots."""
    bindings = _Under("bindings.toml")
    """The user's own keys for games."""
    hud = _Under("hud")
    """What was learned of games' displays, a folder for each game."""
    granted = _Under("granted")
    """What frame sources were allowed to see, kept by them."""
    cache = _Under("cache")
    """What can be made again from the sessions."""

    @classmethod
    def find(cls, given: str | None = None) -> Home:
        """Return the home that the user named, or the platform's folder for user data.

        Raises UserError where the user, or the one that `~name` means, has no folder.
        """
        import platformdirs

        chosen = given or os.environ.get("AUTOPILOT_HOME")
        try:
            return cls(Path(chosen or platformdirs.user_data_path("autopilot", appauthor=False)).expanduser())
        except RuntimeError as e:  # so both say that they know no such user
            lost = f"there is no user's folder for {chosen}" if chosen else "this user has no home folder"
            raise UserError(f"{lost}: name a folder by --home DIR or AUTOPILOT_HOME") from e

    def bundle(self, name: str) -> Path:
        """Return the folder of a bundle; raises UserError for a name that is not one."""
        return self.bundles / check_name(name, "bundle")

    def bundle_names(self) -> list[str]:
        """Return the names of all bundles, the newest first; ready-trained ones, which have a card, come last."""
        names = []
        for path in self.bundles.glob("*/manifest.json"):
            with suppress(OSError):  # one that was just replaced or removed
                names.append((path.with_name("card.json").exists(), -path.stat().st_mtime_ns, path.parent.name))
        return [name for *_, name in sorted(names) if _NAME.fullmatch(name)]


def is_scripted(name: str) -> bool:
    """Return whether a driver's name is no bundle's."""
    return name in ("demonstrator", "random", "human") or name.startswith("demonstrator-")


def check_name(name: str, what: str) -> str:
    """Return a name that is safe as a folder's; raises UserError for `../x` and the like."""
    if not _NAME.fullmatch(name) or ".." in name:
        raise UserError(f"{what} name {name!r} cannot be used: take letters, digits, '-', '_' and '.' only")
    if _WINDOWS.fullmatch(name):
        raise UserError(f"{what} name {name!r} cannot be used: no folder may be called so on Windows; take another")
    if what == "bundle" and is_scripted(name):
        raise UserError(f"{name!r} is a driver already: name the bundle otherwise")
    return name


def make_folder(root: Path, name: str) -> Path:
    """Make a folder in `root` that is nobody else's: `name`, or `name-2` and so on; raises OSError."""
    n = 1
    while True:
        folder = root / (name if n == 1 else f"{name}-{n}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            n += 1
        else:
            return folder


@contextmanager
def new_folder(root: Path, name: str) -> Iterator[Path]:
    """Make a folder as `make_folder` does. One left empty is removed."""
    folder = make_folder(root, name)
    try:
        yield folder
    finally:
        with suppress(OSError):
            folder.rmdir()


def check_output(path: Path, force: bool, holds: Collection[str] = ()) -> None:
    """Raise UserError unless a user's output may go to `path`: nothing is there, or what `force` may replace.

    That is a plain file; of an output that is a folder, one in which there is nothing but what it `holds`.
    """
    if not os.path.lexists(path):
        return
    if path.is_dir():
        fits = bool(holds) and {p.name for p in path.iterdir()} <= set(holds)
    else:
        fits = not holds and (path.is_file() or not path.exists())
    if not fits:
        raise UserError(f"{path} is no {'folder that may be replaced' if holds else 'plain file'}: take another name")
    if not force:
        raise UserError(f"{path} exists already: take another name, or --force")


@contextmanager
def new_output(path: Path, force: bool = False, holds: Collection[str] = ()) -> Iterator[Path]:
    """Give a path beside `path` to write a user's output at; it appears as `path` whole, or not at all.

    Raises UserError as `check_output` does, before and after, and in place of every OSError.
    """
    check_output(path, force, holds)
    target = path.resolve()  # a link stays one
    part, old = (target.with_name(f".{target.name}.{os.getpid()}.{end}") for end in ("part", "old"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield part
        check_output(path, force, holds)
        if part.is_file() and not force:
            target.touch(exist_ok=False)  # of two that write the same file, creating it decides
        put_in_place(part, target, old)
        sync_folder(target.parent)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as e:
        raise UserError(f"cannot write {path} ({e.strerror or e}): free space, or take another folder") from e
    finally:
        shutil.rmtree(part, ignore_errors=True)
        with suppress(OSError):
            part.unlink()


def put_in_place(part: Path, target: Path, old: Path) -> None:
    """Let `part` take the place of `target`, which becomes `old` if it is a folder; an OSError leaves all as it was."""
    aside = target.is_dir()
    if aside:
        patiently(lambda: target.rename(old))
    try:
        patiently(lambda: part.replace(target))
    except OSError:
        if aside:
            old.rename(target)
        raise


def read_json(data: bytes) -> Any:
    """Return what JSON says; raises ValueError where it is none, has a number that is not finite, or is too deep."""
    from pydantic_core import from_json

    value = from_json(data.removeprefix(BOM_UTF8), allow_inf_nan=False)
    json.dumps(value, allow_nan=False)  # 1e999 was read as infinity
    return value


def write_json(path: Path, data: Any) -> None:
    """Write JSON, making the folder; TypeError or ValueError for what JSON cannot say, else as `write_atomic`."""
    text = json.dumps(data, indent=2, sort_keys=True, allow_nan=False) + "\n"
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
        patiently(lambda: tmp.replace(path))
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
