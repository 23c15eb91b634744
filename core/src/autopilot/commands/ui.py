"""What a person sees while something runs: countdown, status line, progress bars."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

err = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else 120)
out = Console(highlight=False, width=None if sys.stdout.isatty() else 120)


BEAT_S = 20.0
"""How often a command that takes long says in a log how far it is, in seconds."""


def say(line: str) -> None:
    """Tell a person something beside the result."""
    err.print(line, soft_wrap=True, markup=False)


@contextmanager
def progress(*columns: str) -> Iterator[Progress]:
    """Make a progress bar on stderr; `columns` are rich templates such as `{task.fields[rate]}`.

    It shows once it is started, so that an error before that stays the only line.
    """
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f}%"),
        *(TextColumn(c) for c in columns),
        TimeRemainingColumn(),
        console=err,
    )
    try:
        yield bar
    finally:
        if bar.live.is_started:
            bar.stop()


@contextmanager
def steps(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Make a progress bar of which `total` is all; call the result with how much more is done."""
    with progress() as bar:
        task = bar.add_task(what, total=total)

        def more(n: int) -> None:
            bar.start()
            bar.advance(task, n)

        yield more


@contextmanager
def status() -> Iterator[Callable[..., None]]:
    """Make a live line on stderr; call the result with its text, with `news=True` for what a log must have too.

    It shows with the first text, so that a question or an error before that has the terminal to itself.
    """
    line = err.status("")

    def show(text: str, news: bool = False) -> None:
        line.start()
        line.update(Text(text))
        if news and not err.is_terminal:
            say(text)

    try:
        yield show
    finally:
        line.stop()


@contextmanager
def heartbeat(text: Callable[[], str], quiet: Callable[[], bool]) -> Iterator[None]:
    """Say `text()` every BEAT_S seconds, from a thread of its own, unless it is `quiet()`."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT_S):
            if not quiet():
                say(text())

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table."""
    grid = Table(title=title, title_justify="left")
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*row)
    out.print(grid)


def timing_lines(timing: dict[str, Any]) -> None:
    """Print an honest timing report."""
    wanted, achieved = timing["wanted_hz"], timing["achieved_hz"]
    if timing["clock"] == "wall":
        err.print(
            f"rate {achieved:g} of {wanted:g} Hz wanted, {100 * timing['on_time']:.1f} % of "
            f"{timing['steps']} decisions on time, {timing['overruns']} overruns"
        )
    else:
        err.print(f"lock-step: {timing['steps']} decisions at {achieved:g}/s, {timing['times_real_time']:g}x real time")
    parts = [f"{n} {t['p50']:g}/{t['p99']:g}" for n, t in timing["stages_ms"].items()]
    err.print("stages, ms p50/p99: " + ", ".join(parts), soft_wrap=True)


def race_tables(result: Any) -> None:
    """Print the race's summary and its laps."""
    from autopilot.race.report import table_rows

    for title, head, rows in table_rows(result):
        table(title, head, rows)
    for source in result.references:
        out.print(source, soft_wrap=True, markup=False)
    folder = result.folder
    kept = ", ".join(name for name in ("race.json", "race.md", "race.png") if (folder / name).exists())
    saved = f"; saved in {folder} ({kept})" if kept else ""
    out.print(f"{result.stamp}{'; * = incident' * bool(result.laps)}{saved}", soft_wrap=True)


def preview(path: Path, width: int = 64, console: Console = out) -> None:
    """Print a picture: two pixels to a character where there are colours, else shades of grey."""
    import cv2

    image = cv2.imread(str(path))
    if image is None:
        return
    height = max(1, round(width * image.shape[0] / image.shape[1] / 2))
    small = cv2.resize(image, (width, 2 * height), interpolation=cv2.INTER_AREA)[:, :, ::-1].tolist()
    for above, below in zip(small[::2], small[1::2], strict=True):
        if console.color_system is None:
            console.print("".join(" .:-=+*#%@"[sum(a) * 10 // 766] for a in above), soft_wrap=True, markup=False)
            continue
        line = Text()
        for a, b in zip(above, below, strict=True):
            line.append("▀", f"rgb({a[0]},{a[1]},{a[2]}) on rgb({b[0]},{b[1]},{b[2]})")
        console.print(line, soft_wrap=True)
    console.print(f"the picture: {path}", soft_wrap=True)


def no_sessions(folder: Path, game: str | None) -> str:
    """Say that there are none, of a game or at all, and how to make one."""
    return f"no sessions{f' of {game}' if game else ''} in {folder}: make one with `autopilot record`"
