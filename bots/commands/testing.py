"""`signoff test`: play the team's behaviour scenarios, and say in a line each whether it did as they say.

Laws of this file. With `offline` and `recorded` nothing leaves this machine. `real` costs money, so no tool's run may
start it. A recording is written only of a run that went as its scenario says.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from agents.behaviour import FOLDER, Happened, Miss, Scenario, Way, judge, read_scenario
from agents.team import KEYS, TeamErrors, load
from bots.app import Workspace, models_of, read_environment
from bots.commands.place import UsageError, refuse_inside_a_run, workspace_of
from bots.trying import Place, play
from core.adapters.models.offline import MODEL, OfflineModel
from core.adapters.models.recorded import Recorded, RecordedModel, Recorder, Recording, encode
from core.adapters.system import SystemClock, SystemIds
from core.model.errors import ConfigError, TerminalError
from core.model.team import ModelSpec, Team
from core.ports import ModelProvider

SECONDS_MAX: Final = 60.0
REAL_SECONDS_MAX: Final = 600.0
EXCERPT_LINES: Final = 14
PROVIDERS: Final = ("anthropic", "openai", "offline", "scripted")
SUFFIXES: Final = (".yaml", ".yml")
STALE: Final = "the recording is stale: run with --record"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One scenario, played or not. `stale`: where its recording did not fit any more."""

    file: str
    name: str
    way: str
    status: str  # ok, stale, failed, skipped
    misses: tuple[Miss, ...] = ()
    stale: tuple[str, ...] = ()
    note: str = ""
    ms: int = 0
    happened: Happened | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """A scenario and where it was read."""

    path: Path
    file: str
    scenario: Scenario

    @property
    def recording(self) -> Path:
        """Its recording lies beside it."""
        return recording_of(self.path)


def recording_of(path: Path) -> Path:
    """`hello.yaml` has `hello.recording.json`."""
    return path.with_name(f"{path.stem}.recording.json")


def test(parsed: argparse.Namespace) -> int:
    """Exit code 1 if one failed; stale ones and skipped ones do not count as failed."""
    if parsed.record and parsed.model not in {None, "real"}:
        raise UsageError("--record records the real model", "leave out --model")
    chosen: Way | None = "real" if parsed.record else parsed.model
    if chosen == "real":
        refuse_inside_a_run()
    workspace = workspace_of(parsed)
    environ = read_environment(workspace, os.environ)
    teams = {way: team_for(way, workspace.root, environ) for way in _ways(chosen)}
    plays = read_all(_target(parsed, workspace), workspace.root, next(iter(teams.values())))
    if parsed.role is not None:
        plays = [one for one in plays if _concerns(one.scenario, parsed.role)]
    outcomes = asyncio.run(_all(plays, chosen, teams, workspace, environ, record=parsed.record, as_json=parsed.json))
    if not parsed.json:
        print(_summary(outcomes))
    return int(any(outcome.status == "failed" for outcome in outcomes))


def _ways(chosen: Way | None) -> tuple[Way, ...]:
    return (chosen,) if chosen else ("recorded", "offline")


def _target(parsed: argparse.Namespace, workspace: Workspace) -> Path:
    return Path(parsed.path).expanduser().resolve() if parsed.path else workspace.root / FOLDER


# --- What is played -------------------------------------------------------------------------------------------------


def read_all(target: Path, root: Path, team: Team) -> list[Play]:
    """One file, or all of a folder, in the order of their names. Raises TeamErrors with everything that is wrong."""
    paths = [target] if target.is_file() else sorted(p for p in target.glob("*") if p.suffix in SUFFIXES)
    if not paths:
        raise TerminalError(f"there are no scenarios at {target}", "docs/testing.md shows how to write one")
    plays: list[Play] = []
    errors: list[ConfigError] = []
    for path in paths:
        file = str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
        document = read_scenario(path, file, team)
        errors += document.errors
        if document.value is not None:
            plays.append(Play(path=path, file=file, scenario=document.value))
    if errors:
        raise TeamErrors(tuple(errors))
    return plays


def team_for(way: Way, root: Path, environ: Mapping[str, str]) -> Team:
    """The workspace's team. Recordings are priced as the preset says, whether or not there is a key."""
    keyless = {name: value for name, value in environ.items() if name not in KEYS}
    match way:
        case "offline":
            team = load(root, environ=keyless)
            offline = ModelSpec(provider=MODEL, model=MODEL)
            return msgspec.structs.replace(team, models=dict.fromkeys(team.models, offline))
        case "recorded":
            return load(root, environ={**keyless, KEYS[0]: "not needed"})
        case "real":
            team = load(root, environ=environ)
            if any(model.provider == MODEL for model in team.models.values()):
                raise TerminalError("there is no key for a real model", f"set {KEYS[0]}, or choose the preset local")
            return team


def _concerns(scenario: Scenario, role: str) -> bool:
    expect = scenario.expect
    rows = [expect.delegation, expect.tool, expect.inquiry]
    each = [row for one in rows for row in (one if isinstance(one, tuple) else (one,))]
    named = {getattr(row, name, None) for row in each for name in ("to", "source", "role")}
    return role in named | {scenario.to} | {turn.to for turn in scenario.turns}


# --- Playing --------------------------------------------------------------------------------------------------------


async def _all(
    plays: Sequence[Play],
    chosen: Way | None,
    teams: Mapping[Way, Team],
    workspace: Workspace,
    environ: Mapping[str, str],
    *,
    record: bool,
    as_json: bool,
) -> list[Outcome]:
    outcomes = []
    for one in plays:
        outcome = await play_one(one, chosen, teams, workspace.root, environ, record=record)
        print(_json_of(outcome) if as_json else "\n".join(lines_of(outcome)), flush=True)
        outcomes.append(outcome)
    return outcomes


async def play_one(
    one: Play,
    chosen: Way | None,
    teams: Mapping[Way, Team],
    root: Path,
    environ: Mapping[str, str],
    *,
    record: bool = False,
    provider: ModelProvider | None = None,
) -> Outcome:
    """Play it with the model that was chosen; without one, from its recording if there is one. `provider` stands in
    for every vendor of `real`.
    """
    way: Way = chosen or ("recorded" if one.recording.is_file() else "offline")
    if way not in one.scenario.models:
        return _skipped(one, way, f"it is for: {', '.join(one.scenario.models)}")
    if way == "recorded" and not one.recording.is_file():
        return _skipped(one, way, "there is no recording; run with --record")
    kept: list[Recorded] = []
    models, recorded = _models(one, way, environ, kept, provider)
    scratch = Path(tempfile.mkdtemp(prefix="signoff-test-"))
    clock = SystemClock()
    begun_ms = clock.monotonic_ms()
    try:
        place = Place(workspace=root, scratch=scratch, environ=environ)
        seconds_max = REAL_SECONDS_MAX if way == "real" else SECONDS_MAX
        happened = await play(one.scenario, teams[way], models, place, seconds_max=seconds_max)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        if way == "real" and provider is None:
            for model in models.values():
                await model.close()
    misses = judge(one.scenario, happened)
    stale = tuple(recorded.stale) if recorded else ()
    note = STALE if stale else ""
    if record:
        note = _write(one, kept, clock, provider) if not misses else "not recorded: it did not go as the scenario says"
    return Outcome(
        file=one.file,
        name=one.scenario.name,
        way=way,
        status="failed" if misses else "stale" if stale else "ok",
        misses=misses,
        stale=stale,
        note=note,
        ms=clock.monotonic_ms() - begun_ms,
        happened=happened,
    )


def _skipped(one: Play, way: Way, why: str) -> Outcome:
    return Outcome(file=one.file, name=one.scenario.name, way=way, status="skipped", note=why)


def _models(
    one: Play, way: Way, environ: Mapping[str, str], kept: list[Recorded], provider: ModelProvider | None
) -> tuple[Mapping[str, ModelProvider], RecordedModel | None]:
    match way:
        case "offline":
            return {MODEL: OfflineModel()}, None
        case "recorded":
            recorded = RecordedModel(read_recording(one.recording))
            return dict.fromkeys(PROVIDERS, recorded), recorded
        case "real" if provider is not None:
            return dict.fromkeys(PROVIDERS, Recorder(provider, kept)), None
        case "real":
            real = models_of(environ, SystemClock(), SystemIds(), _say_wait)
            return {name: Recorder(model, kept) for name, model in real.items()}, None


def _say_wait(_task: str, line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def read_recording(path: Path) -> Recording:
    """Raises ConfigError for one that cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Recording)
    except msgspec.DecodeError as error:
        raise ConfigError(f"no recording ({error})", file=str(path), expected="what --record writes") from error


def _write(one: Play, kept: Sequence[Recorded], clock: SystemClock, provider: ModelProvider | None) -> str:
    models = ", ".join(sorted({reply.reply.model for reply in kept}))
    day = datetime.fromtimestamp(clock.now_ms() / 1000, UTC).date().isoformat()
    source = getattr(provider, "source", "") or f"what {models or 'nobody'} said on {day}"
    temporary = one.recording.with_name(f"{one.recording.name}.new")
    temporary.write_bytes(encode(Recording(source=source, replies=tuple(kept))))
    temporary.replace(one.recording)
    return f"recorded in {one.recording.name}"


# --- The report -----------------------------------------------------------------------------------------------------


def lines_of(outcome: Outcome) -> Iterator[str]:
    happened = outcome.happened
    if happened is None:
        yield f"{outcome.status:<8}{outcome.name}: {outcome.note}"
        return
    turns = f"{happened.turns} {'turn' if happened.turns == 1 else 'turns'}"
    spent = f"{turns} · {happened.tokens:,} tokens · {_usd(happened.cost_microusd)} · {outcome.ms} ms"
    note = f" · {outcome.note}" if outcome.note else ""
    yield f"{outcome.status:<8}{outcome.name} · {outcome.way} · {spent}{note}"
    for line in outcome.stale:
        yield f"        {line}"
    for miss in outcome.misses:
        yield f"        expected: {miss.expected}"
        yield f"        got:      {miss.got}"
    if outcome.misses:
        left_out = len(happened.transcript) - EXCERPT_LINES
        yield f"        what happened in {outcome.file}:" + (
            f" (the last of {EXCERPT_LINES + left_out} lines)" * (left_out > 0)
        )
        for line in happened.transcript[-EXCERPT_LINES:]:
            yield f"          {line}"


def _summary(outcomes: Sequence[Outcome]) -> str:
    counts = [
        (status, sum(one.status == status for one in outcomes)) for status in ("ok", "failed", "stale", "skipped")
    ]
    cost = sum(one.happened.cost_microusd for one in outcomes if one.happened and one.way == "real")
    said = ", ".join(f"{n} {status}" for status, n in counts if n) or "nothing to play"
    return said + (f"; spent {_usd(cost)}" if cost else "")


def _usd(microusd: int) -> str:
    return f"${microusd / 1_000_000:.4f}"


def _json_of(outcome: Outcome) -> str:
    happened = outcome.happened
    told: dict[str, Any] = {
        "scenario": outcome.name,
        "file": outcome.file,
        "model": outcome.way,
        "status": outcome.status,
        "note": outcome.note or None,
        "misses": [{"expected": miss.expected, "got": miss.got} for miss in outcome.misses],
        "stale": list(outcome.stale),
        "turns": happened.turns if happened else None,
        "tokens": happened.tokens if happened else None,
        "cost_usd": happened.cost_microusd / 1_000_000 if happened else None,
        "ms": outcome.ms,
        "transcript": list(happened.transcript) if happened else [],
    }
    return msgspec.json.encode(told).decode()
