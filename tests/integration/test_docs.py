"""The documents are tested: what they show runs, what they name exists, and no key of team.yaml goes unsaid.

Blocks marked `console` hold commands after `$ `: every `signoff` among them must be one the parser takes. Those marked
`console run` are run as well, block after block in one scratch workspace, and must print what they show. Ids, times,
durations and hashes may differ; a line `...` stands for any number of lines.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from msgspec import inspect

from agents.manifest import Manifest
from bots.cli import Exit
from bots.commands.arguments import parser
from tests.integration.test_cli import INQUIRY_FIELDS, TASK_FIELDS, environment

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
FENCE = re.compile(r"^```(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ID = re.compile(r"\b[ti]-[0-9a-f]{4,12}\b")
VARIES = (
    (ID, "ID"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "TIME"),
    (re.compile(r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun) \d\d:\d\d"), "WHEN"),
    (re.compile(r"at \d\d:\d\d"), "at WHEN"),
    (re.compile(r"(?:under )?\b\d+(\.\d+)? s\b"), "N s"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "HASH"),
    (re.compile(r"\d+ audit rows|head \d+"), "ROWS"),
)
WRAPPED = re.compile(r" ·\n +|\n +· ")  # how long a duration is decides where such a line breaks
NOT_FILES = ("deployed.log", "signoff.db")  # they come into being


def name(document):
    return str(document.relative_to(ROOT))


def blocks(document, info):
    """The blocks with exactly this, or with it and more, behind the fence."""
    found = FENCE.findall(document.read_text("utf-8"))
    return [text for said, text in found if said == info or said.startswith(f"{info} ")]


def commands(block):
    """(command, what it prints)."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [(part.partition("\n")[0], part.partition("\n")[2]) for part in parts]


def words_of(command):
    """Each call of signoff in a line of shell, as a list of words."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    calls, current = [], []
    for word in [*lexer, ";"]:
        if set(word) <= set("|&;<>"):
            calls.append(current)
            current = []
        else:
            current.append(word)
    calls = [[w for n, w in enumerate(call) if n or "=" not in w] for call in calls]
    return [call[1:] for call in calls if call and call[0] == "signoff"]


def same(line):
    for pattern, word in VARIES:
        line = pattern.sub(word, line)
    return line.rstrip()


def fit(shown, printed):
    """The printed lines that stand for the shown ones; None if they do not fit. `...` takes as little as it can."""
    if not shown:
        return None if any(line.strip() for line in printed) else []
    if shown[0] == "...":
        rests = (fit(shown[1:], printed[n:]) for n in range(len(printed) + 1))
        return next((rest for rest in rests if rest is not None), None)
    if not printed or same(shown[0]) != same(printed[0]):
        return None
    rest = fit(shown[1:], printed[1:])
    return None if rest is None else [(shown[0], printed[0]), *rest]


# --- Commands -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_command_shown_can_be_typed(document):
    for block in blocks(document, "console"):
        for command, _ in commands(block):
            for words in words_of(command):
                if words != ["--version"]:
                    assert parser().parse_args(words).command, command


@pytest.mark.timeout(120)  # dozens of processes, one after another
def test_what_is_marked_so_runs_and_prints_what_is_shown(tmp_path):
    shim = tmp_path / "bin" / "signoff"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m bots "$@"\n')
    shim.chmod(0o755)
    path = f"{shim.parent}:{os.environ['PATH']}"
    where, real, ran = tmp_path, {}, 0
    for document in DOCUMENTS:
        for block in blocks(document, "console run"):
            for written, shown in commands(block):
                command = ID.sub(lambda found: real.get(found[0], found[0]), written)
                if command.startswith("cd "):
                    where = where / command.removeprefix("cd ")
                    continue
                done = subprocess.run(
                    ["bash", "-c", command],
                    cwd=where,
                    env=environment(PATH=path, PYTHONPATH=str(ROOT)),
                    capture_output=True,
                    text=True,
                    timeout=15,
                    stdin=subprocess.DEVNULL,
                )
                printed = WRAPPED.sub(" · ", done.stdout + done.stderr).splitlines()
                pairs = fit(WRAPPED.sub(" · ", shown.rstrip("\n")).splitlines(), printed)
                assert pairs is not None, f"{name(document)}: {command}\n{chr(10).join(printed)}"
                for mine, theirs in pairs:
                    real.update(zip(ID.findall(mine), ID.findall(theirs), strict=True))
                ran += 1
    assert ran >= 8


def test_the_readme_shows_every_command_and_cli_md_describes_it():
    actions = parser()._subparsers._group_actions[0].choices
    for document in (ROOT / "README.md", ROOT / "docs" / "cli.md"):
        text = document.read_text("utf-8")
        missing = [word for word in actions if not re.search(rf"`(signoff )?{word}\b|, `?{word} |\b{word} ID", text)]
        assert not missing, f"{name(document)} does not mention {missing}"


def test_every_option_is_described():
    text = (ROOT / "docs" / "cli.md").read_text("utf-8")
    for command, one in parser()._subparsers._group_actions[0].choices.items():
        for action in one._actions:
            options = [o for o in action.option_strings if o not in {"-h", "--help"}]
            assert not options or any(o in text for o in options), f"{command} {options}"


# --- What programs read ---------------------------------------------------------------------------------------------


def table_under(text, heading):
    """The first cells of the table under a heading, the names in them."""
    part = text.split(heading, 1)[1].split("\n### ", 1)[0]
    cells = [line.split("|")[1] for line in part.splitlines() if line.startswith("| `")]
    return {word for cell in cells for word in re.findall(r"`(\w+)`", cell)}


def test_the_fields_of_json_are_exactly_those_described():
    """The real output is held to the same two sets in test_cli.py."""
    text = (ROOT / "docs" / "cli.md").read_text("utf-8")
    assert table_under(text, "### A task") == TASK_FIELDS
    assert table_under(text, "### An inquiry") == INQUIRY_FIELDS


def test_the_exit_codes_are_exactly_those_described():
    text = (ROOT / "docs" / "cli.md").read_text("utf-8").split("## Exit codes", 1)[1].split("## JSON", 1)[0]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)} == {int(code) for code in Exit}


# --- team.yaml ------------------------------------------------------------------------------------------------------


def kind_of(kind):
    """A type in the words of docs/workspace.md."""
    match kind:
        case inspect.LiteralType(values=values):
            return " or ".join(str(value) for value in values)
        case inspect.UnionType(types=types):
            return " or ".join("null" if isinstance(t, inspect.NoneType) else kind_of(t) for t in types)
        case inspect.VarTupleType(item_type=item):
            return f"list of {kind_of(item)}"
        case inspect.DictType(value_type=value):
            return f"mapping to {kind_of(value)}"
        case inspect.StructType():
            return "mapping"
        case inspect.AnyType():
            return "JSON Schema"
        case inspect.StrType(pattern=None):
            return "text"
        case inspect.StrType():
            return "name"
        case inspect.IntType():
            return "whole number"
        case inspect.FloatType():
            return "number"
        case inspect.BoolType():
            return "true or false"
    raise AssertionError(kind)


def struct_in(kind):
    """The struct a key holds, and what follows the key to reach it."""
    match kind:
        case inspect.StructType():
            return kind, ""
        case inspect.VarTupleType(item_type=inspect.StructType() as below):
            return below, "[]"
        case inspect.DictType(value_type=inspect.StructType() as below):
            return below, ".NAME"
        case inspect.UnionType(types=types):
            return next((found for t in types if (found := struct_in(t))[0]), (None, ""))
    return None, ""


def default_of(field):
    if field.required:
        return "required"
    default = field.default if field.default is not inspect.NODEFAULT else field.default_factory()
    if isinstance(default, msgspec.Struct):
        return "below"
    text = json.dumps(msgspec.to_builtins(default))
    return "none" if text in {"null", '""'} else text.strip('"')


def keys_of(shape, before=""):
    """(key, type, default) of every key there is, in the order of the manifest."""
    for field in shape.fields:
        key = before + field.encode_name
        yield key, kind_of(field.type), default_of(field)
        below, step = struct_in(field.type)
        if below:
            yield from keys_of(below, f"{key}{step}.")


def test_every_key_of_the_manifest_is_described_with_its_type_and_default():
    text = (ROOT / "docs" / "workspace.md").read_text("utf-8")
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]*) \| ([^|]*) \| ([^|]*) \|$", text, re.MULTILINE)
    described = [(key, kind.strip(), default.strip().strip("`")) for key, kind, default, _ in rows]
    assert described == list(keys_of(inspect.type_info(Manifest)))
    assert all(meaning.strip() for *_, meaning in rows)


# --- Files and places -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_between_files_resolve(document):
    text = FENCE.sub("", document.read_text("utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith(("http://", "https://", "#")):
            assert (document.parent / target.partition("#")[0]).exists(), target


def test_the_readme_names_only_files_that_exist():
    text = FENCE.sub("", (ROOT / "README.md").read_text("utf-8"))
    workspace = (ROOT, ROOT / "agents", ROOT / "agents" / "ceo")
    for named in re.findall(r"`((?:\./)?[\w./-]+\.(?:md|py|yaml|toml|sh|json|txt|db|log))`", text):
        if Path(named).name not in NOT_FILES:
            assert any((folder / named).exists() for folder in workspace), named


def test_the_package_shows_the_readme():
    assert 'readme = "README.md"' in (ROOT / "pyproject.toml").read_text("utf-8")
