"""When the day is told, and what it says."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from core.model.unit import Audit, Spent
from core.model.work import Failure, Phase, Task
from core.rules.digest import DAY_MS, Day, digest, due_ms, next_ms, time_of
from tests import small

HOUR_MS = 3_600_000
NOW_MS = int(datetime(2026, 3, 29, 12, tzinfo=UTC).timestamp() * 1000)


def test_times_of_day() -> None:
    assert time_of("09:05") is not None
    for text in ("", "9:05", "24:00", "12:60", "ab:cd", "09-05", "0900", "09:05:00", "²2:00"):
        assert time_of(text) is None, text


def at(*day: int) -> int:
    return int(datetime(*day, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type]


def test_the_last_of_the_missed_times_is_due() -> None:
    assert due_ms("09:00", "UTC", at(2026, 3, 20, 9), NOW_MS) == at(2026, 3, 29, 9)
    assert due_ms("13:00", "UTC", at(2026, 3, 20, 9), NOW_MS) == at(2026, 3, 28, 13)
    assert due_ms("09:00", "UTC", at(2026, 3, 29, 9), NOW_MS) is None
    assert due_ms("13:00", "UTC", at(2026, 3, 28, 13), NOW_MS) is None
    assert next_ms("09:00", "UTC", NOW_MS) == at(2026, 3, 30, 9)
    assert next_ms("13:00", "UTC", NOW_MS) == at(2026, 3, 29, 13)


def test_an_hour_that_a_change_of_clocks_leaves_out_is_told_all_the_same() -> None:
    """In Berlin there is no 02:30 on this day."""
    due = due_ms("02:30", "Europe/Berlin", NOW_MS - DAY_MS, NOW_MS)
    assert due is not None
    assert NOW_MS - DAY_MS < due <= NOW_MS


@given(
    st.integers(0, 10**9).map(lambda n: n * 1000),
    st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Kiritimati", "America/St_Johns", "Pacific/Niue"]),
    st.sampled_from(["00:00", "02:30", "09:00", "23:59"]),
)
def test_every_day_is_told_once(now_ms: int, zone: str, hour: str) -> None:
    """Following `next_ms`, each time is due when it comes, and no other is."""
    told = now_ms
    for _ in range(3):
        coming = next_ms(hour, zone, told)
        assert due_ms(hour, zone, told, coming - 1) is None
        assert due_ms(hour, zone, told, coming) == coming
        assert 20 * HOUR_MS <= next_ms(hour, zone, coming) - coming <= 28 * HOUR_MS
        told = coming


def ended(n: int, phase: Phase, **more: object) -> Task:
    return structs.replace(small.task(), **{"id": f"t-{n:012}", "title": f"piece {n}", "phase": phase, **more})


def row(what: str, **detail: object) -> Audit:
    principal = str(detail.pop("principal", ""))
    return Audit(id="x", at_ms=1, what=what, subject="i-1", principal=principal, detail=detail)


def test_a_quiet_day_says_so() -> None:
    said = digest(Day(since_ms=NOW_MS - DAY_MS, now_ms=NOW_MS), small.team()).splitlines()
    assert said == [
        "acme since Sat 12:00",
        "Done: nothing",
        "Waiting on you: nothing",
        "Failed: nothing",
        "Spent: $0.00 yesterday (0 tokens), $0.00 today (0 tokens)",
        "Unusual: nothing",
        "The audit chain is empty.",
    ]


def test_a_full_day_is_bounded_and_names_what_is_beyond() -> None:
    tasks = [ended(n, Phase.DONE) for n in range(9)]
    failure = Failure(what="no room", why="", recovery="")
    tasks += [ended(20, Phase.FAILED, result=failure), ended(21, Phase.REJECTED), ended(22, Phase.CANCELLED)]
    unusual = [row("press.refused", principal="bob"), row("press.refused"), row("attempt.unknown"), row("vote.cast")]
    unusual += [row("inquiry.opened", label="single operator"), row("inquiry.opened", label="full")]
    day = Day(
        since_ms=NOW_MS - DAY_MS,
        now_ms=NOW_MS,
        ended=tuple(tasks),
        waiting_n=3,
        overdue_n=2,
        handed_n=1,
        yesterday=(("ops", Spent(tokens=5, microusd=10)), ("ceo", Spent(tokens=2_000, microusd=2_000_000))),
        today=(("ops", Spent()),),
        audit=tuple(unusual),
        cut=True,
        troubles=(("slack", "token refused"),),
        paused=("all",),
        head=(7, "ab"),
    )
    said = digest(day, small.team()).splitlines()
    assert said[1] == "Done: 9"
    assert said[7] == "- and 4 more"
    assert "Waiting on you: 3" in said
    assert "- piece 20 (t-0000): no room" in said
    assert "- piece 21 (t-0000): rejected" in said
    assert "Spent: $2.00 yesterday (2k tokens, most by CEO), $0.00 today (0 tokens)" in said
    i = said.index("Unusual: 7")
    assert said[i + 1 :] == [
        "- overdue in the inbox: 2",
        "- conversations with a person, until /handback there: 1",
        "- presses refused: 2 (by accounts that are nobody's: 1)",
        "- actions whose outcome nobody knows: 1",
        "- asked of a single operator: 1",
        "- slack: token refused",
        "- stopped: all",
        "More happened than is counted here.",
        "Audit head: 7:ab",
    ]


@pytest.mark.parametrize("hostile", ["\u202eevil", "a\nb", "x" * 9999])
def test_what_others_wrote_is_disarmed(hostile: str) -> None:
    said = digest(Day(since_ms=0, now_ms=NOW_MS, ended=(ended(1, Phase.DONE, title=hostile),)), small.team())
    assert len(said) < 2000
    assert "\u202e" not in said
