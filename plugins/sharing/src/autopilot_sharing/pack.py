"""Packing: sessions, or a bundle, into one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from autopilot import __version__
from autopilot.api import SessionError
from autopilot.sessions.home import new_output
from autopilot.sessions.info import Edits
from autopilot.sessions.segments import SEALED, read_segment, scan, sealed, segments
from autopilot.sessions.session import Session

from autopilot_sharing.form import EDITS, INFO, Writer, check_id

Tell = Callable[[int], None]
"""Is told how many more bytes of sessions were dealt with."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A session in a pack: its intact rows, and how many of them are softly deleted and go along."""

    session: str
    rows: int
    deleted: int


def weight(session: Session) -> int:
    """Return the bytes of a session's segments."""
    return sum(p.stat().st_size for p in session.path.glob("seg-*"))


def pack(sessions: Sequence[Session], path: Path, tell: Tell = lambda n: None, force: bool = False) -> list[Packed]:
    """Write sessions into the file `path`, which appears whole or not at all.

    Of each goes what is intact, deleted rows and the review included; what was torn is sealed. Rows that were
    split off and what could be undone stay here. Raises UserError as `new_output` does, SessionError when a session
    is being recorded or cannot be read.
    """
    with writing(path, force) as writer:
        return [_add(writer, session, tell) for session in sessions]


@contextmanager
def writing(path: Path, force: bool) -> Iterator[Writer]:
    """Make a pack that appears whole, as the file `path`, or not at all; raises UserError as `new_output` does."""
    with new_output(path, force) as part, part.open("wb") as file:
        writer = Writer(file)
        yield writer
        writer.close({"autopilot-core": __version__})


def _add(writer: Writer, session: Session, tell: Tell) -> Packed:
    id = session.path.name
    check_id(id, "session")
    if session.info.ended == "recording":
        raise SessionError(f"{id} is being recorded: end that first")
    edits = session.edits()
    start, stop = edits.window or (0, 1 << 62)
    writer.add(id, INFO, session.info.model_copy(update={"id": id}).model_dump_json(indent=2).encode())
    told = edits.model_copy(update={"format": Edits.newest, "undo": [], "redo": []})
    if told != Edits():
        writer.add(id, EDITS, told.model_dump_json(indent=2).encode())
    rows = 0
    for name in segments(session.path):
        data = read_segment(session.path, name)[0]
        kept = [r for r in scan(data) if start <= r.index < stop]
        if (whole := sealed(kept)) is not None:
            writer.add(id, name + SEALED, whole)
        rows += len(kept)
        tell(len(data))
    return Packed(id, rows, sum(b - a for a, b in edits.deleted))
