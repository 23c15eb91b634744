"""A game by name: what its plugin says of tracks, modes, label maps and scripted drivers, each word checked."""

from __future__ import annotations

import re
from typing import Any

from autopilot.api.errors import PluginError, UserError, suggest
from autopilot.api.interfaces import LabelMap
from autopilot.api.labels import check_label_map
from autopilot.api.registry import Registry
from autopilot.api.specs import GameSpec, Reference

_OWN_MODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Game:
    """A game that some plugin provides. Raises PluginError for a name that none has.

    A `mode` in which it is another game, with a label map and races of its own, is provided as a game: mode `M` of `G`
    as `G-M`.
    """

    def __init__(self, registry: Registry, name: str, mode: str | None = None) -> None:
        self.registry = registry
        if mode and f"{name}-{mode}" in (spec.name for _, spec in registry.provided("game")):
            name = f"{name}-{mode}"
        self.plugin, spec = registry.find("game", name)
        self.spec: GameSpec = spec
        self._name = name

    def load(self, target: str, returns: Any = Any) -> Any:
        """Import what a string of its descriptor names, as `Registry.load` does."""
        return self.registry.load("game", self._name, target, returns)

    def label_map(self, name: str | None = None) -> LabelMap:
        """Return a label map of this game, by default the game's own.

        Raises as `label_map_name`, and PluginError for one that loses actions or speaks of other controls.
        """
        wanted = self.label_map_name(name)
        plugin, spec = self.registry.find("label map", wanted)
        made: LabelMap = self.registry.load("label map", wanted, spec.make, LabelMap)(**spec.config)
        try:
            check_label_map(made, self.spec.controls)
        except ValueError as e:
            raise PluginError(f"{plugin.dist}: label map {spec.name!r}: {e}") from e
        return made

    def label_map_name(self, name: str | None = None) -> str:
        """Return the full name of a label map: of a game `g`, `slide` is short for `g-slide`.

        Raises PluginError for an unknown name, UserError for another game's label map.
        """
        wanted = name or self.spec.label_map
        mine = {spec.name for _, spec in self.registry.provided("label map") if self.spec.name in spec.games}
        if wanted not in mine and f"{self.spec.name}-{wanted}" in mine:
            return f"{self.spec.name}-{wanted}"
        spec = self.registry.get("label map", wanted)
        if self.spec.name not in spec.games:
            raise UserError(f"label map {wanted!r} belongs to {' and '.join(spec.games)}, not {self.spec.name}")
        return wanted

    def reference(self, name: str, track: str, laps: int) -> Reference | None:
        """Return the published race of that name on a track, if there is one with this number of laps."""
        found: Reference | None = self.load(self.spec.race.references[name], Reference | None)(track, laps)
        return found

    def tracks(self, given: str | None) -> list[str]:
        """Return the tracks that `a,b` or, where tracks are numbers, `0-4,7` names.

        Raises UserError for one that the game does not have.
        """
        if given is None:
            return [next(iter(self.spec.tracks.names), "0")]
        found = [track for part in given.split(",") if part.strip() for track in self._span(part.strip())]
        if not found:
            raise UserError(f"no track in {given!r}: {self._track_help()}")
        return found

    def _span(self, part: str) -> list[str]:
        span = re.fullmatch(r"(\d+)-(\d+)", part)
        if span is None or not self.spec.tracks.pattern or int(span[1]) > int(span[2]):
            return [self._track(part)]
        if int(span[2]) - int(span[1]) >= 10_000:
            raise UserError(f"tracks {part}: at most 10,000 at once")
        return [self._track(str(n)) for n in range(int(span[1]), int(span[2]) + 1)]

    def _track(self, name: str) -> str:
        key, tracks = name.casefold(), self.spec.tracks
        names = {t.casefold(): t for t in tracks.names or ("0",)}
        names |= {alias.casefold(): track for alias, track in tracks.aliases.items()}
        if key in names:
            return names[key]
        if tracks.pattern and re.fullmatch(tracks.pattern, name):
            return name
        raise UserError(f"{self.spec.name} has no track {name!r}: {suggest(key, names, self._track_help())}")

    def _track_help(self) -> str:
        return self.spec.tracks.help or "there are: " + ", ".join(self.spec.tracks.names or ("0",))

    def mode(self, given: str | None) -> str:
        """Return a mode of this game by its letter or name, or the user's own; the first one by default."""
        modes = {letter: words for letter, words in self.spec.modes.items() if letter != "*"}
        if given is None or self.spec.name.endswith(f"-{given}"):  # a mode that is this game
            return next(iter(modes))
        for letter, words in modes.items():
            if given.casefold() in (letter.casefold(), words.casefold(), words.partition(":")[0].casefold()):
                return letter
        if "*" in self.spec.modes and _OWN_MODE.fullmatch(given):
            return given
        known = ", ".join(f"{k} ({v})" for k, v in modes.items())
        raise UserError(f"{self.spec.name} has no mode {given!r}: there are {known}")

    def laps(self, given: int | None) -> int:
        """Return over how many laps a race is driven: 3 unless one says otherwise, 0 where the game has none.

        Raises UserError where one says otherwise of such a game.
        """
        if given and self.spec.race.scored:
            raise UserError(f"{self.spec.name} has no laps, its races are scored: leave out --laps")
        return 0 if self.spec.race.scored else 3 if given is None else given

    @property
    def demonstrators(self) -> dict[str, str]:
        """The game's scripted drivers, each with its label map."""
        return dict(self.spec.simulator.demonstrators) if self.spec.simulator else {}

    def check_demonstrator(self, name: str) -> None:
        """Raise UserError when `name` is a demonstrator's that the game does not ship."""
        if name.partition("-")[0] == "demonstrator" and name not in self.demonstrators:
            known = ", ".join(self.demonstrators)
            raise UserError(f"{self.spec.name} ships no {name}" + (f": there are {known}" if known else ""))
