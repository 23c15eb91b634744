"""Training speed against PyTorch: same architecture, batch, dtype, input and optimiser.

Each measurement runs in a process of its own, the two sides in turn, pinned to the same cores;
medians over the rounds; one JSON with samples/s and `ratio` (ours / PyTorch) per network.

    python benchmarks/train_speed.py --torch-python /path/to/venv/bin/python

Without `--torch-python` only our side runs, and results/ is left alone. A step takes a uint8 batch of
160x90 frames from the host, normalises it and does one Adam update of a three-way softmax. As in
`autopilot train`, our side waits for the step before the one that it has just given out; PyTorch's on
a CPU ends when it returns.

`--gpu`, for a machine that has one: frames lie on the GPU, both compute in bfloat16 with weights in
float32, PyTorch by `torch.compile` and channels-last. `--python` of another environment may be given
for JAX with CUDA. The JSON then has also the time for 200 epochs of 50,000 frames.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

BATCH = {"nvidia": 256, "inception": 32}
GPU_BATCH = {"nvidia": 1024, "inception": 256}
GPU_FRAMES, LONG_FRAMES = 20_000, 200 * 50_000
"""How many frames lie on the GPU, of which each step takes others; how many a long training sees."""

HEIGHT, WIDTH, CLASSES = 90, 160, 3


def batches(size: int, count: int = 4):
    import numpy as np

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, size, HEIGHT, WIDTH, 3), dtype=np.uint8)
    labels = rng.integers(0, CLASSES, (count, size), dtype=np.int32)
    return list(zip(images, labels, strict=True))


def ours(network: str, size: int):
    from autopilot.learn import memory

    memory.keep_freed()
    import jax
    import numpy as np
    from autopilot.api.registry import Registry
    from autopilot.api.types import ActionSpace, Axis
    from autopilot.learn.augment import make_augment
    from autopilot.learn.devices import make_mesh
    from autopilot.learn.network import build
    from autopilot.learn.options import TrainOptions
    from autopilot.learn.step import make_step, optimiser

    # The step of `autopilot train`; without augmentation, which the other side has not either.
    options = TrainOptions(network, batch_size=size, learning_rate=1e-4, mirror=False, brightness=0)
    mesh = make_mesh(None, size)
    space = ActionSpace((Axis("steer", ("left", "forward", "right"), (2, 1, 0)),))
    net = build(Registry(), network, {}, (WIDTH, HEIGHT), space)
    state, step = make_step(net, optimiser(options, 10_000), make_augment(space, options), options.seed, mesh)
    carried = state.weights, state.other, state.optimiser
    ones = np.ones((size, 1), np.float32)
    number, before = 0, None

    def run(images, labels) -> None:
        nonlocal carried, number, before
        if before is not None:
            before.block_until_ready()
        *carried, before = step(*carried, np.int32(number), (images, labels[:, None], ones))
        number += 1

    return run, f"jax {jax.__version__}, {mesh.size} x {mesh.devices.flat[0].device_kind}"


def ours_on_gpu(network: str, size: int, backend: str = "gpu"):
    import jax
    import jax.numpy as jnp
    from autopilot.api.registry import Registry
    from autopilot.api.types import ActionSpace, Axis
    from autopilot.learn.augment import make_augment
    from autopilot.learn.network import build
    from autopilot.learn.options import TrainOptions
    from autopilot.learn.step import make_step, optimiser

    device = jax.devices(backend)[0]
    options = TrainOptions(network, batch_size=size, learning_rate=1e-4, mirror=False, brightness=0)
    space = ActionSpace((Axis("steer", ("left", "forward", "right"), (2, 1, 0)),))
    net = build(Registry(), network, {}, (WIDTH, HEIGHT), space)
    augment = make_augment(space, options)
    state, step = make_step(net, optimiser(options, 10_000), augment, options.seed, precision="bfloat16")
    images, labels = (jax.device_put(part, device) for part in frames_on_gpu())
    ones = jnp.ones((size, 1), jnp.float32)
    take = jax.jit(lambda at: (images[at], labels[at][:, None]))
    carried, number = (state.weights, state.other, state.optimiser), 0

    def run(steps: int) -> None:
        nonlocal carried, number
        for _ in range(steps):
            *carried, loss = step(*carried, number, (*take(places(number, size)), ones))
            number += 1
        loss.block_until_ready()

    return run, f"jax {jax.__version__}, {device.device_kind}"


def torchs(network: str, size: int):
    import torch
    from torch import nn
    from torch_networks import build

    torch.manual_seed(0)
    torch.set_num_threads(len(os.sched_getaffinity(0)))

    net = build(network, CLASSES)
    adam = torch.optim.Adam(net.parameters(), 1e-4)
    criterion = nn.CrossEntropyLoss()

    def run(images, labels) -> float:
        x = torch.from_numpy(images).permute(0, 3, 1, 2)
        x = x.float()
        adam.zero_grad()
        value = criterion(net(x / 127.5 - 1), torch.from_numpy(labels).long())
        value.backward()
        adam.step()
        return value.item()

    return run, f"torch {torch.__version__}"


def torchs_on_gpu(network: str, size: int, device: str = "cuda"):
    import torch
    from torch import nn
    from torch_networks import build

    torch.manual_seed(0)
    net = build(network, CLASSES).to(device, memory_format=torch.channels_last)
    adam = torch.optim.Adam(net.parameters(), 1e-4, fused=True)
    criterion = nn.CrossEntropyLoss()
    images, labels = (torch.from_numpy(part).to(device) for part in frames_on_gpu())
    labels = labels.long()
    number = 0

    @torch.compile
    def loss_of(x, labels):
        with torch.autocast(device, torch.bfloat16):
            x = x.permute(0, 3, 1, 2)  # as they lie, that is channels-last
            return criterion(net(x.to(torch.bfloat16) / 127.5 - 1), labels)

    def run(steps: int) -> None:
        nonlocal number
        for _ in range(steps):
            at = torch.from_numpy(places(number, size)).to(device, non_blocking=True)
            adam.zero_grad(set_to_none=True)
            loss = loss_of(images[at], labels[at])
            loss.backward()
            adam.step()
            number += 1
        loss.item()

    name = torch.cuda.get_device_name() if device == "cuda" else device
    return run, f"torch {torch.__version__}, {name}"


def frames_on_gpu():
    import numpy as np

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (GPU_FRAMES, HEIGHT, WIDTH, 3), dtype=np.uint8)
    return images, rng.integers(0, CLASSES, GPU_FRAMES, dtype=np.int32)


def places(number: int, size: int):
    import numpy as np

    return np.random.default_rng(number).integers(0, GPU_FRAMES, size)


def measure_on_gpu(side: str, network: str, steps: int, **device: str) -> dict[str, object]:
    size = GPU_BATCH[network]
    run, version = (ours_on_gpu if side == "ours" else torchs_on_gpu)(network, size, **device)
    run(5)
    start = time.perf_counter()
    run(steps)
    rate = size * steps / (time.perf_counter() - start)
    return {"samples_per_s": rate, "seconds_of_long_training": LONG_FRAMES / rate, "version": version}


def measure(side: str, network: str, steps: int) -> dict[str, object]:
    size = BATCH[network]
    run, version = (ours if side == "ours" else torchs)(network, size)
    data = batches(size)
    for i in range(3):
        run(*data[i % len(data)])
    wall, cpu = [], []
    for i in range(steps):
        start, used = time.perf_counter(), time.process_time()
        run(*data[i % len(data)])
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - used)
    return {
        "samples_per_s": size / statistics.median(wall),
        "cpu_ms_per_sample": 1e3 * statistics.median(cpu) / size,
        "version": version,
    }


def child(python: str, side: str, network: str, arguments: argparse.Namespace) -> dict[str, object]:
    command = [python, __file__, "--side", side, "--networks", network]
    command += ["--steps", str(arguments.steps), "--cores", arguments.cores]
    command += ["--gpu"] if arguments.gpu else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{side} {network} failed: {done.stderr.strip()[-2000:]}")
    result: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--python", default=sys.executable, help="interpreter of our side")
    parser.add_argument("--torch-python", help="interpreter that has torch; without it, ours only")
    parser.add_argument("--networks", nargs="+", default=list(BATCH), choices=list(BATCH))
    parser.add_argument("--rounds", type=int, default=3, help="processes per side and network")
    parser.add_argument("--steps", type=int, default=10, help="timed steps per process")
    parser.add_argument("--cores", default="", help="e.g. 0,1: pin both sides to these cores")
    parser.add_argument("--out", type=Path, help="default, if compared with torch: results/train_speed[_gpu].json")
    parser.add_argument("--gpu", action="store_true", help="on the GPU, in bfloat16; then 100 or more --steps")
    parser.add_argument("--side", choices=["ours", "torch"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.cores:
        os.sched_setaffinity(0, {int(core) for core in arguments.cores.split(",")})
    if arguments.side:
        how = measure_on_gpu if arguments.gpu else measure
        print(json.dumps(how(arguments.side, arguments.networks[0], arguments.steps)))
        return
    sides = {"ours": arguments.python}
    if arguments.torch_python:
        sides["torch"] = arguments.torch_python
    report: dict[str, object] = {"machine": platform.processor() or platform.machine()}
    report["cores"] = len(os.sched_getaffinity(0))
    for network in arguments.networks:
        runs: dict[str, list[dict[str, object]]] = {side: [] for side in sides}
        for _ in range(arguments.rounds):
            for side, python in sides.items():
                runs[side].append(child(python, side, network, arguments))
        entry: dict[str, object] = {"batch": (GPU_BATCH if arguments.gpu else BATCH)[network]}
        for side in sides:
            entry[side] = {"version": runs[side][0]["version"]} | {
                key: round(statistics.median(float(str(r[key])) for r in runs[side]), 3)
                for key in runs[side][0]
                if key != "version"
            }
        if "torch" in sides:
            entry["ratio"] = round(entry["ours"]["samples_per_s"] / entry["torch"]["samples_per_s"], 3)
        report[network] = entry
        print(json.dumps({network: entry}), flush=True)
    if arguments.out or arguments.torch_python:
        out = arguments.out or Path(__file__).parent / "results" / f"train_speed{'_gpu' * arguments.gpu}.json"
        out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
