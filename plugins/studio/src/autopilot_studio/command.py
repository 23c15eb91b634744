"""`autopilot studio`."""

from __future__ import annotations

import click
from autopilot.commands import App, GroupedCommand, common, examples


@click.command(
    cls=GroupedCommand,
    epilog=examples(
        "autopilot studio", "autopilot studio --port 8800 --no-browser", "autopilot studio --home demo --json"
    ),
)
@click.option(
    "--port",
    metavar="N",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=False,
    help="Port to listen on (default: a free one).",
)
@click.option("--browser/--no-browser", default=True, help="Open the page in the browser.")
@common
def studio(app: App, port: int, browser: bool) -> None:
    """Review, correct and compare sessions in a browser on this machine.

    The page can be opened on this machine only (127.0.0.1), with the printed address, whose token is new
    each time. Ctrl-C ends it; nothing is lost.
    """
    from autopilot_studio.server import Server

    server = Server(app.home, app.registry, port)
    app.print(
        {"url": server.url, "home": str(app.home.root)}, f"studio of {app.home.root}: {server.url}  (Ctrl-C ends)"
    )
    server.run(browser)
