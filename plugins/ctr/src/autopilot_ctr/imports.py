"""Sessions made of what the original program recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

import cv2
from autopilot.api import Frame, Game, SessionError, UserError, WorldRequest
from autopilot.drive.recorder import new_info
from autopilot.sessions.home import Home, check_name
from autopilot.sessions.segments import Row
from autopilot.sessions.session import Session
from autopilot.sessions.writer import SessionWriter

from autopilot_ctr.ctr_ai import ImportRequest, Recording, recordings

FORMAT = "ctr-ai"
PREVIEW = "import.png"


@dataclass
class Imported:
    """What became of one recording; `new` is false for one that was imported before."""

    session: str
    track: str
    frames: int
    labels: dict[str, int]
    new: bool


def import_recordings(
    game: Game,
    home: Home,
    request: ImportRequest,
    watch: Callable[[str, int], None] = lambda name, frames: None,
    say: Callable[[str], None] = lambda line: None,
) -> list[Imported]:
    """Make a session of each recording in `request.folder`; one that is there already is left alone.

    `watch` is told of progress, `say` what the user should know. The last one's first frame goes to `PREVIEW` in
    the cache folder, to look at. Raises UserError for files that cannot be used, before anything of that recording
    is written where that can be seen by then.
    """
    if not request.folder.is_dir():
        raise UserError(f"{request.folder} is no folder: name the one that holds the recordings")
    done: list[Imported] = []
    for recording in recordings(request):
        for remark in recording.remarks:
            say(f"{recording.name}: {remark}")
        try:
            done.append(_write(game, home, recording, watch))
        except KeyboardInterrupt as e:
            e.add_note(f"{len(done)} recordings are imported, and {recording.name} in part")
            raise
    if not done:
        raise UserError(f"no {FORMAT} recordings in {request.folder}")
    return done


def _write(game: Game, home: Home, recording: Recording, watch: Callable[[str, int], None]) -> Imported:
    label_map, name = game.label_map(), check_name(f"{FORMAT}-{recording.name}", "session")
    track, mode = game.tracks(recording.track)[0], game.mode(recording.mode)
    path = home.sessions / name
    if path.exists():
        old = Session.open(path)
        if old.info.ended != "saved":
            raise SessionError(f"{path} was imported in part only: delete that folder and import again")
        return Imported(name, track, len(old), old.label_counts(), new=False)
    frames = iter(recording.frames)
    first = next(frames, None)
    if first is None:
        raise UserError(f"{recording.name} holds no frames")
    height, width = first[0].shape[:2]
    home.cache.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(home.cache / PREVIEW), cv2.cvtColor(first[0], cv2.COLOR_RGB2BGR))
    about = (WorldRequest(track, mode, recording.hz), recording.driver, game.label_map_name(), label_map)
    more = {"id": name, "width": width, "height": height, "created": recording.created}
    info = new_info(game, *about, **more)
    with SessionWriter(home.sessions, info, exact=True) as writer:
        for image, held in chain([first], frames):
            t_ns = round(writer.frames * 1e9 / recording.hz)
            writer.append(Row(Frame(image, t_ns), held, held, label_map.action(held), None))
            watch(name, writer.frames)
    session = Session.open(path)
    return Imported(name, track, len(session), session.label_counts(), new=True)
