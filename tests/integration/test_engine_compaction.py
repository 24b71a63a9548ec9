"""A long piece of work, or a long talk, fits into the model's window and forgets nothing that matters."""

from __future__ import annotations

import msgspec

from core.adapters.models.offline import OfflineModel
from core.adapters.models.scripted import fail, say, turn_of, use
from core.model.errors import ContextOverflowError, OverloadedError, TerminalError
from core.model.events import MessageReceived
from core.model.work import Phase, Reply, Stop, Summarised, ToolResult, ToolUse, Usage
from core.rules import compaction
from core.rules.transcript import CUT, KEPT_N
from tests.engine_kit import Table, budgeted, company, small

ROOMY = budgeted(company(), "ops", task_calls_max=60, task_tokens_max=10**9)
FACT = "the key is under the third stone"


def is_summary(request) -> bool:
    return request.system[0].text == compaction.ORDER


def noting(n: int, *, used: int = 100):
    """A call in turn n, by a vendor that counts so many tokens."""
    call = ToolUse(id=f"u{n}", name="note", arguments={"text": f"step {n}"})
    return Reply(uses=(call,), stop=Stop.TOOLS, usage=Usage(input_tokens=used, output_tokens=1), model="scripted")


def text_of(request) -> str:
    lines = [f"{m.text}\n{m.uses}\n{m.results}" for m in request.messages]
    return "\n".join(lines)


def long_work(turns: int, *, summary=None, full_at: int = 20):
    """ops notes again and again; from a turn on the vendor counts nearly a window."""
    steps = iter(range(turns))

    def script(request):
        if is_summary(request):
            return summary or say(f"- so far: {FACT}")
        n = next(steps, None)
        return noting(n, used=31_000 if n == full_at else 100) if n is not None else say("done")

    return {"ops": script}


async def test_at_eighty_percent_the_middle_becomes_a_summary_and_the_ends_stay_to_the_letter() -> None:
    table = Table(long_work(30), team=ROOMY)
    await table.say(f"remember: {FACT}; then note thirty steps", role="ops")
    assert table.answer == "done"
    (asked,) = [r for r in table.model.requests if is_summary(r)]
    assert asked.tools == ()
    assert "step 3" in text_of(asked)
    after = table.model.requests[table.model.requests.index(asked) + 1]
    assert after.system == table.model.requests[0].system  # the rules, untouched
    assert after.messages[0].text.startswith("remember: ")  # the brief, too
    assert f"<so_far>\n- so far: {FACT}\n</so_far>" in after.messages[0].text
    before = table.model.requests[table.model.requests.index(asked) - 1]
    last = before.messages[-(KEPT_N - 2) :]  # one reply and its results came after these
    assert after.messages[-KEPT_N:][: len(last)] == last
    assert len(after.messages) <= KEPT_N + 2
    called = {use for message in after.messages for use, _, _ in message.uses}
    told = {use for message in after.messages for use, _, _ in message.results}
    assert told <= called
    assert [m.role for m in after.messages] == ["user", "assistant"] * (len(after.messages) // 2) + ["user"]


async def test_below_eighty_percent_nothing_is_left_out() -> None:
    table = Table(long_work(30, full_at=99), team=ROOMY)
    await table.say("note thirty steps", role="ops")
    assert not any(is_summary(r) for r in table.model.requests)
    assert len(table.model.requests[-1].messages) == 61


async def test_a_summary_that_fails_is_an_extract_and_the_work_goes_on() -> None:
    for trouble in (fail(OverloadedError("busy")), fail(TerminalError("no")), say("  ")):
        table = Table(long_work(30, summary=trouble), team=ROOMY)
        await table.say(f"remember: {FACT}", role="ops")
        assert table.answer == "done"
        (kept,) = [e for e in await table.journal() if isinstance(e, Summarised)]
        assert FACT in kept.text
        assert len(kept.text) <= compaction.EXTRACT_CHARS_MAX + 10


async def test_what_a_summary_cost_is_paid_by_the_task() -> None:
    costly = say("- all of it", usage=Usage(input_tokens=7_000, output_tokens=300))
    with_, without = Table(long_work(30, summary=costly), team=ROOMY), Table(long_work(30), team=ROOMY)
    for table in (with_, without):
        await table.say("go", role="ops")
    assert (await with_.task()).usage.tokens - (await without.task()).usage.tokens == 7_300 - 110
    assert (await with_.spent("ops")).tokens == (await with_.task()).usage.tokens


async def test_a_crash_while_it_is_summed_up_sums_it_up_again() -> None:
    table = Table(long_work(30), team=ROOMY)
    table.model.around = None
    await table.say("go", role="ops")
    entries = await table.journal()
    assert len([e for e in entries if isinstance(e, Summarised)]) == 1


async def test_a_message_that_comes_while_it_is_summed_up_is_read_next() -> None:
    said = []

    async def around(request) -> None:
        if is_summary(request) and not said:
            said.append(request)
            await table.happens(MessageReceived, text="stop at twenty-one")
            await table.engine.dispatcher.sweep()

    table = Table(long_work(30), team=ROOMY, around=around)
    await table.say("go", role="ops")
    index = table.model.requests.index(said[0])
    assert "stop at twenty-one" in table.model.requests[index + 1].messages[-1].text


async def test_results_too_long_for_any_window_are_cut_once_and_then_it_is_said() -> None:
    def script(request):
        if is_summary(request):
            return say("- nothing yet")
        return use("note", text="a") if turn_of(request) == 0 else say("told")

    table = Table({"ops": script})
    table.tools["note"].returns(ToolResult(text="a" + "x" * 500_000 + "z"))
    await table.say("do it", role="ops")
    assert table.answer == "told"
    (result,) = table.results()
    assert len(result) < 5_000
    assert (result[0], result[-1]) == ("a", "z")
    assert CUT in result


async def test_a_brief_that_fits_no_window_ends_the_task_in_words() -> None:
    table = Table({"ops": [say("never")]})
    await table.say("x" * 200_000, role="ops")
    assert "a call may read 32000" in table.answer
    assert (await table.task()).phase is Phase.FAILED


async def test_a_vendor_that_says_it_is_too_long_is_believed() -> None:
    steps = iter([noting(0), fail(ContextOverflowError("too long")), say("fits now")])
    table = Table({"ops": lambda request: say("- it") if is_summary(request) else next(steps)})
    await table.say("go", role="ops")
    assert table.answer == "fits now"


async def test_cancelled_while_it_is_summed_up() -> None:
    async def around(request) -> None:
        if is_summary(request):
            await table.order(f"/cancel {(await table.task()).id}")

    table = Table(long_work(30), team=ROOMY)
    table.model._around = around
    await table.say("go", role="ops")
    assert (await table.task()).phase is Phase.CANCELLED


# --- A conversation -------------------------------------------------------------------------------------------------


def talk():
    """Every request is answered at once; a summary keeps the fact if it is shown it."""

    def script(request):
        whole = text_of(request)
        if is_summary(request):
            return say(f"- {FACT}") if FACT in whole else say("- nothing")
        return say("yes")

    return {"ops": script}


async def test_a_fact_of_long_ago_is_in_the_next_request_after_eight_days_and_a_restart() -> None:
    table = Table(talk(), team=ROOMY)
    await table.say(f"note well: {FACT}", role="ops")
    for n in range(40):
        table.turn_clock(seconds=1)
        await table.say(f"and the {n}th question?", role="ops")
    table.turn_clock(hours=8 * 24)
    await table.crash()
    await table.say("where is the key?", role="ops")
    last = table.model.requests[-1]
    assert FACT in last.messages[0].text
    earlier = last.messages[0].text.partition("<earlier>")[2].partition("</earlier>")[0]
    assert "and the 39th question?" in earlier
    assert "and the 3th question?" not in earlier
    assert len(earlier.splitlines()) <= compaction.FOLD_OVER_N + 5


async def test_a_short_talk_has_no_summary() -> None:
    table = Table(talk(), team=ROOMY)
    for n in range(5):
        await table.say(f"question {n}", role="ops")
    assert not any(is_summary(r) for r in table.model.requests)
    assert "question 0" in table.model.requests[-1].messages[0].text


async def test_who_begins_anew_is_told_nothing_of_before() -> None:
    table = Table(talk(), team=ROOMY)
    await table.say(f"note well: {FACT}", role="ops")
    for n in range(30):
        await table.say(f"question {n}", role="ops")
    table.turn_clock(seconds=1)
    await table.order("/new")
    table.turn_clock(seconds=1)
    await table.say("where is the key?", role="ops")
    assert FACT not in text_of(table.model.requests[-1])


async def test_what_was_read_outside_marks_the_conversation_it_was_told_in() -> None:
    script = {
        "ops": lambda request: use("look", at="b") if request.messages[-1].text.endswith("look") else say("It says: go")
    }
    table = Table(script)
    table.tools["look"].returns(ToolResult(text="It says: go", untrusted=True))
    await table.say("look", role="ops")
    assert (await table.task()).untrusted
    await table.say("and now?", role="ops")
    assert (await table.task()).untrusted
    table.turn_clock(seconds=1)
    await table.order("/new")
    table.turn_clock(seconds=1)
    await table.say("and now?", role="ops")
    assert not (await table.task()).untrusted


async def test_the_offline_model_is_not_asked_for_summaries() -> None:
    team = company()
    models = {name: small.ModelSpec(provider="offline", model="offline") for name in team.models}
    table = Table(team=msgspec.structs.replace(team, models=models), models={"offline": OfflineModel()})
    for n in range(30):
        await table.say(f"hello {n}", role="ops")
    kept = [e for e in await table.journal() if isinstance(e, Summarised)]
    assert all(e.usage == Usage() for e in kept)
    assert not table.log or all(e["event"] != "summary.extracted" for e in table.log)
