"""What this plugin provides: the network `inception`."""

from __future__ import annotations

from autopilot.api import API_VERSION, ModelSpec, hookimpl

AUTOPILOT_API = API_VERSION


@hookimpl
def autopilot_models() -> list[ModelSpec]:
    """GoogLeNet, the first Inception network."""
    return [
        ModelSpec(
            "inception",
            "GoogLeNet (Inception v1): 9 inception blocks (arXiv:1409.4842)",
            build="autopilot_models_inception.googlenet:build",
            config={"dropout": 0.4, "aux": False},
            learning_rate=3e-4,  # without batch normalisation it learns nothing at 1e-3
        )
    ]
