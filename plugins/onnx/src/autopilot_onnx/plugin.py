"""What this plugin provides: the engine `onnx`."""

from __future__ import annotations

from autopilot.api import API_VERSION, EngineSpec, hookimpl

AUTOPILOT_API = API_VERSION


@hookimpl
def autopilot_engines() -> list[EngineSpec]:
    """onnxruntime, of what jax2onnx exports."""
    return [
        EngineSpec(
            name="onnx",
            title="onnxruntime: the quickest for one frame on a CPU",
            accelerate="autopilot_onnx.engine:accelerate",
            export="autopilot_onnx.engine:export",
            file="model.onnx",
        )
    ]
