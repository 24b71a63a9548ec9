"""The house rules that no other tool checks."""

import ast
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("bots", "core", "agents", "schedules")
PLATFORMS = ("console", "telegram", "discord", "slack")
LOCKS = ("run.txt", "dev.txt")
FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 500
IMPURE = {
    *("asyncio", "logging", "os", "random", "secrets", "socket", "sqlite3", "subprocess", "time", "uuid"),
    *("aiosqlite", "anthropic", "apscheduler", "httpx", "openai", "prompt_toolkit", "structlog"),
}

# Split, so that this file does not name what it forbids.
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:" + "wo" + "rk|ro" + "ot)/")
HOSTS = ("pypi" + ".org", "pythonhosted" + ".org", "npmjs" + ".org", "npmjs" + ".com", "debian" + ".org")


def modules() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def texts() -> Iterator[tuple[Path, str]]:
    """Every text a commit could hold; git knows what is ignored."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("only git can tell what is ours")
    listing = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        try:
            yield Path(name), (ROOT / name).read_text("utf-8")
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue  # binary, just deleted, or a link to a folder


def contracts() -> dict[str, dict[str, Any]]:
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    assert set(linter["root_packages"]) == set(PACKAGES)
    assert linter["include_external_packages"]
    return {contract["name"]: contract for contract in linter["contracts"]}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_other_distribution_claims_our_import_names(package):
    assert set(importlib.metadata.packages_distributions()[package]) == {"signoff"}


@pytest.mark.parametrize("name", LOCKS)
def test_lock_names_no_index(name):
    text = (ROOT / "requirements" / name).read_text("utf-8")
    for forbidden in ("://", "--index-url", "--extra-index-url", "--find-links", "--trusted-host", " @ "):
        assert forbidden not in text


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_is_pinned_with_a_hash(name):
    text = (ROOT / "requirements" / name).read_text("utf-8").replace("\\\n", " ")
    requirements = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert requirements
    for requirement in requirements:
        assert re.match(r"[a-z0-9-]+(\[[a-z0-9,-]+\])?==\S+ .*--hash=sha256:[0-9a-f]{64}", requirement), requirement


def test_both_locks_pin_the_same_versions():
    run, dev = (
        dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements" / name).read_text("utf-8"), re.MULTILINE))
        for name in LOCKS
    )
    assert run.items() <= dev.items()


def test_no_module_is_too_long():
    lines = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in modules()}
    assert {path: count for path, count in lines.items() if count > MODULE_LINES_MAX} == {}


def test_no_function_is_too_long():
    long = {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX
    }
    assert long == {}


def test_layers_are_contracts():
    assert contracts()["layers"]["layers"] == ["bots", "schedules | agents", "core"]
    inner = contracts()["layers in core"]
    assert inner["containers"] == ["core"]
    assert inner["layers"] == ["runtime | adapters", "(ports)", "rules", "model"]


def test_platforms_are_strangers_by_contract():
    platforms = {f"bots.{name}" for name in PLATFORMS if (ROOT / "bots" / name / "__init__.py").exists()}
    assert set(contracts()["platforms never import each other"]["modules"]) == platforms
    engine = contracts()["platforms import no engine"]
    assert set(engine["source_modules"]) == platforms
    assert set(engine["forbidden_modules"]) == {"core.runtime", "core.adapters"}


def imported(path: Path) -> Iterator[str]:
    """Top names, those that are loaded when they are needed too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (alias.name.partition(".")[0] for alias in names)
            case ast.ImportFrom(module=str(module)):
                yield module.partition(".")[0]
            case ast.Call(args=[ast.Attribute(attr="import_module"), ast.Constant(value=str(module)), *_]):
                yield module.partition(".")[0]


def distributions(requirements: Iterable[str]) -> set[str]:
    names = (re.match(r"[\w.-]+", one)[0] for one in requirements if "extra ==" not in one)
    return {name.lower().replace("_", "-") for name in names}


@pytest.mark.parametrize("platform", ["telegram", "discord", "slack"])
def test_an_extra_installs_what_its_platform_imports(platform):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = distributions((*project["dependencies"], *project["optional-dependencies"][platform]))
    known = importlib.metadata.packages_distributions()
    here = {found for found_all in known.values() for found in distributions(found_all)}
    while (
        new := {one for name in named & here for one in distributions(importlib.metadata.requires(name) or ())} - named
    ):
        named |= new
    tops = {top for path in (ROOT / "bots" / platform).rglob("*.py") for top in imported(path)}
    foreign = tops - set(PACKAGES) - sys.stdlib_module_names
    assert {"telegram", "discord", "slack_bolt"} & foreign
    assert {top for top in foreign if not distributions(known[top]) & named} == set()


def test_purity_is_a_contract():
    purity = contracts()["purity"]
    prompts = {"agents.prompts"} if (ROOT / "agents" / "prompts.py").exists() else set()
    assert set(purity["source_modules"]) == {"core.model", "core.rules", "bots.*.wire"} | prompts
    assert set(purity["forbidden_modules"]) >= IMPURE


def test_no_contract_has_exceptions():
    assert [name for name, contract in contracts().items() if contract.get("ignore_imports")] == []


def test_no_text_names_this_machine_or_a_registry():
    guilty = [
        f"{path}:{number}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), start=1)
        if MACHINE_PATH.search(line) or any(host in line for host in HOSTS)
    ]
    assert guilty == []
