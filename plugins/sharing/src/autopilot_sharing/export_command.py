"""`autopilot export`."""

from __future__ import annotations

from pathlib import Path

import click
from autopilot.commands import App, GroupedCommand, common, examples, force_option


@click.command(
    cls=GroupedCommand,
    epilog=examples(
        "autopilot export                                 the newest bundle, as onnx",
        "autopilot export --bundle carracing-nvidia --format onnx --out nvidia.onnx",
        "autopilot export ID ID --format lerobot --out dataset",
    ),
)
@click.argument("session_ids", nargs=-1, metavar="[SESSION...]")
@click.option("--bundle", metavar="NAME", help="Which bundle, for onnx (default: the newest).")
@click.option(
    "--format",
    "kind",
    metavar="FORMAT",
    help="onnx (a bundle) or lerobot (sessions); the default follows from what is given.",
)
@click.option(
    "--out",
    "-o",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Where to write (default, of onnx: into the bundle).",
)
@force_option
@common
def command(
    app: App, session_ids: tuple[str, ...], bundle: str | None, kind: str | None, out: Path | None, force: bool
) -> None:
    """Export a bundle's network for another engine, or sessions for another program.

    An onnx file is compared with JAX. Its input `image` is a preprocessed frame,
    uint8 RGB (height, width, 3); each axis of the action space is an output, its probabilities in order.

    lerobot writes a folder in LeRobot's format 3.0, which Rerun opens too: Parquet and AV1 films.
    """
    from autopilot.commands.choices import choose, newest_bundle
    from autopilot.sessions.store import SessionStore

    kind = kind or ("lerobot" if session_ids else "onnx")
    engines = [spec.name for _, spec in app.registry.provided("engine") if spec.export]
    if kind not in (*engines, "lerobot"):
        known = ", ".join([*engines, "lerobot"])
        raise click.BadParameter(f"{kind!r} is not one of {known}: see `autopilot plugins`", param_hint="--format")
    if kind in engines:
        if session_ids:
            raise click.UsageError(f"--format {kind} writes the bundle that --bundle names, and no sessions")
        _network(app, kind, bundle or newest_bundle(app), out, force)
    elif bundle is not None or out is None:
        raise click.UsageError("--format lerobot writes the sessions that you name into the folder --out")
    else:
        _lerobot(app, session_ids or (choose(app, "SESSION", "sessions", SessionStore.of(app.home).ids()),), out, force)


def _network(app: App, engine: str, bundle: str, out: Path | None, force: bool) -> None:
    from autopilot.learn.policy import Policy

    folder, spec = app.bundle(bundle), app.registry.get("engine", engine)
    path = out or folder / spec.file
    export = app.registry.load("engine", engine, spec.export, tuple[float, float])
    difference, limit = export(Policy.load(folder, app.registry), path, force or out is None)
    size = path.stat().st_size
    app.print(
        {"file": str(path), "bytes": size, "difference": difference, "limit": limit},
        f"{path}: {size / 1e6:.1f} MB; probabilities differ from JAX's by {difference:.1e} at most "
        f"(the limit is {limit:.0e})",
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
