"""A desktop's ScreenCast portal for tests, run by the system's Python: it streams a GStreamer source through PipeWire.

    fakeportal.py "videotestsrc is-live=true ! video/x-raw,width=322,height=240" yes|no|stale

`no` denies; `stale` denies what is asked with a restore token. It prints `ready`, then each request.
"""

import json
import os
import socket
import subprocess
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gio, GLib, Gst  # noqa: E402

Gst.init(None)
PATH, SCREENCAST = "/org/freedesktop/portal/desktop", "org.freedesktop.portal.ScreenCast"
XML = """<node><interface name="org.freedesktop.portal.ScreenCast">
<method name="CreateSession"><arg type="a{sv}" direction="in"/><arg type="o" direction="out"/></method>
<method name="SelectSources"><arg type="o" direction="in"/><arg type="a{sv}" direction="in"/>
<arg type="o" direction="out"/></method>
<method name="Start"><arg type="o" direction="in"/><arg type="s" direction="in"/><arg type="a{sv}" direction="in"/>
<arg type="o" direction="out"/></method>
<method name="OpenPipeWireRemote"><arg type="o" direction="in"/><arg type="a{sv}" direction="in"/>
<arg type="h" direction="out"/></method></interface></node>"""
SINK = "pipewiresink name=sink mode=provide stream-properties=props,media.class=Video/Source,node.name=fake-screen"
ANSWER, asked = sys.argv[2], {}
pipeline = Gst.parse_launch(f"{sys.argv[1]} ! videoconvert ! video/x-raw,format=BGRx ! {SINK}")
pipeline.set_state(Gst.State.PLAYING)


def node():
    """The number that PipeWire gave our stream."""
    for entry in json.loads(subprocess.run(["pw-dump"], capture_output=True, text=True).stdout):
        props = (entry.get("info") or {}).get("props") or {}
        if props.get("node.name") == "fake-screen" and entry["type"].endswith("Node"):
            return entry["id"]
    raise SystemExit("no stream")


def called(bus, sender, path, interface, method, params, invocation):
    """Answer a request as a desktop does: at once with a handle, then by a signal."""
    args = params.unpack()
    options = args[-1]
    if method == "OpenPipeWireRemote":
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(os.environ["XDG_RUNTIME_DIR"] + "/pipewire-0")
        fds = Gio.UnixFDList.new_from_array([connection.detach()])
        invocation.return_value_with_unix_fd_list(GLib.Variant("(h)", (0,)), fds)
        return
    me = sender[1:].replace(".", "_")
    request = f"{PATH}/request/{me}/{options['handle_token']}"
    invocation.return_value(GLib.Variant("(o)", (request,)))
    answer, code = {}, 0
    if method == "CreateSession":
        answer = {"session_handle": GLib.Variant("s", f"{PATH}/session/{me}/x")}
    if method == "SelectSources":
        asked["token"] = options.get("restore_token", "")
    if method == "Start":
        code = int(ANSWER == "no" or (ANSWER == "stale" and bool(asked["token"])))
        streams = [] if code else [(node(), {"source_type": GLib.Variant("u", 2)})]
        answer = {"streams": GLib.Variant("a(ua{sv})", streams), "restore_token": GLib.Variant("s", "again")}
    print(method, options.get("restore_token", ""), flush=True)
    signal = GLib.Variant("(ua{sv})", (code, answer))
    bus.emit_signal(sender, request, "org.freedesktop.portal.Request", "Response", signal)


def have(bus, name):
    bus.register_object(PATH, Gio.DBusNodeInfo.new_for_xml(XML).interfaces[0], called, None, None)


def ready(bus, name):
    print("ready", flush=True)


Gio.bus_own_name(Gio.BusType.SESSION, "org.freedesktop.portal.Desktop", 0, have, ready, lambda *_: sys.exit("lost"))
GLib.MainLoop().run()
