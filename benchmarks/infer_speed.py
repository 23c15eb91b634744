"""Time for one frame against PyTorch: same architecture, input, dtype and cores.

Each measurement runs in a process of its own, our engines and PyTorch (eager) in turn, pinned to
the same cores; medians over the rounds; one JSON with milliseconds and `ratio` (our best engine /
PyTorch) per network.

    python benchmarks/infer_speed.py --torch-python /path/to/venv/bin/python

Without `--torch-python` only our engines run, and results/ is left alone. A frame is a uint8
picture of 160x90 in the host's memory; what comes out is its three probabilities in the host's memory.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HEIGHT, WIDTH, CLASSES = 90, 160, 3
NETWORKS, ENGINES = ("nvidia", "inception"), ("jax", "onnx")


def ours(engine: str, network: str):
    """Return the policy of `autopilot drive --engine`, with untrained weights."""
    from importlib.metadata import version

    import numpy as np
    from autopilot.api.registry import Registry
    from autopilot.api.types import ActionSpace, Axis
    from autopilot.bundle.manifest import save_bundle
    from autopilot.bundle.preprocess import Preprocess
    from autopilot.learn.network import build, split
    from autopilot.learn.policy import Policy
    from autopilot_onnx.engine import accelerate
    from flax import nnx

    space, registry = ActionSpace((Axis("steer", ("left", "forward", "right"), (2, 1, 0)),)), Registry()
    state = split(build(registry, network, {}, (WIDTH, HEIGHT), space))[1]
    weights = {".".join(map(str, name)): np.asarray(array[...]) for name, array in nnx.to_flat_state(state)}
    size = (WIDTH, HEIGHT)
    manifest = {
        "name": network,
        "game": "none",
        "label_map": "none",
        "model": network,
        "config": {},
        "action_space": space.to_json(),
        "preprocess": Preprocess(size, size).to_json(),
        "hz": 10.0,
        "sessions": [],
        "options": {},
        "metrics": {},
        "versions": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / network
        save_bundle(bundle, manifest, weights)
        policy = Policy.load(bundle, registry)
        if engine == "onnx":
            policy.run = accelerate(policy, bundle, lambda line: print(line, file=sys.stderr))
    name = {"jax": "jax", "onnx": "onnxruntime"}[engine]
    return policy.probabilities, sum(w.size for w in weights.values()), f"{name} {version(name)}"


def torchs(network: str):
    import torch
    from torch_networks import build

    torch.manual_seed(0)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    net = build(network, CLASSES).eval()

    @torch.inference_mode()
    def run(image):
        x = torch.from_numpy(image).permute(2, 0, 1)[None].float()
        return torch.softmax(net(x / 127.5 - 1), 1)[0].numpy()

    return run, sum(p.numel() for p in net.parameters()), f"torch {torch.__version__}"


def measure(side: str, network: str, frames: int) -> dict[str, object]:
    import numpy as np

    run, parameters, version = torchs(network) if side == "torch" else ours(side, network)
    images = np.random.default_rng(0).integers(0, 256, (16, HEIGHT, WIDTH, 3), np.uint8)
    for image in images:
        run(image)
    wall = []
    for i in range(frames):
        start = time.perf_counter()
        run(images[i % len(images)])
        wall.append(1e3 * (time.perf_counter() - start))
    p99 = sorted(wall)[int(0.99 * len(wall))]
    return {"ms": statistics.median(wall), "p99_ms": p99, "parameters": parameters, "version": version}


def child(python: str, side: str, network: str, arguments: argparse.Namespace) -> dict[str, object]:
    command = [python, __file__, "--side", side, "--networks", network]
    command += ["--frames", str(arguments.frames), "--cores", arguments.cores]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{side} {network} failed: {done.stderr.strip()[-2000:]}")
    result: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--torch-python", help="interpreter that has torch; without it, ours only")
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--rounds", type=int, default=5, help="processes per side and network")
    parser.add_argument("--frames", type=int, default=200, help="timed frames per process")
    parser.add_argument("--cores", default="", help="e.g. 0,1: pin all sides to these cores")
    parser.add_argument("--out", type=Path, help="default, if compared with torch: results/infer_speed.json")
    parser.add_argument("--side", choices=[*ENGINES, "torch"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.cores:
        os.sched_setaffinity(0, {int(core) for core in arguments.cores.split(",")})
    if arguments.side:
        print(json.dumps(measure(arguments.side, arguments.networks[0], arguments.frames)))
        return
    sides = dict.fromkeys(ENGINES, sys.executable)
    if arguments.torch_python:
        sides["torch"] = arguments.torch_python
    report: dict[str, object] = {"machine": platform.processor() or platform.machine()}
    report["cores"] = len(os.sched_getaffinity(0))
    for network in arguments.networks:
        runs: dict[str, list[dict[str, object]]] = {side: [] for side in sides}
        for _ in range(arguments.rounds):
            for side, python in sides.items():
                runs[side].append(child(python, side, network, arguments))
        sizes = {r["parameters"] for results in runs.values() for r in results}
        if len(sizes) != 1:
            sys.exit(f"{network}: the sides differ in their number of parameters: {sizes}")
        entry: dict[str, object] = {"parameters": sizes.pop()}
        for side, results in runs.items():
            medians = {key: round(statistics.median(r[key] for r in results), 3) for key in ("ms", "p99_ms")}
            entry[side] = {"version": results[0]["version"]} | medians
        best = min(ENGINES, key=lambda engine: entry[engine]["ms"])
        entry["engine"] = best
        if "torch" in sides:
            entry["ratio"] = round(entry[best]["ms"] / entry["torch"]["ms"], 3)
            entry["ratios"] = {engine: round(entry[engine]["ms"] / entry["torch"]["ms"], 3) for engine in ENGINES}
        report[network] = entry
        print(json.dumps({network: entry}), flush=True)
    if arguments.out or arguments.torch_python:
        out = arguments.out or Path(__file__).parent / "results" / "infer_speed.json"
        out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
