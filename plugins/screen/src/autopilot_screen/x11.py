"""The windows of an X11 desktop, with a window manager or without, asked for by python-xlib."""

from __future__ import annotations

import contextlib
import os
import select
import time
from pathlib import Path
from typing import Any

from autopilot.api import Away, Box, DeviceError, Window

from autopilot_screen.compound import decode
from autopilot_screen.desk import CLICK_S, Drawable, View, inside, one_line, overlap, within

CROSSHAIR = 34  # in X's cursor font
ESCAPE = 0xFF1B  # its keysym


class X11Desk:
    """An X11 desktop. What `look` found is kept until an event says that some window changed."""

    def __init__(self) -> None:
        from Xlib import X, error
        from Xlib.display import Display

        self._gone = (error.BadWindow, error.BadDrawable, error.BadMatch)
        try:
            self._display = Display()
        except (error.DisplayError, OSError) as e:
            said = " ".join(str(e).split())
            raise DeviceError(
                f"there is no desktop whose windows could be seen ({said}): run in a desktop session"
            ) from e
        self._root = self._display.screen().root
        self._watch(self._root, X.SubstructureNotifyMask)
        self._known: dict[tuple[int, Box | None], tuple[Box, str | None, tuple[int, ...]] | None] = {}

    def windows(self) -> list[Window]:
        """Return the windows that have a title, minimised ones too, the topmost first.

        Left out are those of the programs in which we were started: a terminal often shows the
        command that it runs, and so the title that is looked for.
        """
        found = []
        ours = _ancestors()
        for top in reversed(self._root.query_tree().children):
            with contextlib.suppress(*self._gone):
                client = self._client(top)
                window = None if client is None else self._describe(client)
                if window is not None and window.title and window.pid not in ours:
                    found.append(window)
        return found

    def look(self, window: Window, part: Box | None) -> View | None:
        """Say how the window stands; None when it is gone. One round trip while nothing changes."""
        from Xlib.error import ConnectionClosedError

        try:
            focus = self._display.get_input_focus().focus
        except ConnectionClosedError as e:
            raise DeviceError("the screen can no longer be read: is the desktop session still there?") from e
        key = (window.id, part)
        last = self._known.get(key)
        # Events come before the reply, so what happened until now is known.
        events = [self._display.next_event() for _ in range(self._display.pending_events())]
        if events:
            self._known.clear()
        anew = last is not None and any(_drawn_anew(event, window, last[2]) for event in events)
        try:
            if key not in self._known:
                self._known[key] = self._stands(window, part)
            known = self._known[key]
            if known is None:
                return None
            box, hidden, lineage = known
            if anew and hidden is None and box[2:] == window.box[2:]:
                hidden = "drawn anew"
            return View(box, hidden, self._focused(focus, lineage))
        except self._gone:
            self._known.clear()
            return None

    def _stands(self, window: Window, part: Box | None) -> tuple[Box, str | None, tuple[int, ...]] | None:
        """Return where the picture is, why it cannot be seen, and the window with all around it."""
        from Xlib import X

        client = self._window(window.id)
        lineage = self._lineage(client)
        for one in lineage[:-1]:
            self._watch(one)
        if window.pid != self._pid(client):
            return None  # the number was given to a new window
        box = self._box(client)
        seen = inside(box, part)
        screen = self._root.get_geometry()
        hidden = None
        if client.get_attributes().map_state != X.IsViewable:
            hidden = "minimised, or on another workspace"
        elif not within(seen, (0, 0, screen.width, screen.height)):
            hidden = "partly off the screen"
        elif not self._composited() and (cover := self._cover(lineage[-2], seen)):
            hidden = f"covered by {cover}"
        return box, hidden, tuple(one.id for one in lineage)

    def _composited(self) -> bool:
        """Say whether each window has a picture of its own, whatever lies over it: Xwayland's desktops say so, too."""
        number = self._display.get_default_screen()
        return bool(self._display.get_selection_owner(self._display.get_atom(f"_NET_WM_CM_S{number}")))

    def drawable(self, window: Window) -> Drawable:
        """Return what a window is read from: itself.

        Where there is a compositor that is its own picture, and on Xwayland, whose screen is black, the only one;
        else what the screen shows in its place.
        """
        try:
            client = self._window(window.id)
            return Drawable(window.id, client.get_geometry().depth, client.get_attributes().visual)
        except self._gone as e:
            raise Away(f"the window {window.title!r} was closed; open it again, or stop") from e

    def _cover(self, top: Any, seen: Box) -> str | None:
        """Return the name of a window that lies above `top` and over the box."""
        from Xlib import X
        from Xlib.ext import shape

        children = self._root.query_tree().children
        for above in children[children.index(top) + 1 :]:
            with contextlib.suppress(*self._gone):
                attributes = above.get_attributes()
                if attributes.map_state != X.IsViewable or attributes.win_class == X.InputOnly:
                    continue
                if not overlap(self._visible(above), seen):
                    continue
                # What a compositor lays over the whole screen lets every click through.
                if self._display.has_extension("SHAPE") and not above.shape_get_rectangles(shape.SK.Input).rectangles:
                    continue
                title = self._title(self._client(above) or above)
                return repr(title) if title else "another window"
        return None

    def _visible(self, window: Any) -> Box:
        """Return the box of a window with its border, without the shadow that GTK draws itself."""
        g = window.get_geometry()
        extents = self._property(window, "_GTK_FRAME_EXTENTS") or (0, 0, 0, 0)
        left, right, top, bottom = (int(n) for n in extents)
        border = 2 * g.border_width
        return g.x + left, g.y + top, g.width + border - left - right, g.height + border - top - bottom

    def _focused(self, focus: Any, lineage: tuple[int, ...]) -> bool:
        """Say whether keys go to the window: to it, to one inside, or to it through the pointer."""
        if isinstance(focus, int):
            if not focus:
                return False
            around = True  # PointerRoot
        else:
            if focus.id == lineage[0]:
                return True
            around = focus.id in lineage
        if around:
            at, g = self._window(lineage[0]).query_pointer(), self._window(lineage[0]).get_geometry()
            return bool(at.same_screen and 0 <= at.win_x < g.width and 0 <= at.win_y < g.height)
        return lineage[0] in (one.id for one in self._lineage(focus))

    def click(self) -> Window | None:
        """Wait for a click on a window; None on Escape, another button, or after a minute.

        Raises DeviceError when another program holds the mouse.
        """
        from Xlib import X

        font = self._display.open_font("cursor")
        cursor = font.create_glyph_cursor(font, CROSSHAIR, CROSSHAIR + 1, (0, 0, 0), (65535, 65535, 65535))
        modes = (X.GrabModeAsync, X.GrabModeAsync)
        if self._root.grab_pointer(False, X.ButtonPressMask, *modes, X.NONE, cursor, X.CurrentTime):
            raise DeviceError("another program holds the mouse: close its menu, or name the window by its title")
        try:
            self._root.grab_keyboard(False, *modes, X.CurrentTime)
            until = time.monotonic() + CLICK_S
            while (left := until - time.monotonic()) > 0:
                if not self._display.pending_events():
                    select.select([self._display.fileno()], [], [], left)
                    continue
                event = self._display.next_event()
                if event.type == X.KeyPress and self._display.keycode_to_keysym(event.detail, 0) == ESCAPE:
                    return None
                if event.type == X.ButtonPress:
                    top = event.child if event.detail == 1 else None
                    client = self._client(top) or top if top else None
                    return self._describe(client) if client else None
            return None
        finally:
            self._display.ungrab_pointer(X.CurrentTime)
            self._display.ungrab_keyboard(X.CurrentTime)
            self._display.sync()

    def scale(self) -> float:
        """Return by how much the desktop enlarges things; pixels here are those of the screen."""
        resources = self._property(self._root, "RESOURCE_MANAGER") or b""
        for line in bytes(resources).decode("latin-1").splitlines():
            name, _, value = line.partition(":")
            if name == "Xft.dpi":
                with contextlib.suppress(ValueError):
                    return round(float(value) / 96, 2)
        return 1.0

    def close(self) -> None:
        """Disconnect."""
        from Xlib.error import ConnectionClosedError

        with contextlib.suppress(ConnectionClosedError):
            self._display.close()

    def _window(self, number: int) -> Any:
        return self._display.create_resource_object("window", number)

    def _watch(self, window: Any, also: int = 0) -> None:
        from Xlib import X, error

        window.change_attributes(event_mask=X.StructureNotifyMask | also, onerror=error.CatchError())

    def _lineage(self, window: Any) -> list[Any]:
        """Return the window and all that contain it, the root last."""
        line = [window]
        while parent := line[-1].query_tree().parent:
            line.append(parent)
        return line

    def _client(self, top: Any) -> Any | None:
        """Return the program's own window in a window manager's frame, or `top` if it is one."""
        from Xlib import X

        layer = [top]
        for _ in range(4):
            for window in layer:
                state = self._property(window, "WM_STATE")
                if state is not None and state[0]:  # 0 is withdrawn
                    return window
            layer = [child for window in layer for child in window.query_tree().children]
        attributes = top.get_attributes()
        bare = attributes.map_state == X.IsViewable and not attributes.override_redirect
        return top if bare and attributes.win_class != X.InputOnly else None

    def _describe(self, window: Any) -> Window:
        from Xlib import X

        pid = self._pid(window)
        kind = one_line(".".join(window.get_wm_class() or ()))
        minimised = window.get_attributes().map_state != X.IsViewable
        return Window(window.id, self._title(window), one_line(_process(pid)), pid, self._box(window), kind, minimised)

    def _box(self, window: Any) -> Box:
        g = window.get_geometry()
        at = self._root.translate_coords(window, 0, 0)
        return at.x, at.y, g.width, g.height

    def _title(self, window: Any) -> str:
        from Xlib import X, Xatom

        compound = self._display.get_atom("COMPOUND_TEXT")
        for name in (self._display.get_atom("_NET_WM_NAME"), Xatom.WM_NAME):
            found = window.get_full_property(name, X.AnyPropertyType)
            if found is None or found.format != 8 or not found.value:
                continue
            data = bytes(found.value)
            if found.property_type == compound:
                return one_line(decode(data))
            return one_line(data.decode("latin-1" if found.property_type == Xatom.STRING else "utf-8", "replace"))
        return ""

    def _pid(self, window: Any) -> int | None:
        """Return the process that made the window, as the server or else the window says."""
        if self._display.has_extension("X-Resource"):
            from Xlib.ext import res

            spec = [{"client": window.id, "mask": res.LocalClientPIDMask}]
            for found in self._display.res_query_client_ids(spec).ids:
                if found.value:
                    return int(found.value[0])
        said = self._property(window, "_NET_WM_PID")
        return int(said[0]) if said is not None and len(said) else None

    def _property(self, window: Any, name: str) -> Any | None:
        from Xlib import X

        found = window.get_full_property(self._display.get_atom(name), X.AnyPropertyType)
        return None if found is None else found.value


def _drawn_anew(event: Any, window: Window, lineage: tuple[int, ...]) -> bool:
    """Say whether an event means that a window's picture began anew: shown again, or of another size for a moment."""
    from Xlib import X

    if event.type == X.UnmapNotify:
        return event.window.id in lineage
    size = window.box[2:]
    return event.type == X.ConfigureNotify and event.window.id == window.id and (event.width, event.height) != size


def _process(pid: int | None) -> str:
    with contextlib.suppress(OSError):
        return Path(os.readlink(f"/proc/{pid}/exe")).name  # noqa: PTH115 - a deleted program has a name too
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    return ""


def _ancestors() -> frozenset[int]:
    """Return the processes in which this one was started."""
    found: list[int] = []
    pid = os.getppid()
    while pid > 1 and pid not in found:
        found.append(pid)
        try:
            # The name before it, in brackets, may hold anything.
            pid = int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            break
    return frozenset(found)
