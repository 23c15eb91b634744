"""What a user is told to type: one advice everywhere, and it works as it stands."""

from __future__ import annotations

import email
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from autopilot.api.errors import UserError
from autopilot.sessions.home import Home

ROOT = Path(__file__).parents[2]
WHEEL = ROOT / "scripts/evdev-wheel"
TOLD = [
    *ROOT.glob("core/src/**/*.py"),
    *ROOT.glob("plugins/*/src/**/*.py"),
    *ROOT.glob("plugins/*/README.md"),
    *ROOT.glob("docs/**/*.md"),
    ROOT / "README.md",
]


OWN = r"(\{folder\}|autopilot-ribbon)"
"""A user's own distribution: no pin knows what it needs."""


def test_every_pip_install_keeps_to_the_constraints() -> None:
    found = [
        (path.name, line)
        for path in TOLD
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(rf"(?<!uv )\bpip install (?!-e {OWN})", line)
    ]
    assert len(found) >= 7
    assert [at for at in found if "pip install -c constraints.txt " not in at[1]] == []


@pytest.mark.skipif(os.name == "nt", reason="evdev is Linux's")
def test_the_readme_s_pip_command_takes_the_wheel_of_evdev(tmp_path: Path) -> None:
    command = re.search(r"pip install -c.*?(?<!\\)\n", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert command is not None
    places = [word for word in command[0].replace("\\\n", "").split()[4:] if word != "-e"]
    assert all((ROOT / place / "pyproject.toml").exists() for place in places)
    assert WHEEL in [ROOT / place for place in places]
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=WHEEL, check=True, capture_output=True)
    (made,) = tmp_path.glob("evdev-*.whl")
    with zipfile.ZipFile(made) as wheel:
        (name,) = [n for n in wheel.namelist() if n.endswith("METADATA")]
        metadata = email.message_from_bytes(wheel.read(name))
    assert metadata["Name"] == "evdev"
    assert str(metadata["Requires-Dist"]).startswith("evdev-binary")
    pinned = re.search(r"^evdev-binary==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M)
    assert pinned is not None
    assert metadata["Version"] == pinned[1], "the module that it stands for"
    wants = tomllib.loads((ROOT / "plugins/input_keyboard/pyproject.toml").read_text())["project"]["dependencies"]
    assert any(re.match(r"evdev>=1\.9\b", one) for one in wants), "which 2.0.0 fulfils"


@pytest.mark.skipif(os.name == "nt", reason="Windows takes every user to have a folder beside one's own")
@pytest.mark.parametrize("given", ["~nosuchuser/x", "~nosuchuser"])
def test_a_home_in_nobody_s_folder_is_one_line(given: str) -> None:
    with pytest.raises(UserError, match=f"no user's folder for {given}: name a folder by --home DIR"):
        Home.find(given)


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="only root may become somebody without a home")
def test_somebody_without_a_home_is_told_to_name_one() -> None:
    program = (
        "import os, platformdirs, platformdirs.unix\n"
        "from autopilot.api.errors import UserError\n"
        "from autopilot.sessions.home import Home\n"
        "os.environ.clear(); os.setuid(54321)\n"
        "try: Home.find()\n"
        "except UserError as e: print(e)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "this user has no home folder: name a folder by --home DIR or AUTOPILOT_HOME\n", done.stderr
