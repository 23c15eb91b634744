"""The place of a process in a team: what is said before it joins."""

from __future__ import annotations

import socket

import pytest
from autopilot.learn.cluster import ClusterConfig


@pytest.mark.parametrize(
    ("own", "coordinator", "doubtful"),
    [
        ("127.0.1.1", "192.0.2.7:9100", True),
        ("127.0.1.1", "127.0.0.1:9100", False),
        ("192.0.2.8", "192.0.2.7:9100", False),
        ("", "192.0.2.7:9100", False),
    ],
)
def test_a_host_name_that_stands_for_the_machine_itself(
    monkeypatch: pytest.MonkeyPatch, own: str, coordinator: str, doubtful: bool
) -> None:
    real = socket.gethostbyname

    def look_up(name: str) -> str:
        if name == "kart" and not own:
            raise socket.gaierror("not known")
        return own if name == "kart" else real(name)

    monkeypatch.setattr(socket, "gethostname", lambda: "kart")
    monkeypatch.setattr(socket, "gethostbyname", look_up)
    assert ("kart stands for 127.0.1.1" in ClusterConfig(coordinator, 1, 2).hostname_warning()) is doubtful
