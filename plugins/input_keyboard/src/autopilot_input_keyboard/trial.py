"""What `doctor` types, and the window of its own that it types into."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from autopilot.api import Trial

from autopilot_input_keyboard.backends import X11Keys, open_backend
from autopilot_input_keyboard.keys import open_display, x11_codes

KEY = "shift_r"
"""Pressed alone for a moment it does nothing, whatever window it comes to, and every layout has it."""


@contextmanager
def trial() -> Iterator[Trial]:
    """Show a small window and give it the focus, on X11; elsewhere the key goes where it goes.

    The focus returns to where it was. Raises DeviceError without a keyboard.
    """
    backend = open_backend([KEY])
    backend.close()
    if not isinstance(backend, X11Keys):
        yield Trial(KEY)
        return
    from Xlib import X

    display = open_display()
    code = x11_codes(display, [KEY])[KEY]
    before = display.get_input_focus()
    root = display.screen().root
    events = X.KeyPressMask | X.KeyReleaseMask
    window = root.create_window(*(0, 0, 160, 30, 0, X.CopyFromParent), override_redirect=True, event_mask=events)
    window.set_wm_name("autopilot doctor")
    window.map()
    window.set_input_focus(X.RevertToPointerRoot, X.CurrentTime)
    display.sync()
    seen: set[int] = set()

    def arrived(down: bool) -> bool:
        for _ in range(display.pending_events()):
            event = display.next_event()
            if event.type in (X.KeyPress, X.KeyRelease) and event.detail == code and not event.send_event:
                seen.add(event.type)
        return (X.KeyPress if down else X.KeyRelease) in seen

    try:
        yield Trial(KEY, arrived)
    finally:
        display.set_input_focus(before.focus, before.revert_to, X.CurrentTime)
        window.destroy()
        display.sync()  # close() alone may drop what was asked last
        display.close()
