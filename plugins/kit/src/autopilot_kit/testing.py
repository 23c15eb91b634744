"""The kit for pytest: a test for each check of a plugin that is installed.

```python
@pytest.mark.parametrize("check", checks("autopilot-ribbon"), ids=str)
def test_the_plugin_conforms(check: Check) -> None:
    check()
```
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from autopilot.api import Registry

from autopilot_kit.kit import subjects
from autopilot_kit.subject import Options, Subject

__all__ = ["Check", "Options", "checks"]


@dataclass(frozen=True)
class Check:
    """One check of one thing; called, it passes, or fails with a line for each fault, or is skipped."""

    subject: Subject
    name: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.name}"

    def __call__(self) -> None:
        """Make the check."""
        __tracebackhide__ = True
        outcome = self.subject.run(self.name)
        if outcome.left_out:
            pytest.skip(outcome.left_out)
        if outcome.faults:
            pytest.fail("\n".join(f"{self.subject}: {fault}" for fault in outcome.faults), pytrace=False)


def checks(name: str, options: Options | None = None) -> list[Check]:
    """Return all checks of a distribution, or of what has that name; raises PluginError where nothing has it."""
    return [Check(subject, check) for subject in subjects(Registry(), name, options) for check in subject.checks]
