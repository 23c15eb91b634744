"""Lets CI refuse the skips that a developer's machine may need; takes up signals that a shell ignores."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator

import pytest

# A shell starts background jobs with Ctrl-C ignored, and nohup ignores the hang-up; what is ignored
# is inherited, and the tests send both to the programs that they start.
for number in [getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name)]:
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


# Tests compile many networks and run each for a moment: XLA compiles a fifth quicker what runs slower.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

pytest.register_assert_rewrite("support")


def _refuse_missing(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Under AUTOPILOT_STRICT=1, a skip whose reason begins with "missing:" becomes a failure."""
    if os.environ.get("AUTOPILOT_STRICT") != "1" or not isinstance(report.longrepr, tuple):
        return
    path, line, message = report.longrepr
    if report.skipped and message.removeprefix("Skipped: ").startswith("missing:"):
        report.outcome = "failed"
        report.longrepr = f"{path}:{line}: {message} (AUTOPILOT_STRICT=1 allows no such skip)"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_missing(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_missing(report)
    return report
