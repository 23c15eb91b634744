"""Unpacking: sessions out of a file from anybody; what is there already is never touched."""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO, Literal

import filelock

from autopilot.errors import SessionError, UserError
from autopilot.home import sync_folder
from autopilot.sessions import Session
from autopilot.sharing.checks import check_session_at
from autopilot.sharing.form import Member, chunks, read_manifest
from autopilot.sharing.pack import Tell

_SPARE = 50_000_000  # bytes of the disk to leave free
_STAGE, _LOCK = ".unpacking", ".unpacking.lock"  # sessions' names begin with no dot


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What became of a session of a pack.

    `outcome` is `new`, `renamed` where another one had its name, or `known` where it was here already;
    `id` is its name here. `review` says, of a known one, that the pack has another review of it.
    """

    session: str
    id: str
    outcome: Literal["new", "renamed", "known"]
    review: bool = False


def unpack(path: Path, root: Path, tell: Tell = lambda n: None) -> list[Unpacked]:
    """Put the sessions of the pack `path` into the folder `root`.

    All is checked first, in a hidden folder: the digests, and that each file is what a session's file may
    be. Then each session appears by one rename, whole. A crash leaves the hidden folder at most, which the
    next unpacking removes. Raises SessionError for whatever is wrong, and then nothing has appeared: what did
    before the disk failed has gone again.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(root / _LOCK, timeout=1), path.open("rb") as file:
            stage = root / _STAGE
            shutil.rmtree(stage, ignore_errors=True)
            try:
                return _unpack(file, root, stage, tell)
            finally:
                shutil.rmtree(stage, ignore_errors=True)
    except UserError as e:
        raise SessionError(f"{path}: {e}") from None
    except filelock.Timeout:
        raise SessionError(f"something is being unpacked into {root}: wait for that") from None
    except OSError as e:
        raise SessionError(
            f"cannot unpack {path} into {root} ({e.strerror}): nothing was added; mend that, unpack again"
        ) from e


def _unpack(file: BinaryIO, root: Path, stage: Path, tell: Tell) -> list[Unpacked]:
    manifest = read_manifest(file)
    wanted, free = sum(m.size for m in manifest.members), shutil.disk_usage(root).free - _SPARE
    if wanted > free:
        raise SessionError(f"it needs {wanted / 1e6:.0f} MB, and {max(free, 0) / 1e6:.0f} MB are to spare in {root}")
    stage.mkdir()
    for id in manifest.sessions:
        (stage / id).mkdir()
    for member in manifest.members:
        _extract(file, member, stage / member.session / member.name)
        tell(member.size)
    for id in manifest.sessions:
        try:
            check_session_at(stage / id)
        except UserError as e:
            raise SessionError(f"session {id}: {str(e).replace(f'{stage}{os.sep}', '')}") from None
        _settle(stage / id)
    with ExitStack() as undo:
        done = [_place(stage / id, root, undo) for id in manifest.sessions]
        undo.pop_all()
    return done


def _extract(file: BinaryIO, member: Member, target: Path) -> None:
    with target.open("xb") as out:
        for data in chunks(file, member):
            out.write(data)
        out.flush()
        os.fsync(out.fileno())


def _settle(folder: Path) -> None:
    """Write what was understood of a session's JSON in place of what was sent."""
    session = Session.open(folder)
    session.info.save(folder / "session.json")
    if (folder / "edits.json").exists():
        session.edits().save(folder / "edits.json")


def _place(folder: Path, root: Path, undo: ExitStack) -> Unpacked:
    """Make a session appear under a name that is nobody else's, unless it is here already; `undo` takes it back."""
    came = Session.open(folder)
    digest: bytes | None = None
    for n in count(1):
        id = folder.name if n == 1 else f"{folder.name[:90]}.{n}"
        target = root / id
        if not target.exists():
            break
        digest = digest or _digest(came)
        try:
            here = Session.open(target)
            if _same(came, here) and digest == _digest(here):
                return Unpacked(folder.name, id, "known", here.edits().state() != came.edits().state())
        except UserError:
            pass  # whatever it is, it stays as it is
    came.info.model_copy(update={"id": id}).save(folder / "session.json")
    folder.rename(target)
    undo.callback(target.rename, folder)
    sync_folder(root)
    return Unpacked(folder.name, id, "new" if n == 1 else "renamed")


def _same(one: Session, other: Session) -> bool:
    return one.info.model_dump(exclude={"id"}) == other.info.model_dump(exclude={"id"})


def _digest(session: Session) -> bytes:
    """Return a digest of a session's rows, deleted ones included, by their numbers and checksums."""
    digest = hashlib.sha256()
    for record in session.moments(include_deleted=True):
        digest.update(f"{record.index} {record.values['crc32']}\n".encode())
    return digest.digest()
