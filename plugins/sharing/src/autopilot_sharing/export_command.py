"""`autopilot export`."""

from __future__ import annotations

from pathlib import Path

import click
from autopilot.commands import App, common, examples, force_option


@click.command(
    epilog=examples(
        "autopilot export                                 the newest bundle, as onnx",
        "autopilot export --bundle carracing-nvidia --format onnx --out nvidia.onnx",
        "autopilot export ID ID --format lerobot --out dataset",
    )
)
@click.argument("session_ids", nargs=-1, metavar="[SESSION...]")
@click.option("--bundle", help="Which bundle, for onnx (default: the newest).")
@click.option(
    "--format", "kind", type=click.Choice(["onnx", "lerobot"]), help="Default: lerobot of sessions, else onnx."
)
@click.option("--out", "-o", type=click.Path(path_type=Path), help="Where (default: onnx into the bundle).")
@force_option
@common
def command(
    app: App, session_ids: tuple[str, ...], bundle: str | None, kind: str | None, out: Path | None, force: bool
) -> None:
    """Write a bundle's network for another engine, or sessions for another program.

    Of an onnx file it is checked that it answers as JAX does. Its input `image` is a preprocessed frame,
    uint8 RGB (height, width, 3); each axis of the action space is an output, its probabilities in order.

    lerobot makes a folder that LeRobot and Rerun open, of format 3.0: Parquet and AV1 films.
    """
    from autopilot.commands.choices import choose, newest_bundle
    from autopilot.sessions.store import SessionStore

    if (kind or ("lerobot" if session_ids else "onnx")) == "onnx":
        if session_ids:
            raise click.UsageError("--format onnx writes the bundle that --bundle names, and no sessions")
        _onnx(app, bundle or newest_bundle(app)[0], out, force)
    elif bundle is not None or out is None:
        raise click.UsageError("--format lerobot writes the sessions that you name into the folder --out")
    else:
        _lerobot(app, session_ids or (choose("SESSION", "sessions", SessionStore.of(app.home).ids()),), out, force)


def _onnx(app: App, bundle: str, out: Path | None, force: bool) -> None:
    from autopilot.learn.onnx import LIMIT, MODEL, export
    from autopilot.learn.policy import Policy

    folder = app.home.bundle(bundle)
    path = out or folder / MODEL
    difference = export(Policy.load(folder, app.registry), path, force or out is None)
    size = path.stat().st_size
    app.print(
        {"file": str(path), "bytes": size, "difference": difference, "limit": LIMIT},
        f"{path}: {size / 1e6:.1f} MB; probabilities differ from JAX's by {difference:.1e} at most "
        f"(the limit is {LIMIT:.0e})",
    )


def _lerobot(app: App, session_ids: tuple[str, ...], out: Path, force: bool) -> None:
    from autopilot.commands import ui
    from autopilot.sessions.store import SessionStore

    from autopilot_sharing.lerobot import export_lerobot

    store = SessionStore.of(app.home)
    sessions = [store.open(id) for id in dict.fromkeys(session_ids)]
    with ui.steps("exporting", sum(map(len, sessions))) as tell:
        done = export_lerobot(sessions, out, tell, force)
    size = sum(p.stat().st_size for p in out.rglob("*") if p.is_file())
    data = {"folder": str(out), "episodes": done.episodes, "frames": done.frames, "fps": done.fps, "bytes": size}
    if done.fps != (hz := sessions[0].info.hz):
        ui.say(
            f"LeRobot knows whole rates only: {hz:g} frames a second became {done.fps}, each shown as long as it was"
        )
    app.print(data, f"{out}: {done.episodes} episodes, {done.frames} frames, {size / 1e6:.1f} MB")
