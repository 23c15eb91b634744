"""Bundles in packs: a trained network, sent and received."""

from __future__ import annotations

from pathlib import Path

from autopilot.api import BundleError
from autopilot.bundle.manifest import Manifest, read_manifest, read_weights
from autopilot.bundle.preprocess import Preprocess
from autopilot.sessions.home import write_json

from autopilot_sharing.cards import read_card
from autopilot_sharing.checks import LABELS, check_texts
from autopilot_sharing.form import ABOUT, CARD, WEIGHTS, check_id
from autopilot_sharing.pack import writing

_HZ, _PIXELS = 1000, 1 << 20


def pack_bundle(folder: Path, path: Path, force: bool = False) -> None:
    """Write the bundle in `folder` into the file `path`, which appears whole or not at all.

    Raises BundleError for one that is damaged or not there, UserError as `new_output` does.
    """
    check_id(folder.name, "bundle")
    manifest, card = _read(folder), read_card(folder)
    with writing(path, force) as writer:
        writer.add(folder.name, ABOUT, manifest.model_dump_json(indent=2, exclude_defaults=True).encode())
        writer.add(folder.name, WEIGHTS, (folder / WEIGHTS).read_bytes())
        if card is not None:
            writer.add(folder.name, CARD, card.model_dump_json(indent=2).encode())


def _read(folder: Path) -> Manifest:
    """Return the manifest of a bundle whose weights can be read."""
    manifest = read_manifest(folder)
    read_weights(folder, manifest)
    return manifest


class ComeBundle:
    """A bundle that came; see `Come`."""

    def __init__(self, folder: Path) -> None:
        """Check it, and write what was understood of its manifest; raises BundleError, or another UserError."""
        self._folder, self._manifest = folder, _read(folder)
        m, size = self._manifest, Preprocess.from_json(self._manifest.preprocess).size
        names = {**m.label_maps, **m.versions}
        check_texts([*names, *names.values(), m.model, *m.sessions], ABOUT)
        if m.hz > _HZ or m.space.joint_size > LABELS or size[0] * size[1] > _PIXELS:
            raise BundleError(f"{m.hz:g} Hz, {m.space.joint_size} labels or pictures of {size} are too much")
        if (card := read_card(folder)) is not None:
            card.save(folder / CARD)
        self.call(m.name)

    def known(self, target: Path) -> bool | None:
        """See `Come`; bundles have no review."""
        mine, theirs = (m.model_dump(exclude={"name"}) for m in (self._manifest, _read(target)))
        return False if mine == theirs else None

    def call(self, id: str) -> None:
        """See `Come`."""
        named = self._manifest.model_copy(update={"name": id})
        write_json(self._folder / ABOUT, named.model_dump(exclude_defaults=True))
