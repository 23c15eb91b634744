"""Races on two nodes of Ray: the same table as here. `make test-ray`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import autopilot
import pytest

if os.environ.get("AUTOPILOT_RAY") != "1":
    pytest.skip("only in make test-ray", allow_module_level=True)
ray = pytest.importorskip("ray", reason="missing: Ray")


@pytest.fixture
def nodes(site: Path) -> Iterator[None]:
    """Two nodes with a core each, which find the outside plugin."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        patch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]))
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        ray.init(address=cluster.address, log_to_driver=False)
        yield
        ray.shutdown()
        cluster.shutdown()


@pytest.mark.timeout(300)
def test_two_nodes_race_as_one_process_does(nodes: None, tmp_path: Path) -> None:
    assert len([node for node in ray.nodes() if node["Alive"]]) == 2
    home = autopilot.open(tmp_path / "home")
    asked = {"tracks": "3-5", "laps": 1, "races": 2}
    here = home.race(["demonstrator", "random"], "ribbon", **asked)
    there = home.race(["demonstrator", "random"], "ribbon", workers="ray", **asked)
    assert there.runs == here.runs
    assert len(there.runs) == 12
    home.record("demonstrator", "ribbon", track="0-1", workers="ray")
    assert [session.info.track for session in home.sessions()] == ["0", "1"]
    assert {session.info.ended for session in home.sessions()} == {"saved"}
