"""Streams: a real sender in another process, its newest picture, its silence, its end."""

from __future__ import annotations

import http.server
import socket
import subprocess
import sys
import threading
import time
from functools import partial

import pytest
from autopilot.api.errors import Away, DeviceError, UserError
from autopilot.api.types import SourceSettings
from autopilot_screen.video import open_video
from support.films import STEP, film, thirty

SENDER = """
import sys, time
import av, numpy as np
with av.open(sys.argv[1], "w", format="mpegts") as out:
    stream = out.add_stream("mpeg2video", rate=25, options={"g": "1", "qmin": "1", "qmax": "2"})
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    while True:
        shade = round(time.monotonic() * 50) % 200
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), shade, np.uint8), "rgb24")
        out.mux(stream.encode(frame))
        time.sleep(0.04)
"""


@pytest.fixture
def port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def sender(port):
    process = subprocess.Popen([sys.executable, "-c", SENDER, f"udp://127.0.0.1:{port}?pkt_size=1316"])
    yield process
    process.kill()
    process.wait()


def open_stream(address, **settings):
    return open_video(SourceSettings(video=address, **settings))


def behind(frame):
    """Return how old the picture is, in seconds, by what is in it."""
    return ((time.monotonic() * 50 - float(frame.image.mean())) % 200) / 50


def test_the_newest_picture_of_a_stream_however_seldom_it_is_read(port, sender, soon):
    source = open_stream(f"udp://127.0.0.1:{port}", region=(8, 8, 32, 16))
    try:
        first = source.read()
        assert first.image.shape == (16, 32, 3)
        time.sleep(0.6)
        asked = time.monotonic_ns()
        later = source.read()
        assert 0 < asked - later.t_ns < 5 * 10**8, "it is stamped when it came"
        assert behind(later) < 1.5, "what came meanwhile waits in no queue"
        assert soon(lambda: source.read().t_ns > later.t_ns)
    finally:
        source.close()
        source.close()


def test_a_stream_that_falls_silent_is_away_and_then_over(port, sender, soon, monkeypatch):
    monkeypatch.setattr("autopilot_screen.stream.SILENT_S", 0.5)
    monkeypatch.setattr("autopilot_screen.video.SILENT_S", 2.0)
    source = open_stream(f"udp://127.0.0.1:{port}")
    source.read()
    sender.kill()

    def said(kind):
        try:
            source.read()
        except kind as e:
            return type(e) is kind and str(e)
        except Away:
            return None

    assert "no picture comes from udp://" in soon(partial(said, Away))
    assert "gives no more pictures" in soon(partial(said, DeviceError))


def test_nobody_sends(port, monkeypatch):
    monkeypatch.setattr("autopilot_screen.video.OPEN_S", 0.3)
    with pytest.raises(DeviceError, match=r"cannot open udp://\S+: nothing comes within 0.3 s"):
        open_stream(f"udp://127.0.0.1:{port}")


@pytest.mark.parametrize(("address", "why"), [("no://x", "Protocol not found"), ("rtsp://127.0.0.1:1/x", "refused")])
def test_an_address_that_leads_nowhere_is_named(address, why):
    with pytest.raises(DeviceError, match=f"cannot open {address}: .*{why}"):
        open_stream(address)


@pytest.fixture
def served(tmp_path):
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_file_behind_an_address_is_a_film(tmp_path, served):
    film(tmp_path / "x.mp4", thirty(1))
    source = open_stream(f"{served}/x.mp4")
    source.skip(0.5)
    frame = source.read()
    assert (frame.t_ns, round(float(frame.image.mean()) / STEP)) == (5 * 10**8, 15)
    source.close()
    (tmp_path / "page.html").write_text("<p>no video</p>" * 99)
    with pytest.raises(UserError, match="is not a video that can be read"):
        open_stream(f"{served}/page.html")
