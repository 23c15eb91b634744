"""Sessions and bundles for others: packs to send, data sets for other programs, a view in Rerun."""

from __future__ import annotations

from autopilot.sharing.pack import Packed, pack
from autopilot.sharing.unpack import Unpacked, unpack

__all__ = ["Packed", "Unpacked", "pack", "unpack"]
