"""How a sitting goes: a panel in the terminal, and the report at its end."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from autopilot.api.types import Step
from autopilot.commands import ui
from rich.live import Live
from rich.table import Table

from autopilot_coach.state import RECENT, State, laps_text

if TYPE_CHECKING:
    from autopilot_coach.sitting import Sitting

LOG_S = 30.0
"""How often a log, where there is no terminal, hears how it goes."""


class Display:
    """A panel that is drawn anew twice a second; in a log, a line now and then."""

    def __init__(self) -> None:
        self._live = Live(console=ui.err, auto_refresh=False, transient=True)
        self._logged = 0.0

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._live.is_started:
            self._live.stop()

    def say(self, line: str) -> None:
        """Tell of something that happened, above the panel."""
        ui.say(line)

    def show(self, sitting: Sitting, step: Step | None) -> None:
        """Show how it goes."""
        rows = lines(sitting, step)
        if ui.err.is_terminal:
            if not self._live.is_started:
                self._live.start()
            self._live.update(_panel(sitting.options.name, rows), refresh=True)
        elif time.monotonic() - self._logged >= LOG_S:
            self._logged = time.monotonic()
            ui.say("; ".join(f"{name}: {text}" for name, text in rows))


def _panel(title: str, rows: list[tuple[str, str]]) -> Table:
    grid = Table(title=f"coach: {title}", title_justify="left", show_header=False, box=None, padding=(0, 2))
    for row in rows:
        grid.add_row(*row)
    return grid


def lines(sitting: Sitting, step: Step | None) -> list[tuple[str, str]]:
    """Return what there is to say of a sitting now, each with its heading."""
    state, options, stint = sitting.state, sitting.options, sitting.stint
    stints = [*state.stints, stint] if stint is not None else state.stints
    minutes = (state.game_s + (stint.frames / state.hz if stint else 0)) / 60
    if step is None:
        who = "nobody, during a lesson"
    elif step.decision.by_human:
        who = "YOU" + (", correcting" if sitting.trusted else "")
    else:
        who = str(state.champion)
    yours = state.yours()
    laps = [t for s in stints for t in s.laps_s]
    alone = state.first_lap_alone
    rows = [
        ("drives", who),
        ("played", f"{minutes:.1f} of {options.minutes:g} minutes"),
        ("yours", "all so far" if yours is None else f"{100 * yours:.0f} % of the last {RECENT} pieces"),
        ("laps", f"{len(laps)}, {sum(s.alone for s in stints)} of them alone; last {laps_text(laps) or 'none'}"),
        ("incidents", str(sum(s.incidents for s in stints))),
        ("learning", sitting.learning()),
        ("network", f"{state.champion}: {state.mark}" if state.champion else "none yet"),
        ("first lap alone", "not yet" if alone is None else f"after {alone['game_s'] / 60:.1f} minutes of play"),
    ]
    if not sitting.has_referee:
        rows[3:5] = []
    return rows


def report(state: State) -> dict[str, Any]:
    """Return what a sitting came to, as plain data."""
    frames = sum(stint.frames for stint in state.stints)
    curve = [
        {"game_s": lesson["game_s"], "network": lesson["name"], "adopted": lesson["adopted"], "mark": lesson["mark"]}
        for lesson in state.lessons
    ]
    pieces, at = [], 0.0
    for stint in state.stints:
        at += stint.frames / state.hz
        yours = round(stint.by_human / stint.frames, 3)
        pieces.append({"game_s": round(at, 1), "yours": yours, "laps_s": stint.laps_s})
    return {
        "game": state.game,
        "human": state.human,
        "model": state.model,
        "game_minutes": round(state.game_s / 60, 2),
        "wall_minutes": round(state.wall_s / 60, 2),
        "yours": round(state.human_frames / max(frames, 1), 3),
        "yours_last": state.yours(),
        "laps": sum(len(stint.laps_s) for stint in state.stints),
        "laps_alone": sum(stint.alone for stint in state.stints),
        "incidents": sum(stint.incidents for stint in state.stints),
        "on_time": round(1 - sum(stint.late for stint in state.stints) / max(frames, 1), 4),
        "first_network": state.first_network,
        "first_lap_alone": state.first_lap_alone,
        "taken_back": state.taken_back,
        "sessions_left_out": state.left_out,
        "network": state.champion,
        "mark": json.loads(json.dumps(state.mark, default=vars)) if state.mark else None,
        "lessons": curve,
        "pieces": pieces,
    }


def text(name: str, data: dict[str, Any], scored: str) -> str:
    """Return a report in words."""
    alone, yours = data["first_lap_alone"], data["yours_last"]
    rows = [
        f"{data['game']}: {data['game_minutes']:.1f} minutes played, {data['wall_minutes']:.1f} minutes in all",
        f"you drove {100 * data['yours']:.0f} % of it"
        + (f", of the last {RECENT} pieces {100 * yours:.0f} %" if yours is not None else ""),
    ]
    if data["laps"]:
        first = f"; the first after {alone['game_s'] / 60:.1f} minutes of play" if alone else ""
        rows.append(f"{data['laps']} laps, {data['laps_alone']} of them the network's alone{first}")
    if data["network"] is None:
        return "\n".join([*rows, "no network yet: the same command goes on"])
    rows.append(f"{len(data['lessons'])} lessons; the best is {data['network']}: {scored}")
    return "\n".join([*rows, f"bundle {name}: let it drive with `autopilot drive --bundle {name} --show`"])
