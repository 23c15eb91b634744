"""The race table as JSON, Markdown and a chart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autopilot.home import write_json
from autopilot.race.result import RaceResult, summarise

Rows = list[list[str]]


def table_rows(result: RaceResult) -> list[tuple[str, list[str], Rows]]:
    """Return the two tables as (title, head, rows): a row per driver, then a row per run."""
    drivers: Rows = []
    for r in summarise(result):
        cells = [r["driver"], f"{r['finished']}/{r['runs']}", _number(r["median_lap_s"], 2)]
        cells += [_number(r["median_race_s"], 2), str(r["incident_laps"])]
        cells += [_number(r["mean_score"], 1)]
        drivers.append([*cells, _number(r["lap_ratio"], 2), _number(r["score_ratio"], 2)])
    head = ["driver", "finished", "median lap", "median race", "laps with incident", "mean score"]
    runs: Rows = []
    for run in result.runs:
        cells = [run.track, str(run.race + 1), run.driver, *run.cells(result.laps)]
        runs.append([*cells, _number(run.total_s, 2), _number(run.score, 1)])
    laps = [f"lap {i + 1}" for i in range(result.laps)]
    return [
        ("Drivers", [*head, "lap ratio", "score ratio"], drivers),
        ("Runs", ["track", "race", "driver", *laps, "total", "score"], runs),
    ]


def markdown(result: RaceResult) -> str:
    """Return the tables in the form of the original project: laps, totals, `*`, `Incomplete`."""
    lines = [f"# {result.title}, {_lengths(result)}", ""]
    lines += [f"Times in seconds of game time, stamped: {result.stamp}. `*` = incident. "]
    lines[-1] += f"Ratios compare with {result.drivers[0]}."
    lines += [f"\n{source}" for source in result.references]
    for title, head, rows in table_rows(result):
        lines += ["", f"## {title}", "", _row(head), _row(["---"] * len(head))]
        lines += [_row(row) for row in rows]
    return "\n".join(lines) + "\n"


def _lengths(result: RaceResult) -> str:
    laps, races = "lap" if result.laps == 1 else "laps", "race" if result.races == 1 else "races"
    return f"{result.laps} {laps}, {result.races} {races} a track"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def chart(path: Path, result: RaceResult) -> None:
    """Draw every lap of every driver, and their scores where the game keeps one."""
    from matplotlib.figure import Figure

    scored = any(run.score is not None for run in result.runs)
    figure = Figure(figsize=(9 if scored else 6, 4), layout="constrained")
    plots = figure.subplots(1, 2 if scored else 1, squeeze=False)[0]
    pairs: list[tuple[Any, str]] = [(plots[0], "lap time, s")]
    if scored:
        pairs.append((plots[1], "score"))
    for plot, what in pairs:
        for i, driver in enumerate(result.drivers):
            runs = [r for r in result.runs if r.driver == driver]
            if what == "score":
                values = [(r.score, False) for r in runs if r.score is not None]
            else:
                values = [(t, n in r.incident_laps) for r in runs for n, t in enumerate(r.laps_s)]
            for marker, wanted in (("o", False), ("*", True)):
                y = [v for v, incident in values if incident is wanted]
                spread = [i + 0.3 * ((k % 7) / 6 - 0.5) for k in range(len(y))]
                size = 90 if wanted else 28
                plot.scatter(spread, y, marker=marker, s=size, color=f"C{i}", alpha=0.8)
            if not values:
                middle = plot.get_xaxis_transform()
                plot.text(i, 0.5, "Incomplete", rotation=90, ha="center", transform=middle)
        plot.set_xticks(range(len(result.drivers)), result.drivers, rotation=15)
        plot.set_xlim(-0.6, len(result.drivers) - 0.4)
        plot.set_ylabel(what)
        plot.grid(axis="y", alpha=0.3)
    figure.suptitle(f"{result.title}, {_lengths(result)} ({result.stamp}; star = incident)")
    figure.savefig(path, dpi=120)


def save_reports(result: RaceResult, folder: Path) -> dict[str, Path]:
    """Write race.json, race.md and race.png into `folder` and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {kind: folder / f"race.{kind}" for kind in ("json", "md", "png")}
    write_json(paths["json"], result.to_json())
    paths["md"].write_text(markdown(result), encoding="utf-8")
    chart(paths["png"], result)
    return paths
