"""`autopilot pack`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
from autopilot.commands import App, GroupedCommand, common, examples, force_option


@click.command(
    cls=GroupedCommand,
    epilog=examples(
        "autopilot pack ID ID -o anna.pack",
        "autopilot pack --game carracing --driver anna -o anna.pack",
        "autopilot pack --game supertuxkart --track lighthouse -o lighthouse.pack",
        "autopilot pack --bundle carracing-nvidia -o nvidia.pack",
    ),
)
@click.argument("session_ids", nargs=-1, metavar="[SESSION...]")
@click.option("--game", metavar="NAME", help="All sessions of this game.")
@click.option("--track", metavar="NAME", help="Of these, only this track.")
@click.option("--driver", metavar="NAME", help="Of these, only this driver.")
@click.option("--mode", metavar="MODE", help="Of these, only this recording mode.")
@click.option("--bundle", metavar="NAME", help="This bundle instead of sessions.")
@click.option("--out", "-o", metavar="FILE", type=click.Path(path_type=Path), required=True, help="The file to write.")
@force_option
@common
def command(
    app: App, session_ids: tuple[str, ...], bundle: str | None, out: Path, force: bool, **of: str | None
) -> None:
    """Pack sessions or a bundle into one file with checksums, for `autopilot unpack`.

    The pack includes the review of each session, and frames that are deleted but not purged.
    """
    if bundle is not None:
        if session_ids or any(of.values()):
            raise click.UsageError("--bundle packs that bundle alone: pack sessions into a file of their own")
        _bundle(app, bundle, out, force)
        return
    from autopilot.commands import ui
    from autopilot.sessions.store import SessionStore

    from autopilot_sharing.pack import pack, weight

    store = SessionStore.of(app.home)
    if session_ids:
        sessions = [store.open(id) for id in dict.fromkeys(session_ids)]
    elif any(of.values()):
        sessions, broken = store.all()
        for id, error in broken:
            ui.say(f"left out {id}: {error}")
    else:
        raise click.UsageError("name the sessions to pack, or say --game, --track, --driver or --mode")
    sessions = [s for s in sessions if all(v in (None, getattr(s.info, k)) for k, v in of.items())]
    if not sessions:
        raise click.UsageError("no session is like that: autopilot sessions lists them")
    with ui.steps("packing", sum(map(weight, sessions))) as tell:
        done = pack(sessions, out, tell, force)
    size = out.stat().st_size
    lines = [f"{d.session}: {d.rows} frames" + (f", {d.deleted} of them deleted" * (d.deleted > 0)) for d in done]
    if any(d.deleted for d in done):
        lines.append("deleted frames go along; `autopilot sessions ID --purge` removes them for good")
    data = {"file": str(out), "bytes": size, "sessions": [asdict(d) for d in done]}
    app.print(data, "\n".join([*lines, f"{out}: {len(done)} sessions, {size / 1e6:.1f} MB"]))


def _bundle(app: App, name: str, out: Path, force: bool) -> None:
    from autopilot_sharing.bundles import pack_bundle

    pack_bundle(app.bundle(name), out, force)
    size = out.stat().st_size
    app.print({"file": str(out), "bytes": size, "bundle": name}, f"{out}: bundle {name}, {size / 1e6:.1f} MB")
