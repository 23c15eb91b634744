"""Where the engine of the lock-step mode finds the installed game's data."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import platformdirs
from autopilot.api import DeviceError, Probe

PLACES = ("/usr/share/games/supertuxkart/data", "/usr/local/share/supertuxkart/data", "/usr/share/supertuxkart/data")
INSTALL = "install the game: sudo apt-get install supertuxkart (or name its data folder in SUPERTUXKART_DATADIR)"
ENGINE_VERSION = "1.5"
"""The version of the game that pysupertuxkart2 0.7 embeds, and after which it calls its folder."""


def game_data() -> Path:
    """Return the data folder of the installed game; raises DeviceError when there is none."""
    for place in (os.environ.get("SUPERTUXKART_DATADIR", ""), *PLACES):
        for folder in (Path(place), Path(place, "data")):
            if place and (folder / "tracks").is_dir() and (folder / "stk_config.xml").is_file():
                return folder
    raise DeviceError(f"SuperTuxKart's data are not here; {INSTALL}")


def probe() -> list[Probe]:
    """Say whether the game is installed, and whether its engine is for the lock-step mode."""
    lockstep = (
        "drives in lock-step, too"
        if find_spec("pystk2")
        else "not in lock-step: that takes autopilot-supertuxkart[lockstep]"
    )
    try:
        return [Probe("SuperTuxKart", ok=True, detail=f"its data are in {game_data()}; {lockstep}")]
    except DeviceError as e:
        what, _, fix = str(e).partition("; ")
        return [Probe("SuperTuxKart", ok=False, detail=what, fix=fix)]


def _link(new: Path, path: Path) -> None:
    """Let `new` be what `path` is; Windows lets everybody make junctions of folders, but not symbolic links."""
    if sys.platform != "win32":
        new.symlink_to(path)
    elif path.is_dir():
        import _winapi

        _winapi.CreateJunction(str(path), str(new))
    else:
        shutil.copyfile(path, new)


def prepare() -> Path:
    """Return a cache folder (XDG_CACHE_HOME) in which the engine finds those data, and downloads none.

    It holds links to the installed game's files, and the little that the embedded version wants
    beside them. Made anew when the game was installed elsewhere or again. Raises DeviceError.
    """
    data = game_data()
    home = platformdirs.user_cache_path("autopilot") / "supertuxkart-lockstep"
    root = home / "PySuperTuxKart2" / ENGINE_VERSION
    marker = root / "__downloaded__.txt"
    made_from = f"{data} {(data / 'stk_config.xml').stat().st_mtime_ns}\n"
    if marker.is_file() and marker.read_text() == made_from:
        return home
    part = root.with_name(f"part-{os.getpid()}")
    try:
        (part / "data/skins").mkdir(parents=True)
        for path in data.iterdir():
            if path.name != "skins":
                _link(part / "data" / path.name, path)
        skins = sorted((data / "skins").iterdir())
        for path in skins:
            _link(part / "data/skins" / path.name, path)
        if "classic" not in {path.name for path in skins}:
            _link(part / "data/skins/classic", skins[0])
        (part / f"data/supertuxkart.{ENGINE_VERSION}").touch()
        (part / marker.name).write_text(made_from)
        shutil.rmtree(root, ignore_errors=True)
        part.rename(root)
    except OSError as e:
        shutil.rmtree(part, ignore_errors=True)
        if not (marker.is_file() and marker.read_text() == made_from):  # else another process was quicker
            raise DeviceError(f"cannot prepare the game's data in {root}: {e.strerror}") from e
    return home
