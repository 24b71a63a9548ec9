from __future__ import annotations

import json

from benchmarks.report import TARGETS, Figure, Target, Want, as_json, exit_code, render, tabulate

SPEED = Target(key="speed", says="how fast", unit="x", bound=10, digits=1)
SIZE = Target(key="size", says="how large", unit=" MB", want=Want.AT_MOST, bound=60)
ANCHOR = Target(key="raw", says="raw", unit="/s")
PEER = Target(key="peer", says="a peer", unit="/s", peer=True)
ALL = (SPEED, SIZE, ANCHOR, PEER)
GOOD = (Figure(key="speed", value=12), Figure(key="size", value=59.6), Figure(key="raw", value=12345.6))


def verdicts(rows):
    return {row.key: row.verdict for row in rows}


def test_a_row_is_kept_or_missed_by_its_bound():
    figures = (Figure(key="speed", value=9.94), Figure(key="size", value=60), Figure(key="raw", value=1))
    rows = tabulate(figures, ALL, peers=False)
    assert verdicts(rows) == {"speed": "missed", "size": "kept", "raw": ""}
    assert exit_code(rows) == 0


def test_a_missing_row_is_an_error():
    rows = tabulate(GOOD, ALL)
    assert verdicts(rows)["peer"] == "missing"
    assert exit_code(rows) == 1
    assert exit_code(tabulate(GOOD, ALL, peers=False)) == 0


def test_a_broken_row_is_an_error_and_says_why():
    rows = tabulate((*GOOD, Figure(key="peer", error="it would not install")), ALL)
    assert verdicts(rows)["peer"] == "error"
    assert exit_code(rows) == 1
    assert "it would not install" in render(rows)


def test_the_table_lines_up():
    lines = render(tabulate((*GOOD, Figure(key="peer", value=110, note="three runs")), ALL)).splitlines()
    assert lines[2].split() == ["how", "fast", "12.0x", "≥", "10x", "kept"]
    assert lines[4].split() == ["raw", "12,346/s"]
    assert lines[5].split()[-2:] == ["three", "runs"]
    assert lines[2].index("12.0x") + 5 == lines[3].index("60 MB") + 5


def test_json_carries_every_row():
    said = json.loads(as_json(tabulate(GOOD, ALL), quick=True))
    assert said["quick"] is True
    assert [row["key"] for row in said["rows"]] == ["speed", "size", "raw", "peer"]
    assert said["rows"][0]["value"] == 12


def test_targets_are_named_once():
    keys = [target.key for target in TARGETS]
    assert len(keys) == len(set(keys))
