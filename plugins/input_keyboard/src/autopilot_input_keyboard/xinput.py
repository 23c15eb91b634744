"""Which keys are down on the keyboards that a human touches, whatever XTest presses meanwhile.

The X server's state of the keys is that of all keyboards together: a key that both the human and
the emitter hold is down once, and up as soon as either lets go. Raw events (XInput 2) name the
device that they come from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from autopilot_input_keyboard.backends import UINPUT_NAME

if TYPE_CHECKING:
    from Xlib.display import Display


class RealKeys:
    """Follows the presses and releases of every keyboard but XTest's and our own.

    A server without XInput 2 tells of none. What else the server tells, as that the layout changed, goes to `other`.
    """

    def __init__(self, display: Display, other: Callable[[Any], None]) -> None:
        from Xlib.ext import xinput
        from Xlib.protocol import rq

        self._display, self._down, self._false = display, set[int](), set[int]()
        self._press, self._release, self._changed = xinput.RawKeyPress, xinput.RawKeyRelease, xinput.HierarchyChanged
        self._all, self._other = xinput.AllDevices, other
        if not display.has_extension(xinput.extname) or display.xinput_query_version().major_version < 2:
            return
        # XIRawEvent of the protocol's XI2proto.h, up to its valuators.
        fields = (rq.Card16("deviceid"), rq.Card32("time"), rq.Card32("detail"), rq.Card16("sourceid"))
        for kind in (self._press, self._release):
            display.ge_add_event_data(display.display.get_extension_major(xinput.extname), kind, rq.Struct(*fields))
        keys = 1 << self._press | 1 << self._release
        wanted = [(xinput.AllMasterDevices, keys), (xinput.AllDevices, xinput.HierarchyChangedMask)]
        display.screen().root.xinput_select_events(wanted)
        self._look()

    def _look(self) -> None:
        """Find the keyboards that no human touches; a key of one that was unplugged is up."""
        boards = self._display.xinput_query_device(self._all).devices
        self._false = {b.deviceid for b in boards if b.name.endswith("XTEST keyboard") or b.name == UINPUT_NAME}
        self._down.clear()

    def down(self) -> tuple[set[int], set[int]]:
        """Return the server's numbers of the keys that are down, and of those that went down since the last call.

        Those pressed before the start are not seen.
        """
        pressed: set[int] = set()
        for _ in range(self._display.pending_events()):
            event = self._display.next_event()
            kind = getattr(event, "evtype", None)
            if kind == self._changed:
                self._look()
            elif kind == self._press and event.data.sourceid not in self._false:
                pressed |= {event.data.detail} - self._down  # else it repeats itself
                self._down.add(event.data.detail)
            elif kind == self._release and event.data.sourceid not in self._false:
                self._down.discard(event.data.detail)
            elif kind is None:
                self._other(event)
        return self._down, pressed
