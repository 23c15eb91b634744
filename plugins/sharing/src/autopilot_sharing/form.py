"""The form of a pack, one file that holds sessions, or bundles.

In order: `MAGIC`; the members, one after the other, as they are; the manifest, JSON; its SHA-256, 32 bytes;
its length, 8 bytes, little endian; `MAGIC` again. Nothing is compressed here, there are no links, no modes
and no paths but those that the manifest names, so what comes out is never more than what is in the file.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Buffer, Iterator
from typing import Annotated, BinaryIO, Literal

from autopilot.api import SessionError
from autopilot.sessions.home import check_name
from pydantic import BaseModel, ConfigDict, Field

FORMAT = 1
MAGIC = b"autopilot pack\r\n\x1a\n"  # a transfer that mends line ends breaks it, as it does PNG's
INFO, EDITS, ABOUT, WEIGHTS, CARD = "session.json", "edits.json", "manifest.json", "weights.safetensors", "card.json"
Kind = Literal["session", "bundle"]
NAMES: dict[Kind, str] = {
    "session": r"session\.json|edits\.json|seg-[0-9]{5,9}\.arrow",
    "bundle": r"manifest\.json|weights\.safetensors|card\.json",
}
NEEDED: dict[Kind, tuple[str, ...]] = {"session": (INFO,), "bundle": (ABOUT, WEIGHTS)}
MANIFEST_LIMIT, JSON_LIMIT, DATA_LIMIT = 64 << 20, 4 << 20, 512 << 20
"""Bytes that a manifest, another JSON file and a segment or weights may have at most."""
_BLOCK = 1 << 20
_END = 32 + 8 + len(MAGIC)
_DIGEST = Field(pattern=r"^[0-9a-f]{64}$")


class Member(BaseModel):
    """A file of a session, or of the bundle that `session` names; `size` is in bytes, `sha256` of all of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    session: str
    name: str
    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, _DIGEST]


class _Head(BaseModel):
    format: int


class Manifest(BaseModel):
    """What a pack says of itself; `versions` names what made it, `members` stand in the order of their bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    versions: dict[str, str]
    members: tuple[Member, ...]

    @property
    def sessions(self) -> list[str]:
        """The ids of the sessions, or the names of the bundles, in order."""
        return list(dict.fromkeys(m.session for m in self.members))

    @property
    def kind(self) -> Kind:
        """What all of it is: nothing else may be in a pack of bundles."""
        return "bundle" if any(m.name in NEEDED["bundle"] for m in self.members) else "session"


class Writer:
    """Writes a pack into an open file; raises OSError."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._members: list[Member] = []
        file.write(MAGIC)

    def add(self, session: str, name: str, data: Buffer) -> None:
        """Add a file of a session, or of a bundle."""
        view = memoryview(data).cast("B")
        digest = hashlib.sha256(view).hexdigest()
        self._members.append(Member(session=session, name=name, size=len(view), sha256=digest))
        self._file.write(view)

    def close(self, versions: dict[str, str]) -> None:
        """Write the end; the file stays open, and what was written is on the disk."""
        text = Manifest(versions=versions, members=tuple(self._members)).model_dump_json().encode()
        self._file.write(text + hashlib.sha256(text).digest() + len(text).to_bytes(8, "little") + MAGIC)
        self._file.flush()
        os.fsync(self._file.fileno())


def read_manifest(file: BinaryIO) -> Manifest:
    """Return a pack's manifest, checked but for the members' bytes; the file stands at the first of them.

    Raises SessionError, without naming the file, for one that is no pack, is damaged, cut or of a newer
    format, or whose members are no files of sessions or bundles; OSError when it cannot be read.
    """
    total = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.read(len(MAGIC)) != MAGIC:
        raise SessionError("this is no pack: `autopilot pack` makes one")
    cut = SessionError("the pack is damaged or cut short: get it again")
    if total < len(MAGIC) + _END:
        raise cut
    file.seek(total - _END)
    end = file.read(_END)
    length = int.from_bytes(end[32:40], "little")
    if end[40:] != MAGIC or not 0 < length <= min(MANIFEST_LIMIT, total - len(MAGIC) - _END):
        raise cut
    file.seek(total - _END - length)
    text = file.read(length)
    if hashlib.sha256(text).digest() != end[:32]:
        raise cut
    try:
        made = _Head.model_validate_json(text).format
        if made > FORMAT:
            raise SessionError(f"made by a newer autopilot (format {made}; this one reads {FORMAT}): upgrade")
        manifest = Manifest.model_validate_json(text)
    except ValueError:
        raise SessionError("its manifest makes no sense: ask for another pack") from None
    if sum(m.size for m in manifest.members) != total - len(MAGIC) - length - _END:
        raise cut
    _check_members(manifest)
    file.seek(len(MAGIC))
    return manifest


def chunks(file: BinaryIO, member: Member) -> Iterator[bytes]:
    """Yield the bytes of the next member; raises SessionError at their end when they are not those packed."""
    left, digest = member.size, hashlib.sha256()
    while left and (data := file.read(min(_BLOCK, left))):
        left -= len(data)
        digest.update(data)
        yield data
    if left or digest.hexdigest() != member.sha256:
        raise SessionError(f"{member.session}/{member.name} is damaged: get the pack again")


def _check_members(manifest: Manifest) -> None:
    seen: set[tuple[str, str]] = set()
    for m in manifest.members:
        check_id(m.session, manifest.kind)
        limit = JSON_LIMIT if m.name.endswith(".json") else DATA_LIMIT
        known = re.fullmatch(NAMES[manifest.kind], m.name)
        if not known or m.size > limit or (m.session.lower(), m.name) in seen:
            raise SessionError(f"{m.name!r:.80} is no file of a {manifest.kind}, is too large or twice there")
        seen.add((m.session.lower(), m.name))
    if len({s.lower() for s in manifest.sessions}) < len(manifest.sessions):
        raise SessionError(f"two of its {manifest.kind}s differ in capitals alone: ask for another pack")
    needed = [(s, name) for s in manifest.sessions for name in NEEDED[manifest.kind]]
    if missing := [f"{s} lacks its {name}" for s, name in needed if (s.lower(), name) not in seen]:
        raise SessionError(f"{missing[0]}: ask for another pack")


def check_id(id: str, kind: Kind) -> None:
    """Raise UserError for a name that is none of a session or bundle, or of no folder on some system."""
    check_name(id, kind)
    if id.endswith(".") or re.fullmatch(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", id.lower()):
        raise SessionError(f"{kind} name {id!r} cannot be used on Windows")
