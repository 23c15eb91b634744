"""Unpacking: sessions or bundles out of a file from anybody; what is there already is never touched."""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

import filelock
from autopilot.api import SessionError, UserError, patiently
from autopilot.sessions.home import Home, sync_folder
from autopilot.sessions.session import Session
from autopilot.sessions.store import SessionStore

from autopilot_sharing.checks import check_session_at
from autopilot_sharing.form import Kind, Manifest, Member, chunks, read_manifest
from autopilot_sharing.pack import Tell

_SPARE = 50_000_000  # bytes of the disk to leave free
_STAGE, _LOCK = ".unpacking", ".unpacking.lock"  # sessions' names begin with no dot


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What became of a session, or a bundle, of a pack.

    `outcome` is `new`, `renamed` where another one had its name, or `known` where it was here already;
    `id` is its name here. `review` says, of a known one, that the pack has another review of it.
    """

    session: str
    id: str
    outcome: Literal["new", "renamed", "known"]
    review: bool = False
    kind: Kind = "session"


class Come(Protocol):
    """A session or bundle that came, in the hidden folder, checked and written anew."""

    def known(self, target: Path) -> bool | None:
        """Return whether `target` was reviewed otherwise, None where it is another one; raises UserError."""

    def call(self, id: str) -> None:
        """Let it have that name, which its folder will get."""


def unpack(path: Path, home: Home, tell: Tell = lambda n: None) -> list[Unpacked]:
    """Put what is in the pack `path` into `home`.

    All is checked first, in a hidden folder: the digests, and that each file is what a session's or bundle's
    file may be. Then each appears by one rename, whole. A crash leaves the hidden folder at most, which the
    next unpacking removes. Raises SessionError for whatever is wrong, and then nothing has appeared: what did
    before the disk failed has gone again.
    """
    root = home.root
    try:
        with path.open("rb") as file:
            manifest = read_manifest(file)
            root = home.bundles if manifest.kind == "bundle" else home.sessions
            root.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(root / _LOCK, timeout=1):
                stage = root / _STAGE
                shutil.rmtree(stage, ignore_errors=True)
                try:
                    return _unpack(file, manifest, root, stage, tell)
                finally:
                    shutil.rmtree(stage, ignore_errors=True)
    except UserError as e:
        said = "".join(c if c.isprintable() else "?" for c in str(e))
        raise SessionError(f"{path}: {said:.500}") from None
    except filelock.Timeout:
        raise SessionError(f"something is being unpacked into {root}: wait for that") from None
    except OSError as e:
        raise SessionError(
            f"cannot unpack {path} into {root} ({e.strerror}): nothing was added; mend that, unpack again"
        ) from e


def _unpack(file: BinaryIO, manifest: Manifest, root: Path, stage: Path, tell: Tell) -> list[Unpacked]:
    wanted, free = sum(m.size for m in manifest.members), shutil.disk_usage(root).free - _SPARE
    if wanted > free:
        raise SessionError(f"it needs {wanted / 1e6:.0f} MB, and {max(free, 0) / 1e6:.0f} MB are to spare in {root}")
    stage.mkdir()
    for id in manifest.sessions:
        (stage / id).mkdir()
    for member in manifest.members:
        _extract(file, member, stage / member.session / member.name)
        tell(member.size)
    come: dict[Path, Come] = {}
    for folder in (stage / id for id in manifest.sessions):
        try:
            come[folder] = _open(folder, manifest.kind)
        except UserError as e:
            said = str(e).replace(f"{stage}{os.sep}", "").removeprefix(f"bundle {folder.name}: ")
            raise SessionError(f"{manifest.kind} {folder.name}: {said}") from None
    with ExitStack() as undo:
        done = [_place(folder, its, root, undo) for folder, its in come.items()]
        undo.pop_all()
    return [replace(one, kind=manifest.kind) for one in done]


def _extract(file: BinaryIO, member: Member, target: Path) -> None:
    with target.open("xb") as out:
        for data in chunks(file, member):
            out.write(data)
        out.flush()
        os.fsync(out.fileno())


def _open(folder: Path, kind: Kind) -> Come:
    if kind == "session":
        return _Session(folder)
    from autopilot_sharing.bundles import ComeBundle  # which imports JAX

    return ComeBundle(folder)


class _Session:
    def __init__(self, folder: Path) -> None:
        """Check it, and write what was understood of its JSON in place of what was sent."""
        check_session_at(folder)
        self._session = Session.open(folder)
        self._session.info.save(folder / "session.json")
        if (folder / "edits.json").exists():
            self._session.edits().save(folder / "edits.json")

    @cached_property
    def _digest(self) -> bytes:
        return _digest(self._session)

    def known(self, target: Path) -> bool | None:
        here, came = SessionStore.of(Home(target.parents[1])).open(target.name), self._session
        if not _same(came, here) or self._digest != _digest(here):
            return None
        return here.edits().state() != came.edits().state()

    def call(self, id: str) -> None:
        self._session.info.model_copy(update={"id": id}).save(self._session.path / "session.json")


def _place(folder: Path, come: Come, root: Path, undo: ExitStack) -> Unpacked:
    """Make it appear under a name that is nobody else's, unless it is here already; `undo` takes it back."""
    for n in count(1):
        id = folder.name if n == 1 else f"{folder.name[:90]}.{n}"
        target = root / id
        if not target.exists():
            break
        with suppress(UserError):  # whatever it is, it stays as it is
            if (review := come.known(target)) is not None:
                return Unpacked(folder.name, id, "known", review)
    come.call(id)
    patiently(lambda: folder.rename(target))
    undo.callback(target.rename, folder)
    sync_folder(root)
    return Unpacked(folder.name, id, "new" if n == 1 else "renamed")


def _same(one: Session, other: Session) -> bool:
    return one.info.model_dump(exclude={"id"}) == other.info.model_dump(exclude={"id"})


def _digest(session: Session) -> bytes:
    """Return a digest of a session's rows, deleted ones included, by their numbers and checksums."""
    return hashlib.sha256(session.index.index.tobytes() + session.index.crc32.tobytes()).digest()
