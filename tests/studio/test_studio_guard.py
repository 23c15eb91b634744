"""Who may ask the studio, and for what: forged requests, paths that lead out, the address and its end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from autopilot.api.errors import UserError
from autopilot.api.registry import Registry
from autopilot.sessions.home import Home
from autopilot_studio.server import Server
from support.studio import Client

A = "20260101-000000-a"
PATHS = ["/", f"/sessions/{A}", f"/sessions/{A}/frames/0.jpg", "/data", "/static/studio.js", "/nothing"]


def forged(port: int) -> list[dict[str, str | None]]:
    own = f"127.0.0.1:{port}"
    return [
        {"Host": "evil.example"},
        {"Host": f"evil.example:{port}"},
        {"Host": f"{own}.evil.example"},
        {"Host": f"evil.example@{own}"},
        {"Host": f"127.0.0.1:{port + 1}"},
        {"Host": "127.0.0.1"},
        {"Host": f"[::1]:{port}"},
        {"Host": f"0.0.0.0:{port}"},
        {"Host": None},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": f"https://{own}"},
        {"Origin": f"http://localhost:{port}"},
        {"Origin": f"http://127.0.0.1:{port + 1}"},
        {"Origin": f"http://{own}.evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Cookie": None},
        {"Cookie": f"autopilot-studio-{port}="},
        {"Cookie": f"autopilot-studio-{port}=wrong"},
        {"Cookie": f"autopilot-studio-{port}=\u00e9"},
        {"Cookie": "=;=;;\x7f"},
    ]


def test_forged_requests_are_refused_whatever_they_ask(client: Client, home: Home) -> None:
    for headers in forged(client.server.port):
        for path in PATHS:
            answer = client.ask("GET", path, headers)
            assert answer.status in (400, 403), (headers, path)
            assert b"session" not in answer.body
        for what in ("what=delete&start=0&stop=3", "what=review&verdict=rejected"):
            assert client.ask("POST", f"/sessions/{A}/edit", headers, what).status in (400, 403), headers
    assert not (home.sessions / A / "edits.json").exists()


def test_what_changes_something_is_a_post_from_the_page(client: Client, home: Home) -> None:
    for path in (f"/sessions/{A}/edit?what=delete&start=0&stop=3", f"/sessions/{A}/review?verdict=rejected"):
        assert client.ask("GET", path).status == 405
        assert client.ask("POST", path, {"Origin": None}, "what=undo").status == 403
    for method in ("PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
        assert client.ask(method, f"/sessions/{A}/edit").status == 405
    assert not (home.sessions / A / "edits.json").exists()


def test_the_token_opens_the_page_and_the_cookie_keeps_it_open(client: Client) -> None:
    plain = {"Cookie": None, "Origin": None}
    assert client.ask("GET", "/?token=wrong", plain).status == 403
    assert client.ask("GET", "/?token=" + quote("é" * 9), plain).status == 403
    assert client.ask("GET", "/data?token=" + client.server.token, plain).status == 403, "the token is for / alone"
    answer = client.ask("GET", client.server.url.partition(str(client.server.port))[2], plain)
    assert answer.status == 200
    cookie = answer.headers["set-cookie"]
    for word in ("HttpOnly", "SameSite=strict", "Path=/"):
        assert word in cookie
    again = client.ask("GET", "/", {"Cookie": cookie.partition(";")[0], "Origin": None})
    assert again.status == 200
    assert client.server.token not in again.text
    policy = again.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy


OUT = [
    "..",
    "../x",
    "../../secret.json",
    "..%2f..%2fsecret.json",
    "%2e%2e/%2e%2e/secret.json",
    "%2e%2e%2f%2e%2e%2fsecret.json",
    "..%5c..%5csecret.json",
    "....//....//secret.json",
    "%252e%252e%252fsecret.json",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "C:%5cWindows%5cwin.ini",
    "secret.json%00.mp4",
    "%c0%ae%c0%ae%2fsecret.json",
    ".",
    "~",
    "%00",
    "x" * 300,
    "a%0d%0aSet-Cookie:%20b=c",
]


def test_no_path_leads_out_of_its_folder(client: Client, home: Home) -> None:
    (home.root / "secret.json").write_text('{"secret": "do not show"}')
    (home.races / "secret.json").write_text('{"secret": "do not show"}')
    (home.races / "cup" / "link.mp4").symlink_to(home.root / "secret.json")
    places = [
        "/sessions/{}",
        "/sessions/{}/rows.json",
        "/sessions/{}/strip.jpg",
        "/sessions/{}/frames/0.png",
        f"/sessions/{A}/frames/" + "{}",
        "/policy/{}/" + A + "/scores.json",
        "/policy/net/{}/scores.json",
        "/policy/{}/" + A + "/saliency/0.png",
        "/runs/{}/labels.png",
        "/runs?run={}",
        "/races/{}",
        "/races/{}/films/human-7-1.mp4",
        "/races/cup/films/{}",
        "/static/{}",
        "/{}",
    ]
    for place in places:
        for path in [*OUT, "link.mp4", "race.json"]:
            answer = client.ask("GET", place.format(path))
            assert b"do not show" not in answer.body, (place, path)
            assert b"root:" not in answer.body
            assert answer.status in (200, 400, 404), (place, path, answer.status)
            assert "set-cookie" not in answer.headers
            if answer.status == 200:
                assert place == "/runs?run={}" or path == ".", (place, path)
    for id in ["..", "../x", "%2e%2e", "x/y"]:
        for what in ("what=delete&start=0&stop=1", "what=split&start=3"):
            assert client.ask("POST", f"/sessions/{id}/edit", None, what).status in (400, 404, 405)
    assert client.ask("GET", "/races/cup/films/human-7-1.mp4").status == 200, "the film itself is shown"


def test_odd_input_is_refused_in_words(client: Client) -> None:
    for fields in (
        {"what": "purge"},
        {"what": "delete"},
        {"what": "delete", "start": "-1", "stop": "3"},
        {"what": "delete", "start": "3", "stop": "3"},
        {"what": "delete", "start": "0", "stop": "9" * 30},
        {"what": "relabel", "start": "0", "stop": "3", "label": "99"},
        {"what": "relabel", "start": "0", "stop": "3", "label": "x"},
        {"what": "split", "start": "0"},
        {"what": "undo"},
        {"what": "review", "verdict": "great"},
    ):
        answer = client.post(f"/sessions/{A}/edit", **fields)
        assert answer.status == 400, fields
        assert "\n" not in answer.text.strip()
        assert "Traceback" not in answer.text
    assert client.ask("POST", f"/sessions/{A}/edit", None, "what=" + "x" * 70_000).status == 413
    assert client.ask("GET", f"/sessions/{A}/frames/999.jpg").status == 400
    assert client.ask("GET", f"/sessions/{A}/frames/0.gif").status == 404
    assert client.ask("GET", "/?page=" + "9" * 500).status == 400
    assert client.ask("GET", "/?page=9999").status == 200
    page = client.ask("GET", "/sessions/nothing", {"Accept": "text/html"})
    assert page.status == 400
    assert "no session" in page.text


def test_names_from_outside_are_shown_as_text(client: Client, home: Home) -> None:
    info = json.loads((home.sessions / A / "session.json").read_text())
    info["driver"] = "<script>alert(1)</script>"
    (home.sessions / A / "session.json").write_text(json.dumps(info))
    for path in ("/", f"/sessions/{A}", "/data", "/races/cup"):
        text = client.get(path).text
        assert "<script>alert" not in text
        assert "Car <Racing>" not in text
    assert "&lt;script&gt;alert" in client.get("/").text


def test_a_taken_port_is_an_error_in_words(home: Home, registry: Registry) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UserError, match="choose another --port"):
            Server(home, registry, taken.getsockname()[1])


def test_the_command_prints_its_address_listens_on_this_machine_alone_and_ends_with_ctrl_c(home: Home) -> None:
    command = [sys.executable, "-m", "autopilot", "studio", "--no-browser", "--json", "--home", str(home.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        url = json.loads("".join(lines))["url"]
        port = int(url.removeprefix("http://127.0.0.1:").partition("/")[0])
        with urlopen(url, timeout=60) as welcome:
            assert welcome.status == 200
        listening = [
            line.split()[1]
            for table in ("tcp", "tcp6")
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
            if line.split()[3] == "0A" and line.split()[1].endswith(f":{port:04X}")
        ]
        assert listening == [f"0100007F:{port:04X}"]
        os.kill(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "")
