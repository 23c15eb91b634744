"""Hostile packs against `autopilot unpack`, by the thousands. Prints JSON.

Each is unpacked in a folder of its own. An audit hook of Python's sees every file that is opened to write,
made, renamed or removed, and whatever could run code; what was there before is compared byte by byte; what
arrives is read by all that reads sessions or bundles. Anything but a pack's refusal in words is a crash.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import pickle
import random
import shutil
import sys
import tarfile
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from autopilot.api.errors import SessionError
from autopilot.api.types import ActionSpace, Axis, Frame, Reading
from autopilot.bundle.manifest import read_manifest, read_weights, save_bundle
from autopilot.bundle.preprocess import Preprocess
from autopilot.sessions.home import Home
from autopilot.sessions.info import SessionInfo
from autopilot.sessions.laps import laps_of
from autopilot.sessions.segments import SCHEMA, Row, encode, scan
from autopilot.sessions.store import SessionStore
from autopilot.sessions.writer import SessionWriter
from autopilot_sharing import form
from autopilot_sharing.bundles import pack_bundle
from autopilot_sharing.form import ABOUT, FORMAT, MAGIC, WEIGHTS
from autopilot_sharing.pack import pack
from autopilot_sharing.unpack import unpack

Files = dict[tuple[str, str], bytes]
WIDTH, HEIGHT = 24, 16
SPACE = ActionSpace((Axis("steer", ("left", "forward", "right"), (2, 1, 0)),))

TRAVERSAL = """../evil|../../evil|/evil|/etc/passwd|..|.|./x|a/../../evil|..\\evil|C:\\evil|C:evil|
\\\\host\\share\\evil|~/evil|$HOME/evil|%2e%2e/evil|..%2fevil|..%c0%afevil|....//evil|..../evil|.ssh|.unpacking|evil\x00.json|
\u202eevil|\uff0e\uff0e/evil|..\u2215evil|..\u2044evil|con|nul.txt|COM1|lpt1.arrow|aux.|evil.|evil |
 evil|-rf|--help|evil/|evil//|file:///evil|evil:stream|evil::$DATA|*|?|<evil>||""".replace("\n", "").split("|")
TRAVERSAL += [
    "evil\n",
    "evil\r\n",
    "../" * 40 + "evil",
    "a" * 5000,
    "e" * 101,
    "\ud800",
    "..\u0000/evil",
    "..//..//evil",
    "seg-00000.arrow/../evil",
]


def sign(files: Files, change: Callable[[dict[str, Any]], Any] = lambda m: None) -> bytes:
    """Make a pack of any files whatever, with right digests, and a manifest that `change` changed."""
    digests = [hashlib.sha256(data).hexdigest() for data in files.values()]
    members = [
        {"session": session, "name": name, "size": len(data), "sha256": digest}
        for ((session, name), data), digest in zip(files.items(), digests, strict=True)
    ]
    manifest: dict[str, Any] = {"format": FORMAT, "versions": {}, "members": members}
    changed = change(manifest)
    text = changed if isinstance(changed, bytes) else json.dumps(manifest).encode("utf-8", "surrogatepass")
    return (
        MAGIC
        + b"".join(files.values())
        + text
        + hashlib.sha256(text).digest()
        + len(text).to_bytes(8, "little")
        + MAGIC
    )


def files_of(data: bytes) -> Files:
    """Return what is in an honest pack."""
    file = io.BytesIO(data)
    return {(m.session, m.name): file.read(m.size) for m in form.read_manifest(file).members}


def make_row(i: int, width: int = WIDTH, height: int = HEIGHT, held: tuple[str, ...] = ("left",)) -> Row:
    """Return a row of noise."""
    image = np.random.default_rng(i).integers(0, 256 if i % 2 else 3, (height, width, 3), np.uint8)
    reading = Reading(lap=i // 3, lap_times_s=(4.0,) * (i // 3), race_time_s=i / 2)
    return Row(Frame(image, 10**9 + i * 10**8), frozenset(held), frozenset(), (i % 3,), reading)


def record(root: Path, id: str, rows: int) -> None:
    """Record a session of two segments."""
    info = SessionInfo.model_validate(
        {"id": id, "game": "toy", "driver": "anna", "track": "7", "mode": "N", "hz": 10, "width": WIDTH}
        | {"height": HEIGHT, "controls": ("left", "right"), "label_map": "toy", "action_space": SPACE.to_json()}
        | {"lockstep": False, "created": "2026-01-31T14:25:01+00:00", "versions": {}, "ended": "recording"}
    )
    with SessionWriter(root, info, segment_s=1e9) as writer:
        for i in range(rows):
            writer._segment_s = 0.0 if i == rows // 2 else 1e9
            writer.append(make_row(i))


def honest(folder: Path) -> bytes:
    """Return a pack of two sessions, one of them reviewed."""
    record(folder / "from", "one", 6)
    record(folder / "from", "two", 4)
    store = SessionStore(folder / "from")
    one = store.open("one")
    one.delete(1, 2)
    one.relabel(3, 5, frozenset({"right"}), (2,))
    pack([one, store.open("two")], folder / "honest.pack")
    return (folder / "honest.pack").read_bytes()


def honest_bundle(folder: Path, name: str = "net", seed: int = 1) -> bytes:
    """Return a pack of a bundle."""
    about: dict[str, Any] = {"name": name, "game": "toy", "label_map": "toy", "model": "tiny", "config": {"width": 4}}
    about |= {"action_space": SPACE.to_json(), "preprocess": Preprocess((24, 16), (24, 16)).to_json(), "hz": 10.0}
    about |= {"sessions": ["one"], "options": {"seed": seed}, "metrics": {"loss": 0.5}, "versions": {"core": "0.1.0"}}
    draw = np.random.default_rng(seed).random
    save_bundle(folder / name, about, {f"conv{i}.kernel": draw((3, 4), np.float32) for i in range(3)})
    pack_bundle(folder / name, folder / f"{name}.pack")
    return (folder / f"{name}.pack").read_bytes()


def bundle_bombs(files: Files) -> dict[str, bytes]:
    """Return by name packs of a bundle whose weights, or whose manifest, are a bomb or none."""

    def weights(header: Any, data: bytes = bytes(8)) -> Files:
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        return weighing(files, len(text).to_bytes(8, "little") + text + data)

    def tensor(dtype: str, shape: list[int], size: int = 8) -> dict[str, Any]:
        return {"a": {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}}

    def about(**changes: Any) -> Files:
        return files | {("net", ABOUT): json.dumps(json.loads(files["net", ABOUT]) | changes).encode()}

    axis = {"name": "x", "values": list(map(str, range(100))), "mirror": list(range(100))}
    huge = Preprocess((8192, 8192), (8192, 8192)).to_json()
    bombs = {
        "more than is there": weights(tensor("F32", [1 << 40], 1 << 42)),
        "a shape without end": weights(tensor("F32", [0, 1 << 63], 0), b""),
        "a type that NumPy lacks": weights(tensor("F8_E4M3", [8])),
        "an unknown type": weights(tensor("\x1b[2J", [8])),
        "deep": weights(b'{"a":' * 50_000),
        "a header without end": weighing(files, b"\xff" * 64),
        "a pickle": weighing(files, pickle.dumps(Evil())),
        "pictures without end": about(preprocess=huge),
        "labels without end": about(action_space=[axis | {"name": str(i)} for i in range(9)]),
        "a deep manifest": files | {("net", ABOUT): b"[" * 100_000},
        "a terminal's own words": about(game="\x1b[2J"),
        "a session as well": files | {("one", "session.json"): b"{}"},
        "no weights": {("net", ABOUT): files["net", ABOUT]},
    }
    return {name: sign(bomb) for name, bomb in bombs.items()}


def weighing(files: Files, weights: bytes) -> Files:
    """Return the files of a bundle with other weights, and a manifest that has their digest."""
    about = json.loads(files["net", ABOUT]) | {"weights_sha256": hashlib.sha256(weights).hexdigest()}
    return files | {("net", ABOUT): json.dumps(about).encode(), ("net", WEIGHTS): weights}


HOSTILE: list[Any] = [None, True, -1, 0, 1 << 40, 1 << 63, 1 << 200, -(1 << 63), 1e308, float("nan"), float("inf"), ""]
HOSTILE += ["x" * 10_000, "\x1b[2J", "{}", [], {}, [[]], [[0, 0]], [[5, 1]], [[-3, 2]], [[0, 1 << 63]], [[0, 1e9]]]
HOSTILE += ["__import__('os').system('touch evil')", {"py/object": "os.system"}, "!!python/object/apply:os.system [id]"]
HOSTILE += [[[1, 4], [2, 9]], [{"start": 0, "stop": 9, "held": ["boost"], "action": [7]}], "${jndi:ldap://x/a}"]
HOSTILE += [
    [{"what": "split", "part": "kept"}],
    [{"name": str(i), "values": [1, 2], "mirror": [0, 1]} for i in range(64)],
]


def hostile_json(text: bytes, rng: random.Random) -> bytes:
    """Replace a value somewhere in a JSON file, or break the file."""
    if rng.random() < 0.15:
        return rng.choice(
            [b"", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 5000, text * 2, text[:-9], b"1" * 9000]
        )
    whole = json.loads(text)
    fields = [*whole, "format", "undo", "redo", "window", "evil", "part_of", "human", "relabelled", "deleted"]
    whole[rng.choice(fields)] = rng.choice([*HOSTILE, *TRAVERSAL, rng.randrange(-9, 99)])
    return json.dumps(whole).encode("utf-8", "surrogatepass")


def hostile_bytes(data: bytes, rng: random.Random) -> bytes:
    """Flip, cut, repeat, or overwrite some bytes."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 8, 64])):
        at, n = rng.randrange(len(data) + 1), rng.choice([1, 2, 4, 8, 64, 1024])
        how = rng.randrange(6)
        if how == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            data[at : at + n] = rng.choice([b"\xff", b"\0", b"\x7f"]) * n
        elif how == 2:
            del data[at : at + n]
        elif how == 3:
            data[at:at] = data[at : at + n]
        elif how == 4:
            data[at : at + 8] = rng.choice([-1, 1 << 31, 1 << 62, n, 0]).to_bytes(8, "little", signed=True)
        else:
            data[at : at + n] = rng.randbytes(n)
    return bytes(data)


def batch(**columns: Any) -> pa.RecordBatch:
    """Return an honest row as a batch, with other columns; its checksum is made to fit."""
    record = next(scan(bytes(SCHEMA.serialize()) + encode(make_row(1), 1)))
    values = record.values | {"frame": record.frame.to_pybytes(), "crc32": 0} | columns
    from autopilot.sessions.segments import _crc32

    made = pa.RecordBatch.from_pylist([values], SCHEMA)
    crc = _crc32(made.drop_columns("frame").to_pylist()[0], values["frame"])
    return pa.RecordBatch.from_arrays([*made.columns[:-1], pa.array([crc], pa.uint32())], schema=SCHEMA)


def segment(*batches: pa.RecordBatch, compression: str | None = None) -> bytes:
    """Return batches as an Arrow file."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, SCHEMA, options=pa.ipc.IpcWriteOptions(compression=compression)) as out:
        for one in batches:
            out.write_batch(one)
    return sink.getvalue().to_pybytes()


def nested() -> bytes:
    """Return a segment with a row whose frame, stored as it is, holds rows."""
    data = segment(batch(frame=encode(make_row(5), 5)))
    assert len(list(scan(data))) == 2, "recovery looks for rows everywhere"
    return data


def bombs() -> dict[str, tuple[str, bytes, dict[str, Any]]]:
    """Return by name a segment that is a bomb, in words what it should be refused with, and changes to session.json."""
    import zlib

    black = pa.compress(bytes(8192 * 8192 * 3), codec="zstd", asbytes=True)
    swelling = batch(held=["left"] * 200_000)
    return {
        "compressed by Arrow": ("no segment", segment(batch(held=["left"] * 500), compression="zstd"), {}),
        "names without end": ("no segment", segment(swelling), {}),
        "rows in rows": ("no segment", nested(), {}),
        "pictures without end": (
            "fill the disk",
            segment(*(batch(index=i, frame=black) for i in range(40))),
            {"width": 8192, "height": 8192},
        ),
        "a picture too large": ("no frame of", segment(batch(frame=black)), {}),
        "a picture that is gzip": ("no frame of", segment(batch(frame=zlib.compress(bytes(1 << 20)))), {}),
        "labels without end": (
            "too many labels",
            segment(batch()),
            {
                "action_space": [
                    {"name": str(i), "values": list(map(str, range(100))), "mirror": list(range(100))} for i in range(9)
                ]
            },
        ),
        "rows out of order": ("out of order", segment(batch(index=3), batch(index=3)), {}),
        "a row too far": ("out of order", segment(batch(index=1 << 62)), {}),
        "an unknown control": ("no control", segment(batch(held=["left", "\x1b[2J"])), {}),
        "an unknown label": ("unknown label", segment(batch(action=[7])), {}),
        "a lap too many": (
            "no sense",
            segment(batch(reading=batch().to_pylist()[0]["reading"] | {"lap": 1 << 40})),
            {},
        ),
        "a time that is no number": (
            "no sense",
            segment(batch(reading=batch().to_pylist()[0]["reading"] | {"race_time_s": float("nan")})),
            {},
        ),
        "a rate without end": ("damaged", segment(batch()), {"hz": float("inf")}),
    }


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch evil",)


def foreign() -> dict[str, bytes]:
    """Return files that are no packs, but attacks on those who open them."""
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("../../evil", "evil")
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        z.writestr(link, "/etc")
        z.writestr("one/session.json", bytes(50_000_000))
    with tarfile.open(fileobj=tarred, mode="w:gz") as t:
        for name, kind, target in (
            ("link", tarfile.SYMTYPE, "/etc"),
            ("link/evil", tarfile.REGTYPE, ""),
            ("../evil", tarfile.LNKTYPE, "/etc/passwd"),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            t.addfile(member)
    return {
        "zip": zipped.getvalue(),
        "tar": tarred.getvalue(),
        "pickle": pickle.dumps(Evil()),
        "empty": b"",
        "magic": MAGIC,
    }


def hostile(good: bytes, rng: random.Random) -> tuple[str, bytes]:
    """Return a kind of attack, and a pack that is one."""
    files = files_of(good)
    kind = rng.choice(["bytes", "cut", "json", "segment", "segment", "member", "manifest", "manifest"])
    key = rng.choice(list(files))
    if kind == "bytes":
        return kind, hostile_bytes(good, rng)
    if kind == "cut":
        return kind, good[: rng.randrange(len(good))]
    if kind == "json":
        key = rng.choice([k for k in files if k[1].endswith(".json")])
        return kind, sign(files | {key: hostile_json(files[key], rng)})
    if kind == "segment":
        if ("net", WEIGHTS) in files:
            return kind, sign(weighing(files, hostile_bytes(files["net", WEIGHTS], rng)))
        key = rng.choice([k for k in files if k[1].endswith(".arrow")])
        return kind, sign(files | {key: hostile_bytes(files[key], rng)})
    if kind == "member":
        new = (rng.choice([key[0], "kept", *TRAVERSAL]), rng.choice([key[1], "seg-99999.arrow", "evil.py", *TRAVERSAL]))
        return kind, sign({(new if k == key else k): v for k, v in files.items()})
    return kind, sign(files, lambda m: hostile_manifest(m, rng))


def hostile_manifest(manifest: dict[str, Any], rng: random.Random) -> bytes | None:
    """Change a manifest, or return other bytes in its place."""
    members = manifest["members"]
    how = rng.randrange(6)
    if how == 0:
        return rng.choice(
            [b"", b"null", b"[" * 200_000, b"\xff" * 99, pickle.dumps(Evil()), b'{"format": 99, "new": 1}']
        )
    if how == 1:
        members.append(rng.choice(members))
    elif how == 2:
        rng.shuffle(members)
    elif how == 3:
        del members[rng.randrange(len(members))]
    elif how == 4:
        manifest[rng.choice(["format", "versions", "members", "evil"])] = rng.choice(HOSTILE)
    else:
        rng.choice(members)[rng.choice(["session", "name", "size", "sha256", "link"])] = rng.choice(HOSTILE + TRAVERSAL)
    return None


RUNS = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess", "pickle.", "exec", "compile", "import")
RUNS += ("ctypes.", "marshal.", "socket.", "shelve.", "webbrowser.", "code.__new__")
WRITES = {"os.mkdir": 1, "os.rename": 2, "os.remove": 1, "os.rmdir": 1, "os.link": 2, "os.symlink": 2}
WRITES |= {"os.truncate": 1, "os.chmod": 1, "os.chown": 1, "os.utime": 1, "shutil.rmtree": 1}


class Watch:
    """Sees, by Python's audit events, what is written outside a folder, and what could run code, while it is on."""

    def __init__(self) -> None:
        self.inside: Path | None = None
        self.escapes: list[str] = []
        self.runs: list[str] = []
        sys.addaudithook(self._see)

    def _see(self, event: str, args: tuple[Any, ...]) -> None:
        if self.inside is None:
            return
        if event.startswith(RUNS):
            self.runs.append(f"{event} {args!r:.200}")
        paths = args[: WRITES.get(event, 0)]
        if (
            event == "open"
            and len(args) > 2
            and isinstance(args[2], int)
            and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        ):
            paths = args[:1]
        for path in paths:
            if isinstance(path, (str, bytes, os.PathLike)) and "dir_fd" not in event:
                bare = os.sep not in os.fsdecode(path)  # shutil.rmtree names what is in the folder that it has open
                if not bare and not Path(os.fsdecode(path)).resolve().is_relative_to(self.inside):
                    self.escapes.append(f"{event} {args!r:.200}")

    @contextmanager
    def on(self, folder: Path) -> Iterator[None]:
        """Watch; only what lies in the folder may be written."""
        self.inside = folder.resolve()
        try:
            yield
        finally:
            self.inside = None


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Return the bytes of all that is in a folder."""
    found = folder.rglob("*")
    return {
        str(p): p.read_bytes() if p.is_file() and not p.is_symlink() else None
        for p in found
        if p.name != ".unpacking.lock"
    }


def attack(data: bytes, box: Path, watch: Watch) -> str:
    """Unpack a pack beside what must stay as it is; return `refused`, `came`, or what went wrong."""
    home, file = Home(box / "home"), box / "evil.pack"
    file.write_bytes(data)
    before = snapshot(box)
    here = Path.cwd()
    os.chdir(box)
    try:
        with watch.on(home.root):
            came = unpack(file, home)
    except SessionError as e:
        if "\n" in str(e) or not str(e).isprintable():
            return f"crash: refused in more than a line: {e!r:.300}"
        return "refused" if snapshot(box) == before else "escape: something is there after all"
    except BaseException:  # noqa: BLE001  # whatever it is, it is a crash
        return f"crash: {traceback.format_exc()}"
    finally:
        os.chdir(here)
    new = [(home.sessions if c.kind == "session" else home.bundles) / c.id for c in came if c.outcome != "known"]
    after = snapshot(box)
    left = {path: found for path, found in after.items() if not any(Path(path).is_relative_to(p) for p in new)}
    if left != before or any(Path(path).is_symlink() for path in after):
        return "escape: what was there has changed, or more is there"
    try:
        for path in new:
            if path.parent == home.bundles:
                read_weights(path, read_manifest(path))
            else:
                session = SessionStore(home.sessions, box / "kept").open(path.name)
                counts = (session.health.text, len(session), session.label_counts(), laps_of(session))
                if sum(1 for _ in session.rows(include_deleted=True)) != len(session.index):
                    return f"crash: {path.name} reads otherwise: {counts}"
            shutil.rmtree(path)
    except BaseException:  # noqa: BLE001  # whatever it is, it is a crash
        return f"crash: reading what came: {traceback.format_exc()}"
    return "came"


def run(count: int, seed: int, folder: Path, watch: Watch) -> dict[str, Any]:
    """Attack that often and return what came of it."""
    rng = random.Random(seed)
    good, net = honest(folder), honest_bundle(folder)
    box = folder / "box"
    _keep(box)
    assert [attack(pack, box, watch) for pack in (good, net)] == ["came"] * 2, "the honest packs"
    watch.escapes.clear()
    watch.runs.clear()
    files = files_of(good)
    given = [(f"foreign: {k}", v) for k, v in foreign().items()]
    for name, (_, data, changes) in bombs().items():
        info = json.loads(files["two", "session.json"]) | changes
        given.append(
            (
                f"bomb: {name}",
                sign({("two", "session.json"): json.dumps(info).encode(), ("two", "seg-00000.arrow"): data}),
            )
        )
    given += [(f"bundle: {k}", v) for k, v in bundle_bombs(files_of(net)).items()]
    for name in TRAVERSAL:
        given.append(("path: bundle", sign({(name, f): v for (_, f), v in files_of(net).items()})))
        given.append(("path: session", sign({(name, f): v for (s, f), v in files.items() if s == "two"})))
        given.append(("path: file", sign(files | {("two", name): b"evil"})))
    outcomes: dict[str, Counter[str]] = {}
    slowest, wrong = 0.0, []
    for i in range(count):
        kind, data = given[i] if i < len(given) else hostile(net if i % 3 == 0 else good, rng)
        started = time.perf_counter()
        outcome = attack(data, box, watch)
        slowest = max(slowest, time.perf_counter() - started)
        word = outcome.partition(":")[0]
        outcomes.setdefault(kind, Counter())[word] += 1
        if word in ("crash", "escape"):
            wrong.append(f"{i} {kind}: {outcome}")
            shutil.rmtree(box)
            _keep(box)
    total = Counter[str]()
    for found in outcomes.values():
        total += found
    return {
        "packs": count,
        "escapes": total["escape"] + len(watch.escapes),
        "crashes": total["crash"],
        "code_run": len(watch.runs),
        "refused": total["refused"],
        "came": total["came"],
        "kinds": {kind: dict(found) for kind, found in sorted(outcomes.items())},
        "slowest_s": round(slowest, 3),
        "peak_memory_mb": _peak_mb(),
        "wrong": [*wrong, *watch.escapes, *watch.runs][:20],
    }


def _keep(box: Path) -> None:
    """Make a home with a session and a bundle that must stay as they are."""
    record(box / "home/sessions", "kept", 4)
    honest_bundle(box / "home/bundles", "kept")
    (box / "home/bundles/kept.pack").unlink()


def _peak_mb() -> int:
    """Return the most memory that this program had; getrusage(2) would count that of who started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(run(args.packs, args.seed, Path(folder), Watch()), indent=2))


if __name__ == "__main__":
    main()
