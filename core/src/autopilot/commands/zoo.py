"""Bundles that plugins bring, copied into the home when one is used; and a game's leaderboard of all that raced."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from autopilot.api.errors import BundleError, UserError
from autopilot.commands.opened import OpenHome
from autopilot.sessions.home import Home, check_name, new_output, write_atomic

if TYPE_CHECKING:
    from autopilot.race.board import Board


def ready_trained(home: OpenHome) -> dict[str, Path]:
    """Return the folders of all, by name: `dist:name` where two distributions bring one of a name."""
    every = [
        (plugin.dist, path.parent)
        for plugin, spec in home.registry.provided("zoo")
        for path in sorted(spec.folder.glob("*/manifest.json"))
    ]
    names = [folder.name for _, folder in every]
    return {f"{dist}:{f.name}" if names.count(f.name) > 1 else f.name: f for dist, f in every}


def bundle(home: OpenHome, name: str) -> Path:
    """Return the folder of a bundle, which may not exist; a ready-trained one is copied into the home first."""
    folder = home.folders.bundle(name.rpartition(":")[2])
    if not folder.exists() and (source := ready_trained(home).get(name)):
        install(home, source)
    return folder


def install(home: OpenHome, source: Path, name: str | None = None) -> bool:
    """Copy a bundle from a folder into the home, and return whether it was not there before.

    Raises BundleError for one that is damaged, UserError for a name that cannot be used, or that another one has.
    """
    from autopilot.bundle.manifest import CARD, MANIFEST, WEIGHTS, read_manifest, read_weights

    target = home.folders.bundle(check_name(name or source.name, "bundle"))
    manifest = read_manifest(source)
    read_weights(source, manifest)
    if (target / MANIFEST).exists():
        if read_manifest(target).weights_sha256 == manifest.weights_sha256:
            return False
        raise UserError(f"another bundle is called {target.name} here: give this one another name by --name")
    with new_output(target) as part:
        part.mkdir()
        for file in (MANIFEST, WEIGHTS, CARD):
            if (source / file).exists():
                write_atomic(part / file, (source / file).read_bytes())
    return True


def leaderboard(home: Home, game: str) -> Board:
    """Return the leaderboard of a game, by the races and bundles of a home."""
    from autopilot.bundle.manifest import MANIFEST, read_manifest
    from autopilot.race.board import board

    made = {}
    for name in home.bundle_names():
        with suppress(BundleError, OSError):
            if game in read_manifest(folder := home.bundle(name)).label_maps:
                made[name] = (folder / MANIFEST).stat().st_mtime_ns
    return board(home, game, made)
