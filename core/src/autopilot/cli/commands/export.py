"""`autopilot export`."""

from __future__ import annotations

from pathlib import Path

import click

from autopilot.cli.common import App, common, examples


@click.command(
    epilog=examples(
        "autopilot export --bundle carracing-nvidia --format onnx",
        "autopilot export --bundle carracing-nvidia --format onnx --out nvidia.onnx",
    )
)
@click.option("--bundle", required=True, help="Which bundle.")
@click.option("--format", "_kind", type=click.Choice(["onnx"]), required=True, help="What to write.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Where (default: into the bundle).")
@common
def command(app: App, bundle: str, _kind: str, out: Path | None) -> None:
    """Write a bundle's network for another engine, and check that it answers as JAX does.

    The input `image` is a preprocessed frame, uint8 RGB (height, width, 3); each axis of the action
    space is an output, its probabilities in order.
    """
    from autopilot.policy import Policy
    from autopilot.policy.onnx import LIMIT, MODEL, export

    folder = app.home.bundle(bundle)
    path = out or folder / MODEL
    difference = export(Policy.load(folder, app.registry), path)
    size = path.stat().st_size
    app.print(
        {"file": str(path), "bytes": size, "difference": difference, "limit": LIMIT},
        f"{path}: {size / 1e6:.1f} MB; probabilities differ from JAX's by {difference:.1e} at most "
        f"(the limit is {LIMIT:.0e})",
    )
