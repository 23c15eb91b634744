"""A skip that begins with "missing:" fails under AUTOPILOT_STRICT=1, and only such a skip."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest

def test_missing():
    pytest.skip("missing: Xvfb")

@pytest.mark.skipif(True, reason="missing: xdotool")
def test_missing_by_mark():
    assert True

def test_other_skip():
    pytest.skip("needs a GPU")
"""


@pytest.mark.parametrize(("strict", "closing"), [("1", "1 failed, 1 skipped, 1 error"), ("0", "3 skipped")])
def test_missing_parts_fail_only_under_strict(tmp_path: Path, strict: str, closing: str) -> None:
    shutil.copy(Path(__file__).parents[1] / "conftest.py", tmp_path)
    (tmp_path / "test_sample.py").write_text(TESTS)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path],
        env=os.environ | {"AUTOPILOT_STRICT": strict, "PYTEST_ADDOPTS": ""},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert closing in run.stdout.splitlines()[-1]
    assert run.returncode == (1 if strict == "1" else 0)
