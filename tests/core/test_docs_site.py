"""The site: it is built strictly, has every page and every name of the API, and fetches nothing from another host."""

from __future__ import annotations

import ast
import html
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from autopilot import api
from autopilot.api import hookspecs
from filelock import FileLock
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")]
if os.name == "nt":
    pytest.skip("the site's builder is no part of autopilot, and not installed there", allow_module_level=True)
LONGEST = 200
"""Lines of a page."""
LONGER = {"CHANGELOG.md", "docs/plugins/tutorial.md"}


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, built once for all processes of the tests."""
    own = tmp_path_factory.getbasetemp()
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "docs-site"
    with FileLock(f"{shared}.lock"):
        if not shared.exists():
            built = subprocess.run([sys.executable, ROOT / "scripts/site.py", shared], capture_output=True, text=True)
            assert built.returncode == 0, built.stderr
    return shared


def words(text: str) -> str:
    """The words of a page or a docstring, without tags, marks and line breaks."""
    text = html.unescape(re.sub(r"<[^>]+>|^- ", "", text, flags=re.M))
    return " ".join(re.sub(r"[`*\\¶]", "", text).split())


def modules_of_the_api() -> list[ModuleType]:
    imports = [node for node in ast.parse(inspect.getsource(api)).body if isinstance(node, ast.ImportFrom)]
    return [sys.modules[str(node.module)] for node in imports if str(node.module).startswith("autopilot.api.")]


def test_every_page_of_the_repository_is_on_the_site_and_in_its_navigation(site: Path):
    front = (site / "index.html").read_text(encoding="utf-8")
    for page in PAGES:
        name = page.relative_to(ROOT).as_posix()
        target = re.sub(r"(?:^|(?<=/))README\.md$", "index.md", name).removesuffix(".md") + ".html"
        assert (site / target).exists(), name
    linked = {str((site / href).resolve()) for href in re.findall(r'href="([^"#:]+\.html)', front)}
    tops = {target for target in linked if Path(target).exists()}
    assert {
        str(site / "docs/recording.html"),
        str(site / "docs/cli/index.html"),
        str(site / "ARCHITECTURE.html"),
    } <= tops
    config = (ROOT / "docs/site.yml").read_text(encoding="utf-8")
    kinds = re.findall(r"^  - ([\w ]+):$", config.partition("\nnav:")[2], re.M)
    assert kinds == ["Start", "How to", "Reference", "Why"]
    patterns = re.findall(r"([\w./*-]+\.md)$", config, re.M)
    shown = {path for pattern in patterns for path in ROOT.glob(pattern)}
    assert {p.relative_to(ROOT).as_posix() for p in PAGES} - {p.relative_to(ROOT).as_posix() for p in shown} == set()


def test_a_broken_link_is_refused(tmp_path: Path):
    """In a copy of the project that has little else than the front page and the script."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "scripts").mkdir()
    (tmp_path / "core/src").mkdir(parents=True)
    config = (ROOT / "docs/site.yml").read_text(encoding="utf-8").partition("\nnav:")[0]
    (tmp_path / "docs/site.yml").write_text(config, encoding="utf-8")
    (tmp_path / "scripts/site.py").write_bytes((ROOT / "scripts/site.py").read_bytes())
    page = tmp_path / "README.md"
    for text, said in (("[a](docs/no.md)", "page does not exist"), ("[a](#no)", "anchor does not exist"), ("# a", "")):
        page.write_text(text, encoding="utf-8")
        built = subprocess.run([sys.executable, tmp_path / "scripts/site.py"], capture_output=True, text=True)
        assert said in built.stderr
        assert built.returncode == (1 if said else 0), built.stderr
        assert "Traceback" not in built.stderr
        assert "\x1b" not in built.stderr


def test_the_reference_has_every_public_name_and_member_with_its_docs(site: Path):
    pages = {page.stem: page.read_text(encoding="utf-8") for page in (site / "docs/reference").glob("*.html")}
    identifiers = {id for text in pages.values() for id in re.findall(r'id="(autopilot\.[\w.]+)"', text)}
    reference = [words(text) for text in pages.values()]
    face = {name for name in api.__all__ if name not in {"API_VERSION", "GROUP", "hookimpl"}}
    seen = set()
    for module in modules_of_the_api():
        if module is hookspecs:
            continue
        for name, thing in vars(module).items():
            if name not in face or f"{module.__name__}.{name}" not in identifiers:
                continue
            seen.add(name)
            if not inspect.isclass(thing) or thing.__module__ != module.__name__:
                continue
            members = {*inspect.get_annotations(thing), *vars(thing)} - {"exit_code"}
            wanted = {f"{module.__name__}.{name}.{member}" for member in members if not member.startswith("_")}
            assert wanted <= identifiers
            assert any(words(inspect.getdoc(thing) or "") in text for text in reference), name
    assert seen == face


def test_every_hook_is_in_the_reference_with_its_signature_and_docs(site: Path):
    page = words((site / "docs/reference/hooks.html").read_text(encoding="utf-8"))
    hooks = [hook for name, hook in vars(hookspecs).items() if name.startswith("autopilot_")]
    assert len(hooks) >= 8
    for hook in hooks:
        signature = f"{hook.__name__}{inspect.signature(hook)}".replace("'", "")
        assert "".join(signature.split()) in re.sub(r"\s|,(?=\s*\))", "", page)
        assert words(inspect.getdoc(hook) or "") in page, hook.__name__


def test_nothing_is_fetched_from_another_host(site: Path):
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        fetched = re.findall(r'<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)="(?:https?:)?//[^"]+"', text)
        assert fetched == [], page.name
    for style in site.rglob("*.css"):
        assert "url(http" not in style.read_text(encoding="utf-8")


def test_the_search_knows_a_command_a_page_and_a_name(site: Path):
    text = (site / "search.json").read_text(encoding="utf-8")
    for wanted in ("docs/cli/train.html", "docs/recording.html", "docs/reference/descriptors.html"):
        assert wanted in text


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_the_site_shows_what_github_shows(site: Path, page: Path):
    """Both readers of Markdown find as many list entries, table rows, code blocks and headings."""
    text = page.read_text(encoding="utf-8")
    if "\n::: " in text:
        return
    name = page.relative_to(ROOT).as_posix()
    target = re.sub(r"(?:^|(?<=/))README\.md$", "index.md", name).removesuffix(".md") + ".html"
    shown = (site / target).read_text(encoding="utf-8").partition("<article")[2].partition("</article>")[0]
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    for kind, tag in (("list_item_open", "<li>"), ("tr_open", "<tr>"), ("fence", "<pre"), ("heading_open", "<h[1-6]")):
        wanted = sum(token.type == kind for token in tokens)
        assert len(re.findall(tag, shown)) == wanted, f"{tag}: see where GitHub needs no blank line, but the site does"


def test_pages_are_short():
    long = {p.relative_to(ROOT).as_posix(): len(p.read_text(encoding="utf-8").splitlines()) for p in PAGES}
    assert {name: n for name, n in long.items() if n > LONGEST and name not in LONGER} == {}
