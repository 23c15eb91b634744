"""Where the bundles lie."""

from pathlib import Path

from autopilot.api import ZooSpec, hookimpl

AUTOPILOT_API = 2


@hookimpl
def autopilot_zoos():
    """One folder."""
    return [ZooSpec("garage", "networks from a garage", Path(__file__).parent / "bundles")]
