"""From a frame to an action: preprocessing, network, selector, and the bundle that holds them."""

from __future__ import annotations

from autopilot.policy.bundle import Manifest, read_manifest, save_bundle
from autopilot.policy.policy import Policy
from autopilot.policy.preprocess import Box, Preprocess, boxes
from autopilot.policy.selector import Selector

__all__ = ["Box", "Manifest", "Policy", "Preprocess", "Selector", "boxes", "read_manifest", "save_bundle"]
