"""A training on several machines: one process on each, joined by JAX's own distributed runtime."""

from __future__ import annotations

import hashlib
import json
import math
import multiprocessing
import os
import signal
import socket
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from numpy.typing import NDArray

from autopilot.api.errors import AutopilotError, UserError
from autopilot.api.files import patiently
from autopilot.learn.devices import WHOLE, spread
from autopilot.learn.options import Invocation, TrainListener, TrainOptions
from autopilot.sessions.home import Home

if TYPE_CHECKING:
    from autopilot.learn.train import TrainResult

GONE_S = 15
"""A machine that was silent for so long is taken for dead, in seconds."""


@dataclass(frozen=True)
class ClusterConfig:
    """Which of the `processes` of a training this one is; number 0 listens on `coordinator`, HOST:PORT."""

    coordinator: str
    process: int
    processes: int
    wait_s: float = 60

    def check(self) -> None:
        """Raise UserError for a place that cannot be."""
        host, _, port = self.coordinator.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise UserError(f"--coordinator {self.coordinator!r}: give HOST:PORT of the machine that is --process 0")
        if not 0 <= self.process < self.processes:
            raise UserError(f"--process {self.process} of --processes {self.processes}: they are counted from 0")
        try:
            family, *_, address = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
            if self.process == 0:  # JAX would share the port with another process 0, and both would wait
                socket.create_server(address[:2], family=family).close()
        except (OSError, UnicodeError) as e:  # the second, for a name that cannot be one
            why = str(getattr(e, "strerror", None) or e).partition(" (")[0]
            raise UserError(
                f"--coordinator {self.coordinator}: {why}: give an address of the machine that is --process 0, "
                "and a port that is free there"
            ) from e

    def hostname_warning(self) -> str:
        """Return what will probably go wrong, in words, or nothing.

        On CPUs each process tells the others the address that its own host name stands for.
        """
        name = socket.gethostname()
        with suppress(OSError, UnicodeError):
            own, host = (socket.gethostbyname(n) for n in (name, self.coordinator.rpartition(":")[0]))
            if own.startswith("127.") and not host.startswith("127."):
                return (
                    f"the host name {name} stands for {own}, which no other machine can reach: if the training "
                    "does not begin, let it stand for this machine's address, in /etc/hosts"
                )
        return ""


class ProcessGroup:
    """The processes of this training as one of them sees them; usually there is one.

    Its sums run on the mesh of the training: `jax.experimental.multihost_utils` wants as many devices in each process,
    and machines have more or fewer cores.
    """

    def __init__(self, mesh: Mesh) -> None:
        self.number, self.size = jax.process_index(), jax.process_count()
        self.leads = self.number == 0
        self._mesh = mesh
        self._sum = jax.jit(partial(jnp.sum, axis=0, promote_integers=False), out_shardings=NamedSharding(mesh, WHOLE))

    def total(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return the sum over the processes; all must call this, with arrays of one shape and type."""
        rows = np.zeros((self._mesh.size // self.size, *array.shape), array.dtype)
        rows[0] = array
        return np.asarray(self._sum(spread(rows, self._mesh)))

    def any(self, flag: bool) -> bool:
        """Return whether the flag is up in one process at least."""
        return flag if self.size == 1 else bool(self.total(np.array([flag], np.int32))[0])

    def share(self, data: bytes) -> bytes:
        """Return the leader's bytes."""
        if self.size == 1:
            return data
        length = int(self.total(np.array([len(data) if self.leads else 0]))[0])
        mine = np.frombuffer(data, np.uint8) if self.leads else np.zeros(length, np.uint8)
        return self.total(mine).tobytes()

    def agree(self, what: Mapping[str, Any]) -> None:
        """Raise UserError, in every process, unless all came with the same plain data."""
        if self.size == 1:
            return
        digests = [hashlib.sha256(json.dumps(what[key]).encode()).digest() for key in sorted(what)]
        table = np.zeros((self.size, len(what), 32), np.uint8)
        table[self.number] = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32)
        table = self.total(table)
        differ = [key.replace("_", "-") for i, key in enumerate(sorted(what)) if (table[:, i] != table[0, i]).any()]
        if differ:
            jax.distributed.shutdown()  # waits for all, so that each can say so
            raise UserError(
                f"the machines differ in {' and '.join(differ)}: give all the same options, sessions and versions"
            )


def train_in_cluster(
    cluster: ClusterConfig, safe_mode: bool, home: Home, options: TrainOptions, how: Invocation, listener: TrainListener
) -> TrainResult:
    """Train as one process of a cluster; return what `train` returns.

    It runs in a process of its own, because JAX's runtime ends the process when another machine is
    gone. Raises what it raised, UserError when the cluster did not come together within
    `cluster.wait_s`, AutopilotError when one is gone. Ctrl-C stops the whole cluster.
    """
    cluster.check()
    if warning := cluster.hostname_warning():
        listener.say(warning)
    how = replace(how, processes=cluster.processes)
    member = _Member(cluster, (safe_mode, home, options, how))
    with on_ctrl_c(member.stop):
        what, rest = member.listen(listener)
    if what in ("stopped", "gone") and (what == "stopped" or member.asked):
        patiently(member.log.unlink)
        raise KeyboardInterrupt
    if what == "gone":
        raise member.loss()
    patiently(member.log.unlink)
    if what == "failed":
        raise rest[0]
    result: TrainResult = rest[0]
    return result


class _Member:
    """The process that trains, as its parent sees it; its output goes to `log`."""

    def __init__(self, cluster: ClusterConfig, arguments: tuple[Any, ...]) -> None:
        context = multiprocessing.get_context("spawn")
        self._cluster, (self._ours, its) = cluster, context.Pipe()
        handle, log = tempfile.mkstemp(prefix="autopilot-", suffix=".log")
        os.close(handle)
        self.log = Path(log)
        self._process = context.Process(target=_train_as_member, args=(its, cluster, arguments, log))
        self._process.start()
        its.close()
        self._joined, self.asked = False, 0

    def stop(self, number: int, frame: Any) -> None:
        """Ask it to stop, as Ctrl-C does; end it when it is asked again, or has not joined the others yet."""
        self.asked += 1
        if self._joined and self.asked == 1:
            _send(self._ours, "stop")
        else:
            self._process.kill()

    def listen(self, listener: TrainListener) -> tuple[str, list[Any]]:
        """Pass on what it says until it ends; return its last word, `gone` for none, and what came with that."""
        hears: dict[str, Callable[..., object]] = {"progress": listener.progress, "say": listener.say}
        hears["joined"] = self._note_joined
        what, rest = "gone", []
        with suppress(EOFError, OSError):
            while True:
                what, *rest = self._ours.recv()
                if what not in hears:
                    break
                hears[what](*rest)
                what = "gone"
        self._ours.close()
        self._process.join()
        return what, rest

    def _note_joined(self) -> None:
        self._joined = True

    def loss(self) -> AutopilotError:
        """Return what to say of a process that ended without a word."""
        cluster = self._cluster
        if not self._joined:
            return UserError(
                f"could not join {cluster.coordinator} as --process {cluster.process} of {cluster.processes} within "
                f"{cluster.wait_s:g} s: start all processes, each with a number of its own, and "
                f"look for a firewall in between ({self.log})"
            )
        why = "another process of this training ended or cannot be reached: see there"
        if self._process.exitcode == -9:
            why = "this process was killed, perhaps for want of memory"
        return AutopilotError(f"{why}; the same commands go on from the last checkpoint ({self.log})")


def _train_as_member(
    connection: Connection, cluster: ClusterConfig, arguments: tuple[bool, Home, TrainOptions, Invocation], log: str
) -> None:
    """Join the cluster, train, and say how it went; where it went wrong, end at once: others will notice."""
    from autopilot.api.registry import Registry
    from autopilot.learn.train import train

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # our parent has it, and asks us
    output = os.open(log, os.O_WRONLY | os.O_APPEND)
    for number in (1, 2):  # JAX's runtime writes pages of its own
        os.dup2(output, number)
    asked, joined = threading.Event(), threading.Event()
    threading.Thread(target=_listen, args=(connection, asked, joined), daemon=True).start()
    try:
        jax.distributed.initialize(
            cluster.coordinator,
            cluster.processes,
            cluster.process,
            coordinator_bind_address=cluster.coordinator,
            cluster_detection_method="deactivate",
            initialization_timeout=math.ceil(cluster.wait_s),
            heartbeat_timeout_seconds=GONE_S,
        )
        joined.set()
        _send(connection, "joined")
        safe_mode, home, options, how = arguments
        told = TrainListener(partial(_send, connection, "progress"), partial(_send, connection, "say"), asked.is_set)
        result = train(Registry(safe_mode, home=lambda: home.root), home, options, how, told)
        jax.distributed.shutdown()
        _send(connection, "done", result)
    except KeyboardInterrupt:  # in all processes, after the same step
        jax.distributed.shutdown()
        _send(connection, "stopped")
    except AutopilotError as e:
        _send(connection, "failed", type(e)(str(e)))
        os._exit(1)
    except Exception:  # noqa: BLE001  # mostly a network's, since the runtime notices a loss there first
        traceback.print_exc()
        os._exit(1)


def _listen(connection: Connection, asked: threading.Event, joined: threading.Event) -> None:
    """Take the parent's wish to stop, or its end, as the same wish."""
    with suppress(EOFError, OSError):
        connection.recv()
    asked.set()
    if not joined.is_set():
        os._exit(1)


def _send(connection: Connection, *message: Any) -> None:
    with suppress(OSError):  # whoever listened is gone, which `_listen` notices
        connection.send(message)


@contextmanager
def on_ctrl_c(do: Callable[[int, Any], None]) -> Iterator[None]:
    """Call `do(signal number, stack frame)` when Ctrl-C is pressed; for the main thread."""
    before = signal.signal(signal.SIGINT, do)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
