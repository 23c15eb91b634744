"""Asks the desktop's ScreenCast portal for a window, and writes its pictures to standard output.

Run by the system's Python, whose packages (gi, GStreamer) are not in ours: it imports nothing of autopilot.
A picture is the line `frame WIDTH HEIGHT` and its bytes, RGB, row by row; the last line is `error WHAT`.
https://flatpak.github.io/xdg-desktop-portal/docs/doc-org.freedesktop.portal.ScreenCast.html
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

NAME, PATH = "org.freedesktop.portal.Desktop", "/org/freedesktop/portal/desktop"
SCREENCAST = "org.freedesktop.portal.ScreenCast"
PACKAGES = "python3-gi gir1.2-gst-plugins-base-1.0 gstreamer1.0-plugins-base gstreamer1.0-pipewire"
MISSING = f"packages of the system are missing; install them: sudo apt-get install {PACKAGES}"
NO_PORTAL = "no ScreenCast portal answers; install xdg-desktop-portal and your desktop's own, and log in again"
DENIED = "you did not allow a window to be seen; start again and choose the game's"
ENDED = "the desktop shares the window no more; start again"
SHARED, HIDDEN_CURSOR, UNTIL_REVOKED = 3, 1, 2
"""Of SelectSources: what may be chosen (a window or, where a desktop shares none, a monitor), the cursor's mode,
how long the choice is kept."""
SILENT = "it was allowed, but no picture comes; show the window and start again"
FIRST_S = 10
"""How long the first picture may take."""
CHOOSE_S = 120
"""How long the user may take to choose."""


class Refused(Exception):
    """What the user is told."""


def main(token: Path) -> None:
    """Stream until the reader is gone or the desktop ends it."""
    try:
        import gi

        gi.require_version("Gst", "1.0")
        gi.require_version("GstApp", "1.0")
        from gi.repository import Gio, GLib, Gst, GstApp  # noqa: F401 - the last one gives appsink its methods
    except (ImportError, ValueError) as e:
        raise Refused(MISSING) from e
    Gst.init(None)
    if Gst.ElementFactory.find("pipewiresrc") is None or Gst.ElementFactory.find("videoconvert") is None:
        raise Refused(MISSING)
    try:
        portal = Portal(Gio, GLib)
        fd, node = portal.share(token)
    except GLib.Error as e:
        raise Refused(NO_PORTAL) from e
    pipeline = Gst.parse_launch(
        f"pipewiresrc fd={fd} path={node} do-timestamp=true keepalive-time=500 ! videoconvert"
        " ! video/x-raw,format=RGB ! appsink name=sink max-buffers=1 drop=true sync=false"
    )
    pipeline.set_state(Gst.State.PLAYING)
    try:
        pull(Gst, pipeline, portal)
    finally:
        pipeline.set_state(Gst.State.NULL)


class Portal:
    """The requests of one session; each is answered by a signal."""

    def __init__(self, gio: Any, glib: Any) -> None:
        self._gio, self._glib, self._count, self._closed = gio, glib, 0, False
        self._bus = gio.bus_get_sync(gio.BusType.SESSION)
        self._me = self._bus.get_unique_name()[1:].replace(".", "_")

    def share(self, token: Path) -> tuple[int, int]:
        """Let the user choose a window, or restore their last choice; return PipeWire's descriptor and the node."""
        kept = token.read_text().strip() if token.is_file() else ""
        try:
            session, started = self._start(kept)
        except Refused:
            if not kept:
                raise
            token.unlink()  # it is worth nothing any more
            session, started = self._start("")
        if started.get("restore_token"):
            token.parent.mkdir(parents=True, exist_ok=True)
            token.touch(mode=0o600)
            token.write_text(started["restore_token"])
        closed = (NAME, "org.freedesktop.portal.Session", "Closed", session)
        self._bus.signal_subscribe(*closed, None, 0, self._close)
        self._gio.bus_watch_name_on_connection(self._bus, NAME, 0, None, self._close)
        variant = self._glib.Variant("(oa{sv})", (session, {}))
        call = self._bus.call_with_unix_fd_list_sync
        reply, fds = call(NAME, PATH, SCREENCAST, "OpenPipeWireRemote", variant, None, 0, -1, None)
        return fds.get(reply.unpack()[0]), started["streams"][0][0]

    def _close(self, *_: object) -> None:
        self._closed = True

    def closed(self) -> bool:
        """Say whether the desktop shares no more: the stream itself does not tell."""
        context = self._glib.MainContext.default()
        while context.pending():
            context.iteration(False)
        return self._closed

    def _start(self, kept: str) -> tuple[str, dict[str, Any]]:
        def text(value: str) -> Any:
            return self._glib.Variant("s", value)

        def number(value: int) -> Any:
            return self._glib.Variant("u", value)

        session = self._ask("CreateSession", "(a{sv})", session_handle_token=text("autopilot"))["session_handle"]
        choice = {
            "types": number(SHARED),
            "multiple": self._glib.Variant("b", False),
            "cursor_mode": number(HIDDEN_CURSOR),
        }
        choice |= {"persist_mode": number(UNTIL_REVOKED)} | ({"restore_token": text(kept)} if kept else {})
        self._ask("SelectSources", "(oa{sv})", session, **choice)
        started = self._ask("Start", "(osa{sv})", session, "")
        if not started.get("streams"):
            raise Refused(DENIED)
        return session, started

    def _ask(self, method: str, kind: str, *args: object, **options: Any) -> dict[str, Any]:
        """Make a request and wait for its answer; raises Refused when the user says no."""
        self._count += 1
        handle = f"autopilot{self._count}"
        loop, answers = self._glib.MainLoop(), []

        def answered(*signal: Any) -> None:
            answers.append(signal[5].unpack())
            loop.quit()

        request = (NAME, "org.freedesktop.portal.Request", "Response", f"{PATH}/request/{self._me}/{handle}")
        subscription = self._bus.signal_subscribe(*request, None, 0, answered)
        options["handle_token"] = self._glib.Variant("s", handle)
        self._bus.call_sync(NAME, PATH, SCREENCAST, method, self._glib.Variant(kind, (*args, options)), None, 0, -1)
        if not answers:
            self._glib.timeout_add_seconds(CHOOSE_S, loop.quit)
            loop.run()
        self._bus.signal_unsubscribe(subscription)
        if not answers or answers[0][0]:
            raise Refused(DENIED)
        found: dict[str, Any] = answers[0][1]
        return found


def pull(gst: Any, pipeline: Any, portal: Portal) -> None:
    """Write each picture as soon as the reader has taken the one before; those between are dropped."""
    sink, reader, empty_s = pipeline.get_by_name("sink"), os.getppid(), 0
    while not portal.closed() and os.getppid() == reader:
        sample = sink.try_pull_sample(gst.SECOND)
        if sample is None:
            problems = pipeline.get_bus().pop_filtered(gst.MessageType.ERROR | gst.MessageType.EOS)
            if problems is not None or sink.props.eos:
                raise Refused(ENDED)
            empty_s += 1
            if empty_s == FIRST_S:
                raise Refused(SILENT)
            continue
        empty_s = -FIRST_S * 10**6  # a window at rest, or minimised, may send none later
        shape = sample.get_caps().get_structure(0)
        width, height = shape.get_value("width"), shape.get_value("height")
        ok, mapped = sample.get_buffer().map(gst.MapFlags.READ)
        if not ok:
            continue
        row, stride = width * 3, (width * 3 + 3) // 4 * 4
        data = bytes(mapped.data)
        sample.get_buffer().unmap(mapped)
        if stride != row:
            data = b"".join(data[y * stride : y * stride + row] for y in range(height))
        sys.stdout.buffer.write(b"frame %d %d\n" % (width, height) + data[: row * height])
        sys.stdout.buffer.flush()
    raise Refused(ENDED)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except Refused as e:
        sys.stdout.buffer.write(f"error {e}\n".encode())
        sys.stdout.buffer.flush()
        os._exit(0)  # GStreamer's threads are not waited for
    except BrokenPipeError:
        os._exit(0)
