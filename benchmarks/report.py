"""The targets, the table, and the rule for the exit code: a row that misses is news, one that is not there an error.

Disks differ by twenty times, so targets are ratios within one run wherever speed is meant.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final


class Want(StrEnum):
    """Which side of the bound is good."""

    AT_LEAST = "≥"
    AT_MOST = "≤"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A row that must be there. Without a bound it is an anchor: a figure to read the others by."""

    key: str
    says: str
    unit: str
    want: Want = Want.AT_LEAST
    bound: float | None = None
    digits: int = 0
    peer: bool = False  # measured only when peers are


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What was measured for the row of this key: a value, or why there is none."""

    key: str
    value: float | None = None
    note: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the table."""

    key: str
    says: str
    value: float | None
    shown: str
    target: str
    verdict: str  # kept, missed, error, missing, or "" for an anchor
    note: str


TARGETS: Final = (
    Target(key="raw-64", says="raw SQL, 64 units a commit", unit="/s"),
    Target(key="raw-1", says="raw SQL, 1 unit a commit", unit="/s"),
    Target(key="step-64", says="durable step, 64 tasks", unit="/s"),
    Target(key="step-16", says="durable step, 16 tasks", unit="/s"),
    Target(key="step-1", says="durable step, 1 task", unit="/s"),
    Target(key="step-64-raw", says="durable step, 64 tasks / raw 64", unit="", bound=0.20, digits=2),
    Target(key="step-1-raw", says="durable step, 1 task / raw 1", unit="", bound=0.20, digits=2),
    Target(key="effect-step", says="step with an ungated effect / without, 16", unit="", bound=0.40, digits=2),
    Target(key="approval-16", says="whole approval, 16 at once", unit="/s"),
    Target(key="langgraph-step", says="LangGraph sync, step, 16 tasks", unit="/s", peer=True),
    Target(key="langgraph-approval", says="LangGraph, interrupt + resume, 16", unit="/s", peer=True),
    Target(key="dbos-step", says="DBOS on SQLite, step, 16 tasks", unit="/s", peer=True),
    Target(key="dbos-approval", says="DBOS on SQLite, recv + send, 16", unit="/s", peer=True),
    Target(key="step-langgraph", says="step, 16 tasks, against LangGraph", unit="x", bound=10, digits=1, peer=True),
    Target(key="approval-langgraph", says="approval, 16, against LangGraph", unit="x", bound=10, digits=1, peer=True),
    Target(key="step-dbos", says="step, 16 tasks, against DBOS", unit="x", digits=1, peer=True),
    Target(key="approval-dbos", says="approval, 16, against DBOS", unit="x", digits=1, peer=True),
    Target(key="inquiries-memory", says="open inquiries: memory added", unit=" MB", want=Want.AT_MOST, bound=20),
    Target(
        key="inquiries-cpu",
        says="open inquiries: idle CPU above an empty workspace",
        unit=" %",
        want=Want.AT_MOST,
        bound=0.5,
        digits=1,
    ),
    Target(key="inquiries-ready", says="open inquiries: restart to ready", unit=" ms", want=Want.AT_MOST, bound=1000),
    Target(
        key="inbox-page",
        says="inbox page among 100,000 open inquiries",
        unit=" ms",
        want=Want.AT_MOST,
        bound=50,
        digits=1,
    ),
    Target(
        key="memory-search",
        says="memory search over 100,000 entries",
        unit=" ms",
        want=Want.AT_MOST,
        bound=20,
        digits=1,
    ),
    Target(
        key="memory-view",
        says="what a task is shown of as many, at its start",
        unit=" ms",
        want=Want.AT_MOST,
        bound=20,
        digits=1,
    ),
    Target(key="reply", says="message in to reply out", unit=" ms", digits=1),
    Target(key="reply-commits", says="commits one after another on that way", unit="", want=Want.AT_MOST, bound=7),
    Target(
        key="reply-over",
        says="time on that way beside their raw cost",
        unit=" ms",
        want=Want.AT_MOST,
        bound=10,
        digits=1,
    ),
    Target(key="version", says="signoff --version", unit=" ms", want=Want.AT_MOST, bound=150),
    Target(key="ready", says="start to ready to serve", unit=" ms", want=Want.AT_MOST, bound=1000),
    Target(key="memory-idle", says="memory, twelve roles, idle", unit=" MB", want=Want.AT_MOST, bound=60),
    Target(key="memory-used", says="memory after 20 messages", unit=" MB", want=Want.AT_MOST, bound=120),
    Target(key="console-reply", says="reply at the console, as seen there", unit=" ms", digits=1),
    Target(
        key="platform-over",
        says="reply on the slowest platform, above that",
        unit=" ms",
        want=Want.AT_MOST,
        bound=15,
        digits=1,
    ),
    Target(key="platform-memory", says="memory, one platform", unit=" MB", want=Want.AT_MOST, bound=75),
    Target(key="platforms-memory", says="memory, three platforms", unit=" MB", want=Want.AT_MOST, bound=110),
    Target(key="crowd-lost", says="50 messages a second: lost", unit="", want=Want.AT_MOST, bound=0),
    Target(
        key="crowd-order", says="50 messages a second: conversations out of order", unit="", want=Want.AT_MOST, bound=0
    ),
    Target(
        key="crowd-tail", says="50 messages a second: p99 / median", unit="x", want=Want.AT_MOST, bound=10, digits=1
    ),
    Target(key="team-12", says="load and check 12 roles", unit=" ms", want=Want.AT_MOST, bound=150, digits=1),
    Target(key="team-500", says="load and check 500 roles", unit=" ms", want=Want.AT_MOST, bound=2_000),
    Target(key="team-look", says="has a file of 500 roles changed?", unit=" ms", digits=1),
    Target(key="first-body", says='first model request for "hello"', unit=" bytes", want=Want.AT_MOST, bound=8191),
    Target(key="prefix", says="the second request keeps the first's prefix", unit="", bound=1),
    Target(key="prefix-new", says="of the second request, not in the first", unit=" %", want=Want.AT_MOST, bound=20),
    Target(key="task-tokens", says="a deploy that is approved, three roles, whole", unit=" tokens"),
)
"""Every row of the table of targets, and the anchors that the ratios are made of."""


def tabulate(figures: Iterable[Figure], targets: Iterable[Target] = TARGETS, *, peers: bool = True) -> list[Row]:
    """One row for each target that belongs to this run, in order, whether or not anything was measured."""
    found: Mapping[str, Figure] = {figure.key: figure for figure in figures}
    return [_row(target, found.get(target.key)) for target in targets if peers or not target.peer]


def _row(target: Target, figure: Figure | None) -> Row:
    bound = "" if target.bound is None else f"{target.want} {target.bound:g}{target.unit}"
    value = figure.value if figure else None
    if figure is None:
        verdict, note = "missing", "nothing was measured"
    elif figure.error or value is None:
        verdict, note = "error", figure.error or "no value"
    else:
        verdict, note = _verdict(target, value), figure.note
    shown = "-" if value is None else f"{value:,.{target.digits}f}{target.unit}"
    return Row(key=target.key, says=target.says, value=value, shown=shown, target=bound, verdict=verdict, note=note)


def _verdict(target: Target, value: float) -> str:
    if target.bound is None:
        return ""
    good = value >= target.bound if target.want is Want.AT_LEAST else value <= target.bound
    return "kept" if good else "missed"


def render(rows: Iterable[Row]) -> str:
    """The table, for a terminal."""
    head = ("row", "measured", "target", "", "note")
    lines = [head, *((row.says, row.shown, row.target, row.verdict, row.note) for row in rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(4)]
    ruled = [
        f"{line[0]:<{widths[0]}}  {line[1]:>{widths[1]}}  {line[2]:<{widths[2]}}  {line[3]:<{widths[3]}}  {line[4]}"
        for line in lines
    ]
    return "\n".join((ruled[0].rstrip(), "-" * sum((*widths, 8)), *(line.rstrip() for line in ruled[1:])))


def as_json(rows: Iterable[Row], **about: object) -> str:
    """The same for programs."""
    return json.dumps({**about, "rows": [asdict(row) for row in rows]}, indent=2, ensure_ascii=False) + "\n"


def exit_code(rows: Iterable[Row]) -> int:
    """0 when every row is there, kept or missed; 1 when one is missing or broke."""
    return int(any(row.verdict in {"missing", "error"} for row in rows))
