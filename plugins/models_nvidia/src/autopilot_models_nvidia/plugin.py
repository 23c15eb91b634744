"""What this plugin provides: the network `nvidia`."""

from __future__ import annotations

from autopilot.api import API_VERSION, ModelSpec, hookimpl

AUTOPILOT_API = API_VERSION


@hookimpl
def autopilot_models() -> list[ModelSpec]:
    """NVIDIA's end-to-end driving network."""
    return [
        ModelSpec(
            "nvidia",
            "NVIDIA PilotNet: 5 convolutions, 4 dense layers (arXiv:1604.07316)",
            build="autopilot_models_nvidia.pilotnet:build",
            config={"dropout": 0.2},
        )
    ]
