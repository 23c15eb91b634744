"""Lets CI refuse the skips that a developer's machine may need."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest


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
