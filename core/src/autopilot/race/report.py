"""The race table as JSON, Markdown and a chart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from autopilot.race.result import RaceResult, summarise
from autopilot.sessions.home import write_json

Rows = list[list[str]]
MOST_PLOTS = 6
"""More tracks than these share one plot."""


def table_rows(result: RaceResult) -> list[tuple[str, list[str], Rows]]:
    """Return the tables as (title, head, rows): by driver, by track where there are several, and every run."""
    tallies = list(dict.fromkeys(name for run in result.runs for name in run.tallies))
    scored, placed = _is_scored(result), _is_placed(result)
    columns = _columns(result, tallies)
    head, cells = list(columns), [[cell(r) for cell in columns.values()] for r in summarise(result)]
    tables = [("Drivers", head, cells)]
    if len(result.tracks) > 1:
        found = [(track, r) for track in result.tracks for r in summarise(result, track) if r["runs"]]
        rows = [[track, *(cell(r) for cell in columns.values())] for track, r in found]
        tables.append(("Tracks", ["track", *head], rows))
    runs: Rows = []
    for run in result.runs:
        own = [run.track, str(run.race + 1), run.driver]
        own += [*run.cells(result.laps), _number(run.total_s, 2)] if result.laps else []
        own += [_number(run.place, 0)] * placed
        own += [f"{run.tallies.get(name, 0):g}" for name in tallies]
        runs.append(own + [_number(run.score, 1)] * scored)
    laps = [*(f"lap {i + 1}" for i in range(result.laps)), "total"] if result.laps else []
    head = ["track", "race", "driver", *laps, *["place"] * placed, *tallies, *["score"] * scored]
    return [*tables, ("Runs", head, runs)]


def _columns(result: RaceResult, tallies: Sequence[str]) -> dict[str, Callable[[dict[str, Any]], str]]:
    """Return the columns of a summary: heading -> what it shows of a row."""

    def number(key: str, digits: int) -> Callable[[dict[str, Any]], str]:
        return lambda r: _number(r[key], digits)

    by_laps = {
        "finished": lambda r: f"{r['finished']}/{r['runs']}",
        "median lap": number("median_lap_s", 2),
        "lap ratio": number("lap_ratio", 2),
        "median race": number("median_race_s", 2),
        "laps with incident": lambda r: str(r["incident_laps"]),
    }
    by_score = {
        "races": lambda r: str(r["finished"]),
        "median score": number("median_score", 1),
        "best score": number("best_score", 1),
    }
    score = {"mean score": number("mean_score", 1), "score ratio": number("score_ratio", 2)}
    counted = {name: (lambda r, name=name: f"{r['tallies'][name]:g}") for name in tallies}
    by_place = {
        "median place": number("median_place", 1),
        "podiums": lambda r: str(r["podiums"]),
        "wins": lambda r: str(r["wins"]),
    }
    columns = (by_laps if result.laps else by_score) | (by_place if _is_placed(result) else {}) | counted
    return {"driver": lambda r: r["driver"], **columns, **(score if _is_scored(result) else {})}


def _is_placed(result: RaceResult) -> bool:
    return any(run.place is not None for run in result.runs)


def _is_scored(result: RaceResult) -> bool:
    return not result.laps or any(run.score is not None for run in result.runs)


def markdown(result: RaceResult) -> str:
    """Return the tables in the form of the original project: laps, totals, `*`, `Incomplete`."""
    lines = [f"# {result.title}, {_lengths(result)}", ""]
    what = "Times in seconds of game time" if result.laps else "Scores of the game's own"
    lines += [f"{what}, stamped: {result.stamp}. {'`*` = incident. ' if result.laps else ''}"]
    lines[-1] += f"Ratios compare with {result.drivers[0]}."
    lines += [f"\n{source}" for source in result.references]
    lines += [
        f"\nWarning: {r.driver} on {r.track}, race {r.race + 1}: {line}" for r in result.runs for line in r.warnings
    ]
    for title, head, rows in table_rows(result):
        lines += ["", f"## {title}", "", _row(head), _row(["---"] * len(head))]
        lines += [_row(row) for row in rows]
    return "\n".join(lines) + "\n"


def _lengths(result: RaceResult) -> str:
    races = f"{result.races} {'race' if result.races == 1 else 'races'} a track"
    return f"{result.laps} {'lap' if result.laps == 1 else 'laps'}, {races}" if result.laps else races


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def chart(path: Path, result: RaceResult) -> None:
    """Draw every lap of every driver, track by track, and their scores where the game keeps one."""
    from matplotlib.figure import Figure

    scored = _is_scored(result)
    apart = len(result.tracks) <= MOST_PLOTS and not scored
    tracks = [(track,) for track in result.tracks] if apart else [result.tracks] * bool(result.laps)
    count = len(tracks) + scored
    figure = Figure(figsize=(max(6, 3.6 * count), 4), layout="constrained")
    plots = figure.subplots(1, count, squeeze=False)[0]
    for plot, shown in zip(plots, tracks, strict=False):
        _plot(plot, {driver: _laps(result, driver, shown) for driver in result.drivers}, "lap time, s")
        if apart and count > 1:
            plot.set_title(*shown)
    if scored:
        _plot(plots[-1], {driver: _scores(result, driver) for driver in result.drivers}, "score")
    figure.suptitle(f"{result.title}, {_lengths(result)} ({result.stamp}{'; star = incident' if result.laps else ''})")
    figure.savefig(path, dpi=120)


def _laps(result: RaceResult, driver: str, tracks: Sequence[str]) -> list[tuple[float, bool]] | None:
    """Return a driver's laps on these tracks, each with whether there was an incident; None without a run there."""
    runs = [run for run in result.runs if run.driver == driver and run.track in tracks]
    laps = [(seconds, i in run.incident_laps) for run in runs for i, seconds in enumerate(run.laps_s)]
    return laps if runs else None


def _scores(result: RaceResult, driver: str) -> list[tuple[float, bool]] | None:
    return [(run.score, False) for run in result.runs if run.driver == driver and run.score is not None] or None


def _plot(plot: Any, values: dict[str, list[tuple[float, bool]] | None], label: str) -> None:
    """Draw values, each with whether there was an incident, a column a driver; None: did not run."""
    for i, mine in enumerate(values.values()):
        for marker, size, wanted in (("o", 28, False), ("*", 90, True)):
            y = [value for value, incident in mine or () if incident is wanted]
            spread = [i + 0.3 * ((k % 7) / 6 - 0.5) for k in range(len(y))]
            plot.scatter(spread, y, marker=marker, s=size, color=f"C{i}", alpha=0.8)
        if mine == []:
            middle = plot.get_xaxis_transform()
            plot.text(i, 0.5, "Incomplete", rotation=90, ha="center", va="center", transform=middle)
    plot.set_xticks(range(len(values)), list(values), rotation=15)
    plot.set_xlim(-0.6, len(values) - 0.4)
    plot.set_ylabel(label)
    plot.grid(axis="y", alpha=0.3)


def save_reports(result: RaceResult, folder: Path) -> dict[str, Path]:
    """Write race.json, race.md and race.png into `folder` and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {kind: folder / f"race.{kind}" for kind in ("json", "md", "png")}
    write_json(paths["json"], result.to_json())
    paths["md"].write_text(markdown(result), encoding="utf-8")
    chart(paths["png"], result)
    return paths
