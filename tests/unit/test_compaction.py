"""What a summary is made from, what it leaves, and what is kept of a conversation."""

from __future__ import annotations

import msgspec

from core.model.ids import TaskId
from core.model.work import (
    Begun,
    Brief,
    Failure,
    Overflowed,
    Phase,
    Replied,
    Reply,
    Returned,
    Said,
    Stop,
    Summarised,
    ToolResult,
    ToolUse,
    Usage,
)
from core.rules import compaction, conversation
from core.rules.step import Env, step
from core.rules.transcript import KEPT_N, Transcript, Turn, cut_of
from tests import small

TASK = TaskId("t-1")


def begun(said_n: int = 0, **more) -> Begun:
    said = tuple(Said(speaker="Ana", text=f"line {n}", at_ms=n + 1) for n in range(said_n))
    return Begun(at_ms=0, brief=Brief(objective="do it"), definition="d", asked_by="Ana", said=said, **more)


def after(turns_n: int, said_n: int = 0) -> Transcript:
    """A transcript of so many calls, each with its result."""
    transcript = Transcript(TASK)
    transcript.read(0, begun(said_n))
    for n in range(turns_n):
        at = 1 + 2 * n
        use = ToolUse(id=f"u{n}", name="note", arguments={"n": n})
        transcript.read(at, Replied(at_ms=0, effect=f"t-1:{at - 1}:e0", reply=Reply(uses=(use,), stop=Stop.TOOLS)))
        transcript.read(
            at + 1, Returned(at_ms=0, call=f"t-1:{at}:0", result=ToolResult(text=f"noted {n} " + "x" * 9_000))
        )
    return transcript


def summarised(text: str = "- facts", *, tight: bool = False) -> Summarised:
    return Summarised(at_ms=0, effect="t-1:9:e0", text=text, tight=tight)


def test_nothing_is_folded_where_nothing_began() -> None:
    empty = Transcript(TASK)
    empty.read(0, summarised())
    assert empty.turns == []


def test_the_cut_is_at_an_agents_turn_and_keeps_ten_messages() -> None:
    for turns_n in range(40):
        turns = after(turns_n).turns
        at = cut_of(turns)
        assert at <= 1 or turns[at].by_agent
        assert at <= 1 or len(turns) + 1 - at >= KEPT_N


def test_a_reply_to_nothing_is_not_parted_from_what_it_led_to() -> None:
    turns = [Turn(by_agent=n % 2 == 0) for n in range(20)]
    assert cut_of(turns) == 10


def test_nothing_is_folded_where_nothing_would_be_left_out() -> None:
    short = after(3)
    turns = list(short.turns)
    assert short.folding() == ()
    short.read(20, summarised())
    assert short.turns == turns


def test_an_empty_summary_changes_nothing() -> None:
    long, same = after(20), after(20)
    long.read(90, summarised(""))
    assert long.turns == same.turns


def test_a_fold_can_be_folded_again() -> None:
    long = after(20)
    long.read(90, summarised("- first"))
    assert "- first" in long.turns[0].text
    n = len(long.turns)
    long.read(91, summarised("- second"))
    assert len(long.turns) <= n
    assert long.turns[0].text.startswith("do it")


def test_tight_cuts_the_results_that_are_kept() -> None:
    long = after(20)
    long.read(90, summarised(tight=True))
    results = [text for turn in long.turns for _, text, _ in turn.results]
    assert results
    assert max(map(len, results)) < 1_200


def test_before_the_first_turn_it_is_the_earlier_talk_that_is_folded() -> None:
    fresh = after(0, said_n=30)
    assert [turn.text for turn in fresh.folding()] == [f"Ana: line {n}" for n in range(20)]
    fresh.read(1, summarised("- the talk"))
    text = fresh.last("t-1:1:e0").text
    assert "Before that, in short:\n- the talk" in text
    assert "line 20" in text
    assert "line 19" not in text
    again = Transcript(TASK)
    again.read(0, begun(30, summary="- older still"))
    assert again.folding()[0].text == "- older still"
    assert Transcript(TASK).folding() == after(0, said_n=3).folding() == ()


def test_a_source_fits_one_call_and_loses_its_middle_first() -> None:
    team = small.team()
    team.roles["ops"] = msgspec.structs.replace(
        team.roles["ops"], budget=msgspec.structs.replace(team.roles["ops"].budget, call_input_tokens_max=2_000)
    )
    turns = tuple(Turn(by_agent=bool(n % 2), text=f"turn {n} " + "y" * 400) for n in range(60))
    text = compaction.source(turns, team, "ops")
    assert len(text) <= 2_000 * 3
    assert "turn 0 " in text
    assert "turn 59 " in text
    assert "turn 30 " not in text


def test_an_extract_is_short_whatever_it_is_made_from() -> None:
    assert compaction.extract("a\n\nb") == "a\nb"
    long = compaction.extract("\n".join(f"line {n} " + "z" * 500 for n in range(500)))
    assert len(long) <= compaction.EXTRACT_CHARS_MAX + 50
    assert "line 0 " in long
    assert "line 499 " in long


def test_what_is_kept_of_a_conversation_says_from_when_on_it_is_read() -> None:
    task = small.task()
    assert conversation.summary_of(task, None, "x") is None
    assert conversation.summary_of(task, begun(KEPT_N), "x") is None
    kept = conversation.summary_of(task, begun(30), "x")
    read = conversation.read(kept.value, 0)
    assert (read.text, read.until_ms) == ("x", 21)
    assert conversation.read(kept.value, 21) is None
    assert conversation.read(None, 0) is None
    assert conversation.read("{nonsense", 0) is None


# --- In the step ----------------------------------------------------------------------------------------------------

ENV = Env(now_ms=small.NOW_MS, team=small.team(), fingerprints={})
SUMMED = Summarised(at_ms=0, effect="t-1:0:e0", text="- it", usage=Usage(input_tokens=7))
OVER = Overflowed(at_ms=0, effect="t-1:0:e0", failure=Failure(what="too long", why="x", recovery="y"))


def thinking(**more):
    return msgspec.structs.replace(small.task(), thinking="t-1:0:e0", compacting=True, **more)


def test_what_another_call_came_to_changes_nothing() -> None:
    for entry in (SUMMED, OVER):
        later = msgspec.structs.replace(thinking(), thinking="t-1:5:e0")
        after_ = step(later, entry, ENV).task
        assert (after_.thinking, after_.usage) == (later.thinking, later.usage)


def test_a_cancelled_task_pays_for_its_summary_and_ends() -> None:
    ended = thinking(phase=Phase.CANCELLING, ending=Phase.CANCELLED, result=OVER.failure)
    paid = step(ended, SUMMED, ENV)
    assert (paid.task.phase, paid.task.usage.input_tokens) == (Phase.CANCELLED, 7)
    assert step(ended, OVER, ENV).task.phase is Phase.CANCELLED
    other = msgspec.structs.replace(ended, thinking="t-1:5:e0")
    for entry in (SUMMED, OVER):
        assert step(other, entry, ENV).task.phase is Phase.CANCELLING
