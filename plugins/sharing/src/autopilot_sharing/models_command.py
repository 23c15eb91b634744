"""`autopilot models`: the bundles there are, those that plugins bring, and who is the fastest."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from autopilot.api import BundleError, UserError
from autopilot.commands import App, GroupedCommand, common, examples, force_option

if TYPE_CHECKING:
    from autopilot_sharing.cards import Card, Row


@click.group()
def command() -> None:
    """List, show, install and compare bundles: yours, and ready-trained ones that plugins bring.

    \b
    Examples:
      autopilot models list
      autopilot models show carracing-nvidia
      autopilot models install anna.pack
      autopilot models board --game carracing
    """


@command.command("list", cls=GroupedCommand, epilog=examples("autopilot models list --game carracing"))
@click.option("--game", metavar="NAME", help="Only those that drive this game.")
@common
def list_command(app: App, game: str | None) -> None:
    """List all bundles, yours and ready-trained ones."""
    from autopilot.bundle.manifest import read_manifest
    from autopilot.commands import ui
    from autopilot.commands.zoo import ready_trained

    own = {name: app.home.bundle(name) for name in app.home.bundle_names()}
    offered = ready_trained(app)
    found: list[dict[str, Any]] = []
    for name, folder in {**offered, **own}.items():
        try:
            manifest, card = read_manifest(folder), _card(folder)
        except BundleError as e:
            ui.say(str(e))
            continue
        if game in (None, *manifest.label_maps):
            whose = "ready-trained" if card or name not in own else "yours"
            about = {"games": list(manifest.label_maps), "network": manifest.model.rpartition(":")[2]}
            title = card.title if card else ""
            found.append({"name": name, **about, "whose": whose, "here": name in own, "title": title})

    def show() -> None:
        rows = [
            [f["name"], " ".join(f["games"]), f["network"], f["whose"], "yes" if f["here"] else "no", f["title"]]
            for f in found
        ]
        ui.table("Bundles", ["name", "games", "network", "whose", "installed", "title"], rows)

    app.print(found, show if found else "no bundles: `autopilot train` makes one")


@command.command(cls=GroupedCommand, epilog=examples("autopilot models show carracing-nvidia"))
@click.argument("name")
@common
def show(app: App, name: str) -> None:
    """Show a bundle's card: game, tracks, data, recipe, race table, licence."""
    from autopilot.bundle.manifest import read_manifest
    from autopilot.commands.zoo import ready_trained

    folder = app.home.bundle(name.rpartition(":")[2])
    folder = folder if folder.exists() else ready_trained(app).get(name, folder)
    manifest, card = read_manifest(folder), _card(folder)
    about = {
        "name": manifest.name,
        "folder": str(folder),
        "games": manifest.label_maps,
        "network": manifest.model,
        "hz": manifest.hz,
        "sessions": len(manifest.sessions),
        "card": card.model_dump(mode="json") if card else None,
    }
    app.print(about, lambda: _show(about, card))


def _show(about: dict[str, Any], card: Card | None) -> None:
    from autopilot.commands import ui

    games = ", ".join(f"{game} (actions {labels})" for game, labels in about["games"].items())
    lines = [about["name"] + (f": {card.title}" if card else ": no card, so it is yours")]
    lines += [f"games     {games}", f"network   {about['network']}, {about['hz']:g} decisions a second"]
    lines += [f"folder    {about['folder']}"]
    if card is None:
        lines += [f"data      {about['sessions']} sessions"]
    else:
        lines += [f"data      {card.minutes:g} minutes of game time: {card.data}", f"tracks    {card.trained_on}"]
        lines += [f"licence   {card.licence}", "recipe", *(f"  {step}" for step in card.recipe)]
        lines += ["race", f"  {card.race}"]
    for line in lines:
        ui.out.print(line, soft_wrap=True, markup=False)
    if card is not None and card.table:
        columns = ["driver", "finished", "median lap", "lap ratio", "laps with incident", "mean score", "score ratio"]
        ui.table("What came of that race", columns, [_cells(row) for row in card.table])


def _cells(row: Row) -> list[str]:
    return [
        row.driver,
        f"{row.finished}/{row.runs}",
        _number(row.median_lap_s, 2),
        _number(row.lap_ratio, 3),
        str(row.incident_laps),
        _number(row.mean_score, 1),
        _number(row.score_ratio, 3),
    ]


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _card(folder: Path) -> Card | None:
    from autopilot_sharing.cards import read_card

    return read_card(folder)


@command.command(
    "install",
    cls=GroupedCommand,
    epilog=examples(
        "autopilot models install carracing-nvidia",
        "autopilot models install anna.pack",
        "autopilot models install ./zoo/anna-1 --name anna",
    ),
)
@click.argument("source")
@click.option("--name", metavar="NAME", help="What it is called here (default: as it is called there).")
@common
def install_command(app: App, source: str, name: str | None) -> None:
    """Copy a bundle into your home: a ready-trained one by its name, a pack, or a bundle's folder.

    It is checked first, and no code in it is run. `drive` and `race` do this by themselves with a ready-trained one.
    """
    from autopilot.commands.zoo import install, ready_trained

    offered, path = ready_trained(app), Path(source)
    if source not in offered and path.is_file():
        if name is not None:
            raise click.UsageError("--name: a pack has the names of its bundles")
        _unpack(app, path)
        return
    folder = offered.get(source) or path
    if not folder.is_dir():
        known = f"ready-trained are {', '.join(offered)}" if offered else "no plugin brings ready-trained ones"
        raise UserError(f"there is no bundle, pack or folder {source!r}; {known}")
    _card(folder := folder.resolve())
    new = install(app, folder, name)
    _print_installed(app, {name or folder.name: new})


def _unpack(app: App, path: Path) -> None:
    from autopilot_sharing.form import read_manifest
    from autopilot_sharing.unpack import unpack

    with path.open("rb") as file:
        if read_manifest(file).kind != "bundle":
            raise UserError(f"{path} holds sessions: `autopilot unpack {path}` adds them")
    _print_installed(app, {one.id: one.outcome != "known" for one in unpack(path, app.home)})


def _print_installed(app: App, bundles: dict[str, bool]) -> None:
    folders = {name: str(app.home.bundle(name)) for name in bundles}
    data = [{"name": name, "folder": folders[name], "new": new} for name, new in bundles.items()]
    lines = [f"{n}: {'installed in ' + folders[n] if new else 'you have it already'}" for n, new in bundles.items()]
    app.print(data, "\n".join(lines))


@command.command("board", cls=GroupedCommand, epilog=examples("autopilot models board --game carracing"))
@click.option("--game", metavar="NAME", help="Which game (default: the only one that has races).")
@common
def board_command(app: App, game: str | None) -> None:
    """Compare all drivers of a game by the races kept in this home, the best first.

    Ratios compare with the demonstrator, else with you, on the tracks that both raced on.
    """
    from autopilot.commands import ui
    from autopilot.commands.choices import choose
    from autopilot.commands.zoo import leaderboard
    from autopilot.race.board import games_raced

    raced = games_raced(app.home)
    if game is None and not raced:
        app.print({}, "no races were kept: hold one with `autopilot race`")
        return
    game = app.registry.get("game", game or choose(app, "--game", "races of", raced)).name
    found = leaderboard(app.home, game)
    columns = ["", "driver", "what", "finished", "tracks", "median lap", "lap ratio", "mean score", "score ratio"]
    rows = [
        [
            str(place),
            row.driver,
            row.kind,
            f"{row.finished}/{row.runs}" if row.runs else "not raced",
            str(row.tracks),
            _number(row.median_lap_s, 2),
            _number(row.lap_ratio, 3),
            _number(row.mean_score, 1),
            _number(row.score_ratio, 3),
        ]
        for place, row in enumerate(found.standings, 1)
    ]

    def show() -> None:
        ui.table(f"{game}: leaderboard", columns, rows)
        for note in found.notes:
            ui.out.print(note, soft_wrap=True, markup=False)

    app.print(asdict(found), show if rows else f"no bundles and no races of {game}: hold one with `autopilot race`")


@command.command(
    "publish",
    cls=GroupedCommand,
    epilog=examples(
        "autopilot models publish carracing-nvidia --into zoo --card about.json",
        "autopilot models publish carracing-nvidia --into zoo --card about.json --table races/r1/race.json --force",
    ),
)
@click.argument("bundle")
@click.option("--into", metavar="DIR", type=click.Path(path_type=Path), required=True, help="The zoo's folder.")
@click.option("--card", "about", metavar="FILE", type=click.Path(path_type=Path), required=True, help="Its card.")
@click.option("--table", metavar="FILE", type=click.Path(path_type=Path), help="A race.json: the card's race table.")
@force_option
@common
def publish_command(app: App, bundle: str, into: Path, about: Path, table: Path | None, force: bool) -> None:
    """Write a bundle of yours, with float16 weights and a card, into a folder of ready-trained ones.

    FILE has the card's fields as JSON, without `minutes`, which are counted, and without `table`. Race the published
    bundle, then publish it again with --table: the table is then that of the very weights.
    """
    from autopilot_sharing.cards import card_from, publish, rows

    folder = app.home.bundle(bundle)
    card = card_from(about, folder, app.home, rows(table) if table else ())
    target = publish(folder, into, card, force)
    size = sum(file.stat().st_size for file in target.iterdir())
    app.print({"folder": str(target), "bytes": size}, f"{target}: {size / 1e6:.2f} MB")
