"""Behaviour scenarios: what is said to the team, what it must then do, and whether it did. Grammar and verdict, pure.

Law: a scenario speaks of what can be seen from outside (who was given work, which tool ran with what, what people were
asked and told, what it cost), never of a prompt's words or of how a model puts things. What it does not mention may be
either way. Files are read by the manifest's reader: one reading finds every error, with its line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from agents.manifest import Document, read_file
from agents.rows import Amount, Count, Name, Positive
from core.model.inquiries import InquiryState, Kind
from core.model.team import Json, Team, Tier

Way = Literal["offline", "recorded", "real"]
FOLDER: Final = "agents/scenarios"
NO_ROLE: Final = "one of the team's roles: "
NO_TOOL: Final = "one of the team's tools: "
_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_TEXT_MAX: Final = 200

# --- Grammar --------------------------------------------------------------------------------------------------------


class TurnRow(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happens: somebody says something, decides the newest open inquiry, or time passes."""

    say: str = ""
    press: Literal["approve", "deny", "answer", "askback", "dismiss", ""] = ""
    wait: str = ""
    text: str = ""
    by: Name | None = None
    to: Name | None = None


class CannedRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a mocked tool answers to calls whose arguments have all of `when`."""

    text: str = ""
    fails: str = ""
    untrusted: bool = False
    when: dict[str, Json] = {}


class DelegationRow(msgspec.Struct, frozen=True, kw_only=True):
    to: Name
    kind: Name | None = None
    source: Name | None = msgspec.field(default=None, name="from")


class CallRow(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    arguments: dict[str, Json] = {}
    role: Name | None = None


class AskedRow(msgspec.Struct, frozen=True, kw_only=True):
    kind: Literal["approval", "choice", "question", "form", "review", "reconcile", "policy"] | None = None
    tier: Literal["read", "internal", "external", "financial", "infrastructure"] | None = None
    tool: str | None = None
    verb: str | None = None
    role: Name | None = None
    state: Literal["open", "approved", "denied", "answered", "dismissed", "expired", "cancelled"] | None = None


class RefusalRow(msgspec.Struct, frozen=True, kw_only=True):
    """Nobody acts; every one of the words is said."""

    words: tuple[str, ...] = ()


class AnswerRow(msgspec.Struct, frozen=True, kw_only=True):
    contains: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


class ExpectRow(msgspec.Struct, frozen=True, kw_only=True):
    delegation: DelegationRow | tuple[DelegationRow, ...] = ()
    no_delegation: bool = False
    tool: CallRow | tuple[CallRow, ...] = ()
    no_tool: bool | tuple[str, ...] = False
    inquiry: AskedRow | tuple[AskedRow, ...] = ()
    no_inquiry: bool = False
    inquiries: Count | None = None
    refusal: RefusalRow | None = None
    answer: AnswerRow | None = None
    cost_under: Amount | None = None
    turns_under: Positive | None = None
    ends: Literal["done", "waiting", "failed", "handed_over"] | None = None
    nobody_else: bool = False


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """A file. `models`: what it is meaningful with; the built-in model does no work of its own."""

    name: str
    about: str = ""
    say: str | tuple[str | TurnRow, ...]
    to: Name | None = None
    models: tuple[Way, ...] = ("offline", "recorded", "real")
    tools: dict[str, CannedRow | tuple[CannedRow, ...]] = {}
    real_tools: tuple[str, ...] = ()
    files: dict[str, str] = {}
    expect: ExpectRow

    @property
    def turns(self) -> tuple[TurnRow, ...]:
        """What happens, in order."""
        said = (self.say,) if isinstance(self.say, str) else self.say
        return tuple(TurnRow(say=one, to=self.to) if isinstance(one, str) else one for one in said)

    def canned(self, tool: str) -> tuple[CannedRow, ...]:
        """What a mocked tool answers, the first that fits."""
        return _several(self.tools.get(tool, ()))


def read_scenario(path: Path, file: str, team: Team) -> Document[Scenario]:
    """One scenario, held against the team it is for: every error with its line."""
    document = read_file(path, file, Scenario)
    scenario = document.value
    if scenario is None:
        return document
    known = {spec.name for role in team.roles.values() for spec in role.specs} | set(team.tools)
    for role, *where in _roles(scenario):
        if role not in team.roles:
            document.fail(f"there is no role {role}", NO_ROLE + ", ".join(team.roles), *where)
    for tool, *where in _tools(scenario):
        if tool not in known:
            document.fail(f"there is no tool {tool}", NO_TOOL + ", ".join(sorted(known)), *where)
    if not scenario.turns:
        document.fail("nothing is said", "at least one turn", "say")
    for n, turn in enumerate(scenario.turns):
        _check_turn(document, team, n, turn)
    for name in scenario.files:
        if name.startswith("/") or ".." in Path(name).parts:
            document.fail(f"{name} is no path below files/", "shared/notes.md, developer/page.html", "files", name)
    return document


def _check_turn(document: Document[Scenario], team: Team, n: int, turn: TurnRow) -> None:
    done = [verb for verb in ("say", "press", "wait") if getattr(turn, verb)]
    if len(done) != 1:
        document.fail(f"{len(done)} of say, press and wait", "exactly one of them", "say", n)
    if turn.wait and seconds_of(turn.wait) is None:
        document.fail(f"wait: {turn.wait!r}", "a number and s, m, h or d: 90s, 2h", "say", n, "wait")
    if turn.by is not None and team.person(turn.by) is None:
        people = ", ".join(person.id for person in team.people)
        document.fail(f"there is no person {turn.by}", f"one of: {people}", "say", n, "by")


def _roles(scenario: Scenario) -> Iterable[tuple[Any, ...]]:
    expect = scenario.expect
    found: list[tuple[Any, ...]] = [(scenario.to, "to")]
    found += [(turn.to, "say", n, "to") for n, turn in enumerate(scenario.turns)]
    found += [(row.to, "expect", "delegation") for row in _several(expect.delegation)]
    found += [(row.source, "expect", "delegation") for row in _several(expect.delegation)]
    found += [(row.role, "expect", "tool") for row in _several(expect.tool)]
    found += [(row.role, "expect", "inquiry") for row in _several(expect.inquiry)]
    return [one for one in found if one[0] is not None]


def _tools(scenario: Scenario) -> Iterable[tuple[Any, ...]]:
    expect = scenario.expect
    yield from ((name, "tools", name) for name in scenario.tools)
    yield from ((name, "real_tools", n) for n, name in enumerate(scenario.real_tools))
    yield from ((row.name, "expect", "tool") for row in _several(expect.tool))
    yield from ((name, "expect", "no_tool") for name in (expect.no_tool if isinstance(expect.no_tool, tuple) else ()))
    yield from ((row.tool, "expect", "inquiry") for row in _several(expect.inquiry) if row.tool is not None)


def seconds_of(text: str) -> int | None:
    """`90s`, `2h`: in seconds; None for anything else."""
    number, unit = text[:-1], text[-1:]
    return int(number) * _UNITS[unit] if number.isascii() and number.isdigit() and unit in _UNITS else None


def _several(rows: Any) -> tuple[Any, ...]:
    return rows if isinstance(rows, tuple) else (rows,)


# --- What happened --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Handing:
    """A role was given work."""

    source: str
    target: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A tool was run, or its mock: past every gate."""

    role: str
    tool: str
    arguments: dict[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """People were asked."""

    role: str
    kind: Kind
    tier: Tier
    state: InquiryState
    tool: str = ""
    verb: str = ""
    question: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """All that a scenario may speak of. `workers`: the roles whose tasks nobody below them did, one for each task."""

    ends: str
    answers_n: int = 0
    told: tuple[str, ...] = ()
    handings: tuple[Handing, ...] = ()
    ran: tuple[Ran, ...] = ()
    asked: tuple[Asked, ...] = ()
    workers: tuple[str, ...] = ()
    requests_n: int = 1
    turns: int = 0
    tokens: int = 0
    cost_microusd: int = 0
    trouble: tuple[str, ...] = ()
    transcript: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """One expectation that was not met."""

    expected: str
    got: str


def judge(scenario: Scenario, happened: Happened) -> tuple[Miss, ...]:
    """What was not as expected, in the order of the grammar; a scenario that could not be played as written, too."""
    expect = scenario.expect
    misses = [Miss(expected="the scenario can be played", got=line) for line in happened.trouble]
    misses += _judge_work(expect, happened)
    misses += _judge_asked(expect, happened)
    misses += _judge_words(expect, happened)
    cost_usd = happened.cost_microusd / 1_000_000
    if expect.cost_under is not None and cost_usd >= expect.cost_under:
        misses.append(Miss(expected=f"costs under ${expect.cost_under:g}", got=f"${cost_usd:.4f}"))
    if expect.turns_under is not None and happened.turns >= expect.turns_under:
        misses.append(Miss(expected=f"under {expect.turns_under} turns", got=f"{happened.turns}"))
    if expect.ends is not None and happened.ends != expect.ends:
        misses.append(Miss(expected=f"ends {expect.ends}", got=happened.ends))
    if expect.nobody_else and (len(happened.workers) > happened.requests_n or happened.answers_n > happened.requests_n):
        got = f"{happened.answers_n} answers, work by {_listed(happened.workers)}"
        misses.append(Miss(expected="exactly one role answers", got=got))
    return tuple(misses)


def _judge_work(expect: ExpectRow, happened: Happened) -> Iterable[Miss]:
    handings = [f"{h.source} -> {h.target} ({h.kind})" for h in happened.handings]
    for row in _several(expect.delegation):
        if not any(_handed(row, one) for one in happened.handings):
            said = f"{row.source or 'somebody'} -> {row.to}" + (f" ({row.kind})" if row.kind else "")
            yield Miss(expected=f"delegation {said}", got=_listed(handings))
    if expect.no_delegation and handings:
        yield Miss(expected="no delegation", got=_listed(handings))
    ran = [f"{r.role}: {_call(r.tool, r.arguments)}" for r in happened.ran]
    for row in _several(expect.tool):
        if not any(_called(row, one) for one in happened.ran):
            yield Miss(expected=f"tool {_call(row.name, row.arguments)}", got=_listed(ran))
    match expect.no_tool:
        case True if ran:
            yield Miss(expected="no tool", got=_listed(ran))
        case tuple() as names if any(one.tool in names for one in happened.ran):
            yield Miss(expected=f"no tool {', '.join(names)}", got=_listed(ran))
        case _:
            pass


def _judge_asked(expect: ExpectRow, happened: Happened) -> Iterable[Miss]:
    asked = [f"{a.role}: {a.kind} {a.tool or a.question[:60]} ({a.tier}, {a.state})" for a in happened.asked]
    for row in _several(expect.inquiry):
        if not any(_was_asked(row, one) for one in happened.asked):
            wanted = ", ".join(f"{k}: {v}" for k, v in msgspec.structs.asdict(row).items() if v is not None)
            yield Miss(expected=f"inquiry {{{wanted}}}", got=_listed(asked))
    if expect.no_inquiry and asked:
        yield Miss(expected="no inquiry", got=_listed(asked))
    if expect.inquiries is not None and len(asked) != expect.inquiries:
        yield Miss(expected=f"{expect.inquiries} inquiries", got=f"{len(asked)}: {_listed(asked)}")


def _judge_words(expect: ExpectRow, happened: Happened) -> Iterable[Miss]:
    said = "\n".join(happened.told)
    if expect.refusal is not None:
        if happened.ran:
            yield Miss(expected="nobody acts", got=_listed([_call(r.tool, r.arguments) for r in happened.ran]))
        yield from _lacking(expect.refusal.words, said)
    if expect.answer is not None:
        yield from _lacking(expect.answer.contains, said)
        there = [word for word in expect.answer.lacks if word.lower() in said.lower()]
        if there:
            yield Miss(expected=f"nothing said of {_listed(there)}", got=_short(said))


def _lacking(words: Sequence[str], said: str) -> Iterable[Miss]:
    missing = [word for word in words if word.lower() not in said.lower()]
    if missing:
        yield Miss(expected=f"it is said: {_listed(missing)}", got=_short(said))


def _handed(row: DelegationRow, one: Handing) -> bool:
    return row.to == one.target and row.kind in {None, one.kind} and row.source in {None, one.source}


def _called(row: CallRow, one: Ran) -> bool:
    return row.name == one.tool and row.role in {None, one.role} and contains(one.arguments, row.arguments)


def _was_asked(row: AskedRow, one: Asked) -> bool:
    open_ = row.state == "open" and not one.state.final
    return (
        row.kind in {None, one.kind.value}
        and row.tier in {None, one.tier.value}
        and row.tool in {None, one.tool}
        and row.verb in {None, one.verb}
        and row.role in {None, one.role}
        and (open_ or row.state in {None, one.state.value})
    )


def contains(whole: Json, part: Json) -> bool:
    """Whether all that is in `part` is in `whole`, at any depth; lists are compared whole."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(k in whole and contains(whole[k], v) for k, v in part.items())
    return bool(whole == part)


def _call(name: str, arguments: dict[str, Json]) -> str:
    return f"{name} {_short(msgspec.json.encode(arguments).decode())}" if arguments else name


def _listed(items: Sequence[str]) -> str:
    return "; ".join(items) if items else "nothing"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return (line if len(line) <= _TEXT_MAX else line[: _TEXT_MAX - 1] + "…") or "nothing"
