"""Whom `autopilot setup` asks: a person at the terminal, or nobody."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from autopilot.api.errors import UserError
from autopilot.commands import ui


class Terminal:
    """A person at a terminal; all that is told and asked goes to stderr."""

    def say(self, line: str) -> None:
        """Print a line."""
        ui.say(line)

    def ask(self, question: str, default: str | None, option: str) -> str:
        """Ask until there is an answer."""
        answer: str = click.prompt(question, default=default, err=True)
        return answer.strip()

    def agree(self, question: str, default: bool | None) -> bool | None:
        """Ask for yes or no."""
        return click.confirm(question, default=default, err=True)

    def show(self, picture: Path) -> None:
        """Draw the picture in characters."""
        ui.preview(picture, console=ui.err)

    @contextlib.contextmanager
    def pressing(self) -> Iterator[bool]:
        """Print no key that is pressed, and forget what the terminal was sent, since it may have the focus."""
        with _no_echo():
            yield True


class Nobody:
    """Gives the default answers."""

    def say(self, line: str) -> None:
        """Print a line."""
        ui.say(line)

    def ask(self, question: str, default: str | None, option: str) -> str:
        """Return the default; raises UserError, which names the option, where there is none."""
        if default is None:
            raise UserError(f"with --yes there is nobody to ask, so say it by {option}: {question}")
        return default

    def agree(self, question: str, default: bool | None) -> bool | None:
        """Return the default."""
        return default

    def show(self, picture: Path) -> None:
        """Show nothing: its path is told."""

    @contextlib.contextmanager
    def pressing(self) -> Iterator[bool]:
        """Say that nobody presses keys."""
        yield False


@contextlib.contextmanager
def _no_echo() -> Iterator[None]:
    if sys.platform == "win32":
        import msvcrt

        yield
        while msvcrt.kbhit():
            msvcrt.getwch()
        return
    import termios

    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    quiet = termios.tcgetattr(number)
    quiet[3] &= ~(termios.ECHO | termios.ICANON)  # Ctrl-C still interrupts
    termios.tcsetattr(number, termios.TCSADRAIN, quiet)
    try:
        yield
    finally:
        termios.tcflush(number, termios.TCIFLUSH)
        termios.tcsetattr(number, termios.TCSADRAIN, before)
