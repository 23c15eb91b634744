"""Bundles: weights as safetensors and a manifest as JSON. Loading one runs no code."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from autopilot.api.errors import BundleError
from autopilot.api.files import patiently
from autopilot.api.types import ActionSpace
from autopilot.bundle.selector import Kind
from autopilot.sessions.home import put_in_place, read_json, sync_folder, write_atomic, write_json

FORMAT = 1
MANIFEST, WEIGHTS, CARD = "manifest.json", "weights.safetensors", "card.json"


class Manifest(BaseModel):
    """What a bundle says of itself; all that driving needs to know besides the weights.

    `frames` is how many successive frames its network sees at a time, None where it sees one and knows no windows.
    `select` and `temperature` are how its actions are selected where nobody says otherwise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    name: str
    game: str
    label_map: str
    games: dict[str, str] = {}
    """Further games that it was trained on, each with its label map."""
    model: str
    config: dict[str, Any]
    action_space: list[dict[str, Any]]
    preprocess: dict[str, Any]
    hz: float = Field(gt=0, allow_inf_nan=False)
    sessions: list[str]
    options: dict[str, Any]
    metrics: dict[str, Any]
    versions: dict[str, str]
    weights_sha256: str
    frames: int | None = Field(default=None, ge=1)
    select: Kind = "weighted"
    temperature: float = Field(default=1.0, ge=0, allow_inf_nan=False)

    @property
    def label_maps(self) -> dict[str, str]:
        """The games that it drives, each with its label map."""
        return {self.game: self.label_map, **self.games}

    @property
    def space(self) -> ActionSpace:
        """The action space as an object; raises BundleError when it makes no sense."""
        try:
            return ActionSpace.from_json(self.action_space)
        except ValueError as e:
            raise BundleError(f"bundle {self.name}: {e}") from e


def save_bundle(folder: Path, manifest: dict[str, Any], weights: dict[str, NDArray[Any]]) -> None:
    """Write a bundle into `folder`, replacing one that is there only when all is written.

    The same manifest and weights give the same bytes. Raises BundleError for weights that are not finite.
    """
    from safetensors.numpy import save

    _check_finite(folder, weights)
    folder.parent.mkdir(parents=True, exist_ok=True)
    part, old = (folder.with_name(f".{folder.name}.{end}") for end in ("part", "old"))
    for left in (part, old):
        shutil.rmtree(left, ignore_errors=True)
    part.mkdir()
    data = save({name: np.asarray(weights[name], order="C") for name in sorted(weights)})
    write_atomic(part / WEIGHTS, data)
    digest = hashlib.sha256(data).hexdigest()
    checked = Manifest(format=FORMAT, weights_sha256=digest, **manifest)
    write_json(part / MANIFEST, checked.model_dump(exclude_defaults=True))
    put_in_place(part, folder, old)
    sync_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def read_manifest(folder: Path) -> Manifest:
    """Return a bundle's manifest.

    Raises BundleError when there is no bundle, it is damaged, or a newer autopilot made it.
    """
    path = folder / MANIFEST
    try:
        data = read_json(patiently(path.read_bytes))
    except FileNotFoundError:
        raise BundleError(_missing(folder)) from None
    except (OSError, ValueError) as e:
        raise BundleError(f"bundle {folder.name}: {MANIFEST} cannot be read: {e}") from e
    its = data.get("format") if isinstance(data, dict) else None
    if isinstance(its, int) and its > FORMAT:
        raise BundleError(
            f"bundle {folder.name} was made by a newer autopilot (format {its}; this one reads "
            f"{FORMAT}): upgrade autopilot"
        )
    try:
        return Manifest.model_validate(data).model_copy(update={"name": folder.name})  # whatever it was called once
    except ValidationError as e:
        first = e.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BundleError(f"bundle {folder.name}: {MANIFEST}: {where!a:.80}: {first['msg']}") from e


def read_weights(folder: Path, manifest: Manifest) -> dict[str, NDArray[Any]]:
    """Return a bundle's weights, those stored as float16 as float32.

    Raises BundleError when they are damaged, missing or not finite.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        data = (folder / WEIGHTS).read_bytes()
    except OSError as e:
        raise BundleError(f"bundle {folder.name}: {WEIGHTS} cannot be read: {e}") from e
    if hashlib.sha256(data).hexdigest() != manifest.weights_sha256:
        raise BundleError(f"bundle {folder.name}: {WEIGHTS} is damaged: copy or train it again")
    try:
        weights: dict[str, NDArray[Any]] = load(data)
    except (SafetensorError, KeyError, ValueError) as e:  # the latter for types and sizes that NumPy lacks
        raise BundleError(f"bundle {folder.name}: {WEIGHTS} cannot be read: {e}") from e
    _check_finite(folder, weights)
    return {name: a.astype(np.float32) if a.dtype == np.float16 else a for name, a in weights.items()}


def _check_finite(folder: Path, weights: dict[str, NDArray[Any]]) -> None:
    for name, array in weights.items():
        if not np.isfinite(array).all():
            raise BundleError(
                f"bundle {folder.name}: the weights {name!r:.80} are not all finite numbers: train it again"
            )


def _missing(folder: Path) -> str:
    bundles = folder.parent
    known = sorted(p.parent.name for p in bundles.glob(f"*/{MANIFEST}")) if bundles.is_dir() else []
    there = f"there are: {', '.join(known)}" if known else "train one with `autopilot train`"
    return f"no bundle {folder.name!r} in {bundles}: {there}"
