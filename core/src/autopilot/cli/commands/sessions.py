"""`autopilot sessions`."""

from __future__ import annotations

from typing import Any

import click

from autopilot.commands import App, GroupedCommand, common, examples


def _span(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    if not (first.isdigit() and last.isdigit() and int(first) <= int(last)):
        raise click.BadParameter(f"{text!r}: give the first and last frame, e.g. 120-180")
    return int(first), int(last) + 1


@click.command(
    cls=GroupedCommand,
    epilog=examples(
        "autopilot sessions",
        "autopilot sessions --json",
        "autopilot sessions ID --delete 120-180      leave these frames out of training",
        "autopilot sessions ID --restore 120-180",
        "autopilot sessions ID --review rejected     leave all of it out of training",
        "autopilot sessions ID --undo",
        "autopilot sessions ID --purge               remove what was deleted for good",
    ),
)
@click.argument("session_id", required=False)
@click.option("--game", metavar="NAME", help="Only sessions of this game.")
@click.option("--delete", metavar="A-B", help="Mark frames A to B as deleted (can be undone).")
@click.option("--restore", metavar="A-B", help="Undo a deletion.")
@click.option("--review", type=click.Choice(["new", "approved", "rejected"]), help="Set the review.")
@click.option("--undo", is_flag=True, help="Undo the newest change.")
@click.option("--purge", is_flag=True, help="Remove deleted frames for good.")
@common
def command(app: App, session_id: str | None, game: str | None, **do: Any) -> None:
    """List sessions with duration, labels and health; mark or purge frames of one."""
    from autopilot.commands import ui
    from autopilot.sessions.store import SessionStore

    store = SessionStore.of(app.home)
    if any(do.values()) and not session_id:
        raise click.UsageError("name the session whose frames you mean")
    broken: list[tuple[str, str]] = []
    if session_id:
        one = store.open(session_id)
        for how, change in (("delete", one.delete), ("restore", one.restore)):
            if do[how]:
                change(*_span(do[how]))
        if do["review"]:
            one.review(do["review"])
        if do["undo"]:
            click.echo(f"undone: {one.undo()}", err=True)
        if do["purge"]:
            one.purge()
        found = [store.open(session_id)]
    else:
        found, broken = store.all()
    rows: list[dict[str, Any]] = [
        {
            **s.info.model_dump(include={"id", "game", "driver", "track", "mode", "hz", "ended", "auto", "lap_time_s"}),
            "frames": len(s),
            "duration_s": round(s.duration_s(), 2),
            "labels": s.label_counts(),
            "deleted": s.deleted(),
            "review": s.edits().review,
            "health": s.health.text,
        }
        for s in found
        if game in (None, s.info.game)
    ]
    data = {"sessions": rows, "broken": [{"id": i, "error": e} for i, e in broken]}

    def show() -> None:
        columns = ["session", "driver", "track", "mode", "length", "labels", "review", "health"]
        cells = []
        for r in rows:
            total = max(sum(r["labels"].values()), 1)
            labels = " ".join(f"{k} {100 * n / total:.0f}%" for k, n in r["labels"].items() if n)
            length = f"{r['frames']} frames, {r['duration_s']:.0f} s"
            lap = "" if r["lap_time_s"] is None else f", lap {r['lap_time_s']:.2f} s"
            driver = r["driver"] + (f" (auto{lap})" if r["auto"] else "")
            cells.append([r["id"], driver, r["track"], r["mode"], length, labels, r["review"], r["health"]])
        if cells:
            ui.table(f"Sessions in {app.home.sessions}", columns, cells)
        else:
            click.echo(ui.no_sessions(app.home.sessions, game))
        for i, e in broken:
            click.echo(f"{i}: {e}", err=True)

    app.print(data, show)
