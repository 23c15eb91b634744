"""Cards: what a ready-trained bundle says of itself to people, as JSON beside it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from autopilot.api import BundleError
from autopilot.bundle.manifest import CARD, read_manifest, read_weights
from autopilot.sessions.home import Home, new_output, read_json, write_json
from autopilot.sessions.store import SessionStore
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

FORMAT = 1
CARD_LIMIT = 1 << 16
"""Bytes that a card may have at most."""


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has characters that are no text")
    return text


Text = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_printable)]
Count = Annotated[int, Field(ge=0, le=1 << 31)]
Number = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]


class Row(BaseModel):
    """A driver's row of the race table, as `race.json` summarises it; `runs` are its races."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    driver: Text
    finished: Count
    runs: Count
    median_lap_s: Number | None
    lap_ratio: Number | None
    incident_laps: Count
    mean_score: Number | None
    score_ratio: Number | None


class Card(BaseModel):
    """What people want to know before they use a bundle.

    `trained_on` says which tracks, `minutes` of game time of which kind of `data`; `recipe` are the commands that made
    it; `race` is the one that makes `table` again, in a home without other bundles.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = Field(default=FORMAT, ge=1, le=FORMAT)
    title: Text
    game: Text
    trained_on: Text
    minutes: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
    data: Text
    recipe: Annotated[tuple[Text, ...], Field(max_length=50)]
    race: Text
    table: Annotated[tuple[Row, ...], Field(max_length=50)] = ()
    licence: Text

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        write_json(path, self.model_dump(mode="json"))


def read_card(folder: Path) -> Card | None:
    """Return a bundle's card, None if it has none; raises BundleError for one that makes no sense."""
    path = folder / CARD
    try:
        if not os.path.lexists(path):
            return None
        if not path.is_file() or path.stat().st_size > CARD_LIMIT:
            raise BundleError(f"bundle {folder.name}: {CARD} is no file of {CARD_LIMIT} bytes or fewer")
        card = Card.model_validate(read_json(path.read_bytes()))
    except ValidationError as e:
        first = e.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BundleError(f"bundle {folder.name}: {CARD}: {where!a:.80}: {first['msg']}") from e
    except (OSError, ValueError) as e:
        raise BundleError(f"bundle {folder.name}: {CARD} cannot be read: {e}") from e
    games = read_manifest(folder).label_maps
    if card.game not in games:
        raise BundleError(f"bundle {folder.name}: {CARD} is for {card.game}, the bundle for {' and '.join(games)}")
    return card


def rows(race: Path) -> tuple[Row, ...]:
    """Return the table of a `race.json`; raises BundleError for another file."""
    try:
        summary: list[dict[str, Any]] = read_json(race.read_bytes())["summary"]
        return tuple(Row(**{name: row[name] for name in Row.model_fields}) for row in summary)
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise BundleError(f"{race} is no race.json that `autopilot race` wrote: {e!r:.100}") from e


def card_from(about: Path, bundle: Path, home: Home, table: tuple[Row, ...]) -> Card:
    """Return a card of what the file `about` says, the minutes that the bundle learned from, and the race table.

    Raises BundleError for a file that says too much or too little, SessionError for sessions that are gone.
    """
    store = SessionStore.of(home)
    sessions = [store.open(id) for id in read_manifest(bundle).sessions]
    minutes = sum(len(session) / session.info.hz for session in sessions) / 60
    try:
        said = read_json(about.read_bytes())
        return Card.model_validate({**said, "minutes": round(minutes, 1), "table": table})
    except (OSError, TypeError, ValueError) as e:
        raise BundleError(f"{about} is no card: {e!s:.200}") from e


def publish(bundle: Path, into: Path, card: Card, force: bool = False) -> Path:
    """Write a bundle with float16 weights and its card as a folder in `into`; return that.

    Raises BundleError for weights that float16 cannot hold, UserError as `new_output` does.
    """
    import numpy as np
    from autopilot.bundle.manifest import MANIFEST, WEIGHTS, save_bundle

    manifest = read_manifest(bundle)
    weights = {name: array.astype(np.float16) for name, array in read_weights(bundle, manifest).items()}
    target = into / bundle.name
    with new_output(target, force, holds=(MANIFEST, WEIGHTS, CARD)) as part:
        save_bundle(part, manifest.model_dump(exclude={"format", "weights_sha256"}), weights)
        card.save(part / CARD)
    return target
