"""Builds the site of the documentation, with docs/site.yml: `python scripts/site.py [FOLDER]` (default: site).

A link to a page or heading that is not there, or a name of the reference that the code does not have, ends it with 1.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = ("*.md", "LICENSE", "docs/**/*", "core/README.md", "plugins/*/README.md", "benchmarks/results/*.*")
LINKED = (
    "core/src/autopilot/**/*.py",
    "plugins/*/src/**/LICENSES.txt",
    "tests/third_party/**/*.py",
    "examples/*.ipynb",
)
"""What pages link to, besides each other."""


def main() -> int:
    """Copy the pages, each in its folder; build; put the result where it is wanted."""
    target = Path(sys.argv[1]) if sys.argv[1:] else ROOT / "site"
    work = ROOT / "build/site" if target == ROOT / "site" else target.with_name(f"{target.name}-work")
    shutil.rmtree(work, ignore_errors=True)
    for pattern in (*PAGES, *LINKED):
        for path in filter(Path.is_file, ROOT.glob(pattern)):
            copy = work / "pages" / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    config = (ROOT / "docs/site.yml").read_text(encoding="utf-8").replace("core/src]", f"{ROOT / 'core/src'}]")
    config = re.sub(r"^( *)- ([^:\n]+): (\S*\*\S*)$", _listed, config, flags=re.M)
    (work / "mkdocs.yml").write_text(config, encoding="utf-8")
    command = [Path(sys.executable).with_name("zensical"), "build", "--strict", "--config-file", work / "mkdocs.yml"]
    built = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if built.returncode:
        said = re.sub(r"\x1b\[[\d;]*m", "", built.stdout)
        print(said.partition("Traceback")[0], file=sys.stderr)
        return 1
    shutil.rmtree(target, ignore_errors=True)
    shutil.move(work / "site", target)
    return 0


def _listed(match: re.Match[str]) -> str:
    """Return a folder's pages as entries of the navigation, its index or README first."""
    indent, title, pattern = match.groups()
    pages = [path.relative_to(ROOT).as_posix() for path in ROOT.glob(pattern)]
    pages.sort(key=lambda page: (not page.endswith(("/index.md", "decisions/README.md")), page))
    return "\n".join([f"{indent}- {title}:", *(f"{indent}    - {page}" for page in pages)])


if __name__ == "__main__":
    sys.exit(main())
