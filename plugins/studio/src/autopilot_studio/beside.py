"""What a policy says of a session's frames, and which pixels it looks at."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from autopilot.api import AutopilotError, BundleError, Registry
from autopilot.sessions.home import Home
from autopilot.sessions.session import Session

if TYPE_CHECKING:
    from autopilot.api import Image
    from autopilot.learn.policy import Policy
    from numpy.typing import NDArray

KEPT = 8
"""So many results are kept in memory."""


@dataclass
class Scores:
    """The probabilities of one policy on one session, while they are computed and after.

    `axes[a]` is float32 (N, values), of which the first `done` rows of the session's index are filled in.
    """

    total: int
    axes: list[NDArray[np.float32]]
    done: int = 0
    error: str = ""
    ended: threading.Event = field(default_factory=threading.Event)


class Beside:
    """Policies beside the human, computed one after another in the background. JAX is imported with the first."""

    def __init__(self, home: Home, registry: Registry) -> None:
        self._home, self._registry = home, registry
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="policy")
        self._scores: OrderedDict[str, Scores] = OrderedDict()
        self._lock = threading.Lock()
        self._load = lru_cache(2)(self._read)
        self._closing = threading.Event()

    def names(self) -> list[str]:
        """Return the names of all bundles, the newest first."""
        return self._home.bundle_names()

    def close(self) -> None:
        """Give up what is being computed: the studio ends."""
        self._closing.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def scores(self, bundle: str, session: Session) -> Scores:
        """Return the probabilities as far as they are computed; the first question starts that.

        Raises BundleError for a bundle that there is not, or that does not fit the session.
        """
        folder = self._home.bundle(bundle)
        stamp = _stamp(folder)
        key = f"{bundle} {stamp} {session.path.name} {session.fingerprint()}"
        with self._lock:
            if key not in self._scores:
                from autopilot.bundle.manifest import read_manifest

                manifest, info = read_manifest(folder), session.info
                size = tuple(manifest.preprocess.get("source", ()))
                if manifest.space != session.action_space or size != (info.width, info.height):
                    raise BundleError(
                        f"bundle {bundle} decides on [{manifest.space}] from {'x'.join(map(str, size))} frames; "
                        f"{info.id} has [{session.action_space}] and {info.width}x{info.height}"
                    )
                n = len(session.index)
                made = Scores(n, [np.zeros((n, size), np.float32) for size in manifest.space.sizes])
                self._scores[key] = made
                while len(self._scores) > KEPT:
                    self._scores.popitem(last=False)
                self._pool.submit(self._compute, made, bundle, stamp, session)
            self._scores.move_to_end(key)
            return self._scores[key]

    def saliency(self, bundle: str, session: Session, n: int) -> Image:
        """Return where the policy looks in a frame: uint8 RGBA (H, W, 4) to lay over it.

        That is the gradient of the log probability of its choice by the pixels of the preprocessed frame (Simonyan
        et al. 2013, arXiv:1312.6034), its absolute value summed over the colours and blurred a little. A policy
        that knows earlier frames is shown as many as in training.
        """
        policy, gradient = self._load(bundle, _stamp(self._home.bundle(bundle)))
        stream, index, image = policy.stream(), session.index, session.row(n).frame.image
        at = int(np.searchsorted(index.index, n))
        before = min(policy.frames - 1, int(index.since_cut(session.info.hz)[at]))
        for number in index.index[at - before : at].tolist():
            stream.probabilities(policy.preprocess(session.row(number).frame.image))
        seen, *carry = stream.inputs(policy.preprocess(image))
        found = np.asarray(gradient(policy.weights, seen.astype(np.float32), *carry))
        return heat(found.reshape(-1, *found.shape[-3:])[-1], image.shape)

    def _read(self, bundle: str, stamp: str) -> tuple[Policy, Any]:
        import jax
        import jax.numpy as jnp
        from autopilot.learn.policy import Policy

        policy = Policy.load(self._home.bundle(bundle), self._registry)

        def choice(weights: Any, *inputs: Any) -> Any:
            axes = policy.function(weights, *inputs)[: len(policy.manifest.action_space)]
            return sum(jnp.log(p.max()) for p in axes)

        return policy, jax.jit(jax.grad(choice, 1))

    def _compute(self, scores: Scores, bundle: str, stamp: str, session: Session) -> None:
        try:
            policy, _ = self._load(bundle, stamp)
            stream, since_cut = policy.stream(), session.index.since_cut(session.info.hz)
            for row in session.rows(include_deleted=True):
                if self._closing.is_set():
                    return
                if since_cut[scores.done] == 0:
                    stream.reset()
                found = stream.probabilities(policy.preprocess(row.frame.image))
                for axis, p in zip(scores.axes, found, strict=True):
                    axis[scores.done] = p
                scores.done += 1
        except (AutopilotError, OSError, ValueError, IndexError) as e:  # the last two: it changed meanwhile
            scores.error = str(e)
        finally:
            scores.ended.set()


def heat(gradient: NDArray[np.float32], shape: tuple[int, ...]) -> Image:
    """Return a gradient (h, w, 3) as uint8 RGBA of `shape`'s height and width: orange where it is large."""
    import cv2

    strength = cv2.GaussianBlur(np.abs(gradient).sum(-1), (0, 0), 2)
    strength = cv2.resize(strength, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    strength = np.clip(strength / max(float(np.quantile(strength, 0.995)), 1e-12), 0, 1)
    made = np.zeros((*shape[:2], 4), np.uint8)
    made[..., 0] = 255
    made[..., 1] = 220 * strength**2
    made[..., 3] = 215 * strength
    return made


def _stamp(folder: Any) -> str:
    try:
        return str((folder / "manifest.json").stat().st_mtime_ns)
    except OSError:
        return ""
