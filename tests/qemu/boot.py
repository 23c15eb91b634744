"""Boots Debian's kernel in QEMU's software emulation and runs this folder's tests on its uinput.

The guest sees the host's files, read-only, by 9p: it runs this checkout's own Python and plugins.
Nothing is installed; the kernel's package is unpacked into `.qemu`, once. Run it by `make test-qemu`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".qemu"
LIMIT_S = 1500
MODULES = (
    "virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci netfs fscache 9pnet 9pnet_virtio 9p"
    " evdev joydev uinput"
).split()
"""In the order in which they need each other."""

INIT = """#!/bin/busybox sh
b=/bin/busybox
for m in {modules}; do $b insmod /modules/$m.ko || echo "no module $m"; done
$b mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=524288 host /host
$b mount -t devtmpfs dev /host/dev
$b mkdir -p /host/dev/shm
$b mount -t tmpfs shm /host/dev/shm
$b mount -t proc proc /host/proc
$b mount -t sysfs sys /host/sys
$b chroot /host /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/dev/shm TMPDIR=/dev/shm LANG=C.UTF-8 \\
    PYTHONDONTWRITEBYTECODE=1 SDL_JOYSTICK_DISABLE_UDEV=1 AUTOPILOT_QEMU=1 /bin/sh -c \\
    'cd {root} && .venv/bin/python -m pytest -p no:cacheprovider -o timeout=200 -v tests/qemu; echo guest-status $?'
$b poweroff -f
"""


def kernel() -> tuple[Path, Path]:
    """Return the kernel and the folder of its modules, from Debian's package."""
    if not list(CACHE.glob("boot/vmlinuz-*")):
        CACHE.mkdir(exist_ok=True)
        shown = subprocess.run(["apt-cache", "show", "linux-image-amd64"], capture_output=True, text=True, check=True)
        found = re.search(r"^Depends: (linux-image-\S+)", shown.stdout, re.MULTILINE)
        if found is None:
            raise SystemExit("apt knows no kernel: run `sudo apt-get update`")
        subprocess.run(["apt-get", "-qq", "download", found[1]], cwd=CACHE, check=True)
        (package,) = CACHE.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", package, CACHE], check=True)
        package.unlink()
    (image,) = CACHE.glob("boot/vmlinuz-*")
    (modules,) = CACHE.glob("lib/modules/*")
    return image, modules


def initramfs(modules: Path) -> Path:
    """Make the guest's first files: busybox, the modules, and what to do."""
    folder, archive = CACHE / "initramfs", CACHE / "initramfs.cpio"
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("bin", "modules", "host", "dev"):
        (folder / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "", folder / "bin/busybox")
    for name in MODULES:
        (path,) = modules.rglob(f"{name}.ko*")
        subprocess.run(
            f"xz -dc {path} > {folder}/modules/{name}.ko", shell=True, check=True
        ) if path.suffix == ".xz" else (shutil.copy(path, folder / f"modules/{name}.ko"))
    init = folder / "init"
    init.write_text(INIT.format(modules=" ".join(MODULES), root=ROOT))
    init.chmod(0o755)
    names = "\n".join(str(p.relative_to(folder)) for p in sorted(folder.rglob("*")))
    with archive.open("wb") as out:
        command = ["busybox", "cpio", "-o", "-H", "newc"]
        subprocess.run(command, input=names.encode(), stdout=out, stderr=subprocess.DEVNULL, cwd=folder, check=True)
    return archive


def main() -> int:
    missing = [p for p in ("qemu-system-x86_64", "busybox", "dpkg-deb", "apt-get") if shutil.which(p) is None]
    if missing:
        print(f"missing: {', '.join(missing)}; on Debian: sudo apt-get install qemu-system-x86 busybox-static")
        return 2
    image, modules = kernel()
    begun = time.monotonic()
    command = [
        *[
            "qemu-system-x86_64",
            "-machine",
            "accel=tcg",
            "-cpu",
            "max",
            "-smp",
            "1",
            "-m",
            "1024",
            "-nographic",
            "-no-reboot",
        ],
        # The guest's clock counts instructions, so that a busy host makes nothing in it late.
        *["-icount", "shift=0,sleep=on"],
        *[
            "-kernel",
            str(image),
            "-initrd",
            str(initramfs(modules)),
            "-append",
            "console=ttyS0 quiet panic=-1 no_timer_check",
        ],
        *["-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"],
        *["-nic", "none", "-monitor", "none", "-serial", "stdio"],
    ]
    guest = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace")
    status = 1
    try:
        assert guest.stdout is not None
        for line in guest.stdout:
            print(line.rstrip(), flush=True)
            if found := re.match(r"guest-status (\d+)", line):
                status = int(found[1])
            if time.monotonic() - begun > LIMIT_S:
                print(f"not done within {LIMIT_S} s")
                break
    finally:
        guest.kill()
        guest.wait()
    print(f"{'passed' if status == 0 else 'FAILED'} in {time.monotonic() - begun:.0f} s on {image.name}")
    return status


if __name__ == "__main__":
    sys.exit(main())
