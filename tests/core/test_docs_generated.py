"""The documentation as tests: generated pages are current, and pages say what is true."""

from __future__ import annotations

import dataclasses
import functools
import pkgutil
import re
import shlex
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import click
import pytest
from autopilot import api
from autopilot.api import hookspecs
from autopilot.api.registry import KINDS, Registry
from autopilot.cli import cli
from autopilot.commands.app import App
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import gen_docs  # noqa: E402

PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "core/*.md", "plugins/*/*.md", "benchmarks/**/*.md")
    for page in ROOT.glob(pattern)
)
PARSER = MarkdownIt("gfm-like", {"linkify": False})
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
NO_MODULES = {"autopilot.plugins", "autopilot.source", "autopilot.sha256"}
"""The entry-point group, and keys in an ONNX file."""

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))


def tokens(page: Path) -> list[Token]:
    return PARSER.parse(page.read_text(encoding="utf-8"))


def inlines(page: Path, kind: str) -> Iterator[Token]:
    for token in tokens(page):
        yield from (child for child in token.children or [] if child.type == kind)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    found: set[str] = set()
    seen: Counter[str] = Counter()
    parsed = tokens(page)
    for opening, inline in pairwise(parsed):
        if opening.type == "heading_open":
            text = "".join(child.content for child in inline.children or [])
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            found.add(slug if not seen[slug] else f"{slug}-{seen[slug]}")
            seen[slug] += 1
    return found


def command_lines(page: Path) -> list[list[str]]:
    """Every `autopilot …` that a code block tells the reader to type, as its arguments."""
    prompts = {"": "", "sh": "", "console": "$ "}
    lines = [
        line.removeprefix(prompts[token.info])
        for token in tokens(page)
        if token.type == "fence" and token.info in prompts
        for line in token.content.replace("\\\n", " ").splitlines()
        if line.startswith(f"{prompts[token.info]}autopilot ")
    ]
    return [shlex.split(line, comments=True)[1:] for line in lines]


def parse(arguments: list[str], command: click.Command = cli, parent: click.Context | None = None) -> click.Context:
    """Let click read a command line, down to the last command, without running it."""
    obj = None if parent else App()
    context = command.make_context(command.name, list(arguments), parent, obj=obj)
    if not isinstance(command, click.Group):
        return context
    _, rest, _ = command.make_parser(context).parse_args(list(arguments))
    if command.invoke_without_command and not rest:
        return context
    _, child, rest = command.resolve_command(context, rest)
    assert child is not None
    return parse(rest, child, context)


def test_generated_pages_are_current():
    done = subprocess.run([sys.executable, "scripts/gen_docs.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_examples_in_the_help_can_be_parsed():
    text = "".join(page.read_text(encoding="utf-8") for page in ROOT.glob("docs/cli/*.md"))
    lines = re.findall(r"^ +autopilot (.*?)(?:   .*)?$", text, re.M)
    assert len(lines) > 20
    for line in lines:
        try:
            parse(shlex.split(line))
        except click.ClickException as e:
            pytest.fail(f"autopilot {line}: {e.format_message()}")


def test_every_hook_is_documented():
    overview = (ROOT / "docs/plugins/index.md").read_text(encoding="utf-8")
    hooks = [name for name in vars(hookspecs) if name.startswith("autopilot_")]
    assert len(hooks) == len(KINDS)
    for hook in hooks:
        assert f"[`{hook}`](../reference/hooks.md#autopilot.api.hookspecs.{hook})" in overview


@every_page
def test_command_lines_can_be_parsed(page):
    for arguments in command_lines(page):
        try:
            context = parse(arguments)
        except click.exceptions.Exit:
            continue  # --help and --version
        except click.ClickException as e:
            pytest.fail(f"autopilot {shlex.join(arguments)}: {e.format_message()}")
        for kind, own in (("game", {"ribbon", "enduro", "racing"}), ("model", {"ribbon", "tiny"})):
            known = {*own, *(spec.name for _, spec in Registry().provided(kind))}
            given = context.params.get(kind)
            # Pages show one misspelt name, and what autopilot answers; and two games that are made up.
            if isinstance(given, bool):  # a flag of another command
                continue
            assert {*(given or "ribon").split(",")} <= {"ribon", "kart", "rally", *known}, shlex.join(arguments)


@every_page
def test_commands_and_options_in_running_text_exist(page):
    for code in inlines(page, "code_inline"):
        words = code.content.split()
        if words[:1] == ["make"] and len(words) > 1:
            makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
            assert re.search(rf"^{re.escape(words[1])}:", makefile, re.M), code.content
        if words[:1] != ["autopilot"] or len(words) < 2 or words[1] == "…":
            continue
        context = cli.make_context("autopilot", ["doctor"], obj=App())
        names = [word for word in words[1:] if not word.startswith("-")]
        command: click.Command | None = cli
        while isinstance(command, click.Group) and names:
            command = command.get_command(context, name := names.pop(0))
            context = click.Context(command or cli, context, info_name=name)
        assert command is not None, code.content
        known = {o for p in [*cli.params, *command.params] for o in [*p.opts, *p.secondary_opts]}
        given = {word.partition("=")[0] for word in words if word.startswith("-")}
        assert given <= known | {"-h", "--help"}, code.content


def script_options(script: str) -> set[str]:
    """The options that a script of benchmarks/ or scripts/ has of its own."""
    return set(re.findall(r"""add_argument\(\s*"(--[\w-]+)""", (ROOT / script).read_text(encoding="utf-8")))


@functools.cache
def own_options() -> set[str]:
    """The options of all commands of autopilot."""
    context = cli.make_context("autopilot", ["doctor"], obj=App())
    commands = [command for command, _ in gen_docs.commands(cli, context)]
    return {"--help"} | {o for c in commands for p in c.params for o in [*p.opts, *p.secondary_opts]}


@every_page
def test_options_named_alone_exist(page):
    """They are autopilot's, or those of a script that the page names."""
    scripts = re.findall(r"\b(?:benchmarks|scripts)/\w+\.py\b", page.read_text(encoding="utf-8"))
    known = own_options().union(*map(script_options, scripts))
    for code in inlines(page, "code_inline"):
        if option := re.match(r"--[a-z][a-z-]*", code.content):
            assert option[0] in known, f"{page.name}: {code.content}"


@every_page
def test_command_lines_of_scripts_have_their_options(page):
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for script, arguments in re.findall(r"python ((?:benchmarks|scripts)/\w+\.py)([^`\n#]*)", text):
        given = {word.partition("=")[0] for word in arguments.split() if word.startswith("--")}
        assert given <= script_options(script), f"{script}{arguments}"


@every_page
def test_names_in_running_text_exist(page):
    """Modules and what is in them (but not the changelog's, which has old ones), and fields of descriptors."""
    if page.name == "CHANGELOG.md":
        return
    for code in inlines(page, "code_inline"):
        if re.fullmatch(r"autopilot(\.[A-Za-z_]\w*)+", code.content) and code.content not in NO_MODULES:
            pkgutil.resolve_name(code.content)
        if field := re.fullmatch(r"(\w+Spec)\.(\w+)", code.content):
            names = {f.name for f in dataclasses.fields(getattr(api, field[1]))}
            assert field[2] in names, code.content


@every_page
def test_links_lead_somewhere(page):
    targets = [str(t.attrs["href"]) for t in inlines(page, "link_open")]
    targets += [str(t.attrs["src"]) for t in inlines(page, "image")]
    for target in targets:
        if re.match(r"https?:", target):
            continue
        name, _, anchor = target.partition("#")
        other = (page.parent / name).resolve() if name else page
        assert other.is_relative_to(ROOT), target
        assert other.exists(), f"{target} is missing"
        if anchor.startswith("autopilot."):  # made from a docstring; the site's build looks whether it is there
            pkgutil.resolve_name(anchor)
        elif anchor:
            assert anchor in anchors(other), f"{name or page.name} has no heading #{anchor}"


@every_page
def test_pages_name_no_folder_of_one_machine(page):
    text = page.read_text(encoding="utf-8")
    found = re.search(r"(?<![\w.])(/(home|mnt|opt|root|srv|tmp|work|Users)/\S*|[A-Z]:\\\S*)", text)
    assert found is None, found


def test_changelog_has_this_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(PROJECT['project']['version'])} - ", text, re.M)


def test_what_moved_is_where_the_changelog_says():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").partition("### What moved")[2].partition("\n### ")[0]
    rows = re.findall(r"^\| [^|]+ \| ([^|]+) \|$", text, re.M)
    modules = {name for row in rows for name in re.findall(r"`(autopilot(?:\.\w+)+)", row)}
    assert len(modules) > 10
    for name in modules:
        pkgutil.resolve_name(name)
    for spec, field in re.findall(r"`(\w+Spec|Reading|SteerCorrection)\.(\w+)", "".join(rows)):
        assert field in {f.name for f in dataclasses.fields(getattr(api, spec))}, f"{spec}.{field}"


def packages(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w-]", requirement)[0] for requirement in requirements} - {"autopilot-core"}


def test_every_dependency_has_a_reason():
    """The page's tables name the packages of core, the plugins, their extras and the tests, and no other."""
    text = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    tables = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", text, re.M | re.S))
    rows = {heading: re.findall(r"^\| ([a-zA-Z][^|]*) \| (.*) \|$", table, re.M) for heading, table in tables.items()}
    named = {h: {name for cell, _ in lines for name in cell.split(", ")} - {"package"} for h, lines in rows.items()}
    projects = {
        path.parent.name: tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        for path in [ROOT / "core/pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml")]
    }
    wanted = {name: packages(project["dependencies"]) for name, project in projects.items()}
    extras = {
        extra: packages(requirements)
        for project in projects.values()
        for extra, requirements in project.get("optional-dependencies", {}).items()
    }
    core = wanted.pop("core")
    assert named["Core"] == core
    assert set().union(*wanted.values()) - core <= named["Plugins"]
    assert named["Plugins"] <= set().union(*wanted.values())
    assert named["Extras"] == set().union(*extras.values())
    groups = PROJECT["dependency-groups"]
    assert named["Documentation"] == packages(groups["docs"])
    development = packages(groups["dev"])
    assert development - named["Extras"] - named["Plugins"] <= named["Development"] <= development
    for cell, rest in rows["Plugins"][1:]:
        for folder in rest.partition(" |")[0].split(", "):
            assert set(cell.split(", ")) <= wanted[folder], f"{cell}: {folder}"
    for cell, rest in rows["Extras"][1:]:
        for package in cell.split(", "):
            extra = re.search(r"\[(\w+)\]", rest)
            assert extra, cell
            assert package in extras[extra[1]], cell


def test_every_plugin_is_in_the_pages_that_list_them_all():
    folders = [path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml")]
    readme, index, architecture = (
        (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/index.md", "ARCHITECTURE.md")
    )
    for folder in folders:
        assert re.search(rf"-e plugins/{folder}\b", readme), f"README's pip install lacks {folder}"
        assert f"(../plugins/{folder}/README.md)" in index
    tree = re.search(r"^plugins/ [^\n]*\n(.*?)^tests/", architecture, re.M | re.S)
    assert tree
    rows = [re.split(r"  +", line.strip())[0] for line in tree[1].splitlines()]
    assert sorted(", ".join(rows).split(", ")) == sorted(folders)


def fence_columns(page: Path) -> list[list[str]]:
    """The first word of each line, of every fence of a page."""
    fences = [t.content.splitlines() for t in tokens(page) if t.type == "fence"]
    return [[line.split()[0] for line in fence if line.strip()] for fence in fences]


def test_architecture_draws_the_rooms_that_are_checked():
    layers = PROJECT["tool"]["importlinter"]["contracts"][0]["layers"]
    rooms = [room for layer in layers for room in layer.split(" | ") if room != "__main__"]
    assert len(rooms) == 9
    assert rooms in fence_columns(ROOT / "ARCHITECTURE.md")


def test_architecture_names_files_that_exist():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    core = ROOT / "core/src/autopilot"
    cells = re.findall(r"^\| (`[^|]+) \|", text, re.M)
    assert len(cells) > 10
    for cell in cells:
        folder = re.match(r"`(\w+)/", cell)
        assert folder, cell
        for name in re.findall(r"`([^`]+)`", cell):
            path = core / name if name.startswith(f"{folder[1]}/") else core / folder[1] / name
            assert path.exists(), f"{cell}: {name}"
    for name in re.findall(r"`((?:\w+/)+\w+\.py)`", text):
        assert (core / name).exists(), name


def test_decisions_are_listed_under_their_titles():
    folder = ROOT / "docs/decisions"
    listed = re.findall(r"^- \[(.+)\]\(([\w-]+\.md)\)$", (folder / "README.md").read_text(encoding="utf-8"), re.M)
    titles = {
        path.name: path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        for path in folder.glob("*.md")
        if path.name != "README.md"
    }
    assert len(listed) == len(titles)
    assert {name: title for title, name in listed} == titles
