#!/bin/sh
# Sets up all that the Makefile's targets need: system libraries, uv, a Python, and `.venv`.
# Run it as often as you like: with nothing to do it ends at once. PYTHON names the interpreter
# for a new .venv; the settings of pip, uv and the system's proxy and certificates are honoured.
# `setup.sh tests` also gets what only the tests need: a game of 630 MB, emulators, a browser, Wayland;
# `setup.sh windows` gets Wine and a compiler for Windows (790 MB), which `make test-windows` needs.
set -eu
wanted=${1:-}
cd "$(dirname "$0")/.."

# Box2D has no wheels for Python 3.14, and JAX 0.12 has none for 3.11.
usable() {
    # A pyenv shim or a half-built Python may be on PATH and not run, so run it.
    "$1" -c 'import ctypes, ssl, sys; sys.exit(not (3, 12) <= sys.version_info < (3, 14))' \
        >/dev/null 2>&1
}

say() { echo "setup: $*" >&2; }
stop() {
    say "$*"
    exit 2
}

# What .venv was made from: the packages asked for, this script, and the place of the checkout.
fingerprint() {
    cat pyproject.toml core/pyproject.toml plugins/*/pyproject.toml constraints.txt \
        scripts/setup.sh | cksum
    pwd
}

# Prints "required PACKAGE", "optional PACKAGE", "tests PACKAGE" or "windows PACKAGE" for each Debian package whose
# part is missing: OpenCV's libraries first, then those of pads, screens and windows, then what the tests drive.
missing_packages() {
    [ "$(uname -s)" = Linux ] || return 0
    libraries=$(PATH="$PATH:/usr/sbin:/sbin" ldconfig -p)
    while read -r need part package; do
        case $need in tests | windows) [ "$wanted" = "$need" ] || continue ;; esac
        case $part in
        *.so.*) case $libraries in *"$part "*) continue ;; esac ;;
        # shellcheck disable=SC2086  # a pattern
        /*) ls -d $part >/dev/null 2>&1 && continue ;;
        *) command -v "$part" >/dev/null && continue ;;
        esac
        echo "$need $package"
    done <<LIST
required libGL.so.1 libgl1
required libgthread-2.0.so.0 libglib2.0-0
optional libevdev.so.2 libevdev2
optional libxcb-randr.so.0 libxcb-randr0
optional libxcb-render.so.0 libxcb-render0
optional libxcb-shm.so.0 libxcb-shm0
optional libxcb-xfixes.so.0 libxcb-xfixes0
optional libXext.so.6 libxext6
optional libSM.so.6 libsm6
optional Xvfb xvfb
optional xdotool xdotool
optional xprop x11-utils
optional openbox openbox
optional xrandr x11-xserver-utils
tests /usr/games/supertuxkart supertuxkart
tests /usr/games/mednafen mednafen
tests chromium chromium
tests chromedriver chromium-driver
tests pipewire pipewire
tests wireplumber wireplumber
tests dbus-daemon dbus
tests /usr/lib/python3/dist-packages/gi python3-gi
tests /usr/lib/*/girepository-1.0/GstApp-1.0.typelib gir1.2-gst-plugins-base-1.0
tests /usr/lib/*/gstreamer-1.0/libgstvideotestsrc.so gstreamer1.0-plugins-base
tests /usr/lib/*/gstreamer-1.0/libgstpipewire.so gstreamer1.0-pipewire
tests sway sway
tests Xwayland xwayland
tests /usr/games/pcsxr pcsxr
tests mipsel-linux-gnu-gcc gcc-mipsel-linux-gnu
tests cc gcc
windows wine wine
windows wine wine64
windows x86_64-w64-mingw32-gcc gcc-mingw-w64-x86-64-win32
LIST
}

install_packages() { # $1: lines as missing_packages prints them
    packages=$(echo "$1" | cut -d' ' -f2 | tr '\n' ' ')
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing system packages: $packages"
        # shellcheck disable=SC2086  # one word per package
        apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
            --no-install-recommends -o DPkg::Lock::Timeout=300 $packages >/dev/null && return
    fi
    advice="sudo apt-get update && sudo apt-get install --no-install-recommends $packages"
    command -v apt-get >/dev/null || advice="Debian calls them $packages"
    case $1 in
    *required*) stop "system packages are missing; install them and run this again: $advice" ;;
    *) say "going on without what some games and tests need; to get it: $advice" ;;
    esac
}

find_python() {
    [ -z "${PYTHON:-}" ] || usable "$PYTHON" ||
        say "PYTHON=$PYTHON does not run, or is not 3.12 or 3.13; looking for another"
    pyenv=${PYENV_ROOT:-${HOME:-}/.pyenv}/versions
    for candidate in ${PYTHON:+"$PYTHON"} python3.13 "$pyenv"/3.13*/bin/python \
        /usr/local/bin/python3.13 python3.12 "$pyenv"/3.12*/bin/python \
        /usr/local/bin/python3.12 python3; do
        if usable "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
}

find_uv() {
    for candidate in uv .venv-tools/bin/uv; do
        if "$candidate" pip install --help 2>/dev/null | grep -q -e --group; then
            command -v "$candidate"
            return
        fi
    done
}

# Prints the first Python that has the module $1.
python_with() {
    for candidate in "$python" python3; do
        if "$candidate" -c "import $1" 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
}

install_uv() {
    say "installing uv into .venv-tools"
    if [ -n "$(python_with ensurepip)" ]; then
        "$(python_with ensurepip)" -m venv --clear .venv-tools
        set -- .venv-tools/bin/python -m pip install
    else
        set -- "$(python_with pip)" -m pip install --target .venv-tools
    fi
    "$@" --quiet --disable-pip-version-check 'uv>=0.7' >&2 ||
        stop "pip could not install uv; see above, or install uv yourself"
}

download_python() {
    say "found no Python 3.12 or 3.13; asking uv for one"
    "$uv" python install 3.13 >/dev/null 2>&1 && "$uv" python find 3.13 && return
    say "uv could not download it ('$uv python install 3.13' tells why)."
    stop "Install one, e.g. 'pyenv install 3.13', or name one: make setup PYTHON=/path/to/python3.13"
}

# Never tried there, so it says what it would do, and lets you do it.
if [ "$(uname -s)" = Darwin ]; then
    say "this was never run on macOS; on Apple's processors from macOS 14 on all wheels are there, and it would run:"
    say "  uv venv --python 3.13 .venv"
    say "  uv pip install --python .venv/bin/python -c constraints.txt --group dev -e . -e core$(
        printf ' -e %s' plugins/*/
    )"
    [ "$(uname -m)" = arm64 ] || say "but not on this Intel processor, for which JAX and grain have no wheels"
    exit 2
fi

missing=$(missing_packages)
if [ -x .venv/bin/python ] && [ "$(cat .venv/.setup 2>/dev/null)" = "$(fingerprint)" ]; then
    [ -z "$missing" ] || install_packages "$missing"
    exit 0
fi

python=$(find_python)
uv=$(find_uv)
if [ -z "$uv$(python_with ensurepip)$(python_with pip)" ]; then
    missing="$missing
required python3-venv"
fi
[ -z "$missing" ] || install_packages "$missing"
if [ -z "$uv" ]; then
    install_uv
    uv=.venv-tools/bin/uv
fi
# uv reads neither pip's settings nor, unless asked, the system's certificates.
[ -z "${PIP_INDEX_URL:-}" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$PIP_INDEX_URL}"
[ ! -e /etc/ssl/certs/ca-certificates.crt ] || export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-1}"
[ -n "$python" ] || python=$(download_python)
if ! usable .venv/bin/python; then
    rm -rf .venv
    "$uv" venv --quiet --relocatable --python "$python" .venv
fi
say "installing Python packages (1.5 GB on disk)"
set -- -e .
[ -t 2 ] || set -- --quiet "$@"
for member in core plugins/*/; do
    set -- "$@" -e "$member"
done
# Byte code now, so that the first start of the command is as quick as the later ones.
"$uv" pip install --python .venv/bin/python --compile-bytecode \
    --constraints constraints.txt --group dev --group docs "$@"
fingerprint >.venv/.setup
