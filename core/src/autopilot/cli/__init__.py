"""The command line: lazily loaded commands, and one line for every error."""

from __future__ import annotations

import copy
import errno
import io
import os
import sys
from collections.abc import Mapping
from typing import Any

import click

from autopilot import __version__
from autopilot.api.errors import AutopilotError, PluginError, suggest
from autopilot.api.guard import Calling
from autopilot.api.specs import load
from autopilot.commands.app import App

COMMANDS = {
    "record": "Record a human, or a game's demonstrator.",
    "sessions": "List recorded sessions; mark or purge frames.",
    "train": "Train a network on recorded sessions.",
    "drive": "Let a bundle drive a game.",
    "race": "Race drivers against each other and compare their laps.",
    "plugins": "List plugins and what they provide.",
}

DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
"""What a disk answers to what was opened before: without a name."""


def _group(ctx: click.Context) -> str:
    return str(ctx.info_name) if ctx.parent else ""


class PluginCommands(click.Group):
    """A group to which plugins add commands, called `GROUP NAME`; a command's module is imported when it is used."""

    own: Mapping[str, str] = {}
    """Core's commands in here: name -> help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names, core's first."""
        return [*self.own, *sorted(self._plugin_commands(ctx))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command; a plugin that fails to is reported as an error of that command."""
        if cmd_name in self.own:
            found: click.Command = load(f"autopilot.cli.commands.{cmd_name.replace('-', '_')}:command")
            return found
        if cmd_name not in self._plugin_commands(ctx):
            return None
        registry, name = App.of(ctx).registry, f"{_group(ctx)} {cmd_name}".lstrip()
        plugin, spec = registry.find("command", name)
        command = registry.load("command", name, spec.command, click.Command)
        return _named(command, f"{plugin.dist}: command {name!r}")

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one suggests near matches."""
        if self.get_command(ctx, args[0]) is None:
            hint = suggest(args[0], self.list_commands(ctx), otherwise="")
            raise click.UsageError(f"no command {args[0]!r}{'; ' * bool(hint)}{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any of them."""
        if rows := [*self.own.items(), *sorted(self._plugin_commands(ctx).items())]:
            with formatter.section("Commands"):
                formatter.write_dl(rows)

    def _plugin_commands(self, ctx: click.Context) -> dict[str, str]:
        """Return name -> help of what plugins add here."""
        if ctx.params.get("safe_mode"):
            App.of(ctx).safe_mode = True
        found = [(spec.name.rpartition(" "), spec.help) for _, spec in App.of(ctx).registry.provided("command")]
        return {name: text for (group, _, name), text in found if group == _group(ctx)}


class Commands(PluginCommands):
    """Core's commands and those of plugins."""

    own = COMMANDS


def _named(command: click.Command, who: str) -> click.Command:
    """Return a plugin's command whose faults are told as the plugin's."""
    named, invoke = copy.copy(command), command.invoke
    ours = (AutopilotError, click.ClickException, click.Abort, click.exceptions.Exit, SystemExit, BrokenPipeError)

    def call(ctx: click.Context) -> Any:
        with Calling(who, ours, watched=False):
            return invoke(ctx)

    named.invoke = call  # type: ignore[method-assign]
    return named


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100, "show_default": True},
    epilog="""\b
Examples:
  autopilot demo                            record, train and race by itself
  autopilot record --game carracing         play with the arrow keys
  autopilot train
  autopilot drive --show
""",
)
@click.version_option(__version__, prog_name="autopilot")
@click.option("--safe-mode", is_flag=True, help="Load no plugin at all.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.pass_context
def cli(ctx: click.Context, safe_mode: bool, debug: bool) -> None:
    """Play a racing game; a network learns to drive it from the screen alone."""
    App.of(ctx).safe_mode |= safe_mode


def main() -> None:
    """Run the command line: exit code 2 for the user's mistake, 1 for ours, 130 for Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # whatever the encoding, no output dies of it
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        status = cli.main(standalone_mode=False)
    except (Exception, KeyboardInterrupt) as e:  # noqa: BLE001 - whatever it is, a person is told in one line
        status = _tell(e)
    if isinstance(status, int):  # what a command gave to ctx.exit
        sys.exit(status)


def _tell(error: BaseException) -> int:
    """Say in one line what ended the command, and return the exit code; raises it again with --debug."""
    line, code = _in_words(error)
    if "--debug" in sys.argv[1:] and not isinstance(error, click.ClickException | click.Abort | KeyboardInterrupt):
        raise error
    if line:
        print(line, file=sys.stderr)
    return code


SEE = " (run again with --debug to see where)"


def _of_our_files(error: OSError) -> str:
    """Return what to say of the disk's error; a plugin's became a PluginError."""
    where = "" if error.filename is None else f": {error.filename}"
    advice = "; free space or --home?" if where or error.errno in DISK else ""
    return f"autopilot: {error.strerror or error}{where}{advice}"


def _in_words(error: BaseException) -> tuple[str, int]:
    """Return what to say of an error, if anything, and its exit code."""
    match error:
        case click.exceptions.NoArgsIsHelpError():
            error.show()
            return "", error.exit_code
        case click.ClickException():
            where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "autopilot"
            return f"autopilot: {' '.join(error.format_message().split())} (see `{where} --help`)", error.exit_code
        case KeyboardInterrupt() | click.Abort():
            kept = getattr(error.__cause__ or error, "__notes__", [])  # Abort comes from Ctrl-C, or from a question
            return "\nautopilot: " + "; ".join(["stopped", *kept]), 130
        # Whoever read our output is gone; Windows says so by EINVAL.
        case BrokenPipeError() | OSError(errno=errno.EINVAL, filename=None):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return "", 1
        case AutopilotError():
            seen = isinstance(error, PluginError) and error.__cause__
            return f"autopilot: {error}{SEE if seen else ''}", error.exit_code
        case OSError():
            return _of_our_files(error), 1
        case _:
            what = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            return f"autopilot: unexpected {what}{SEE}", 1
