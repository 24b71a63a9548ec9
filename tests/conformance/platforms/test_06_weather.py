"""Group 6: 429 for one conversation and for all, 5xx, a timeout after the write, a reply that is none."""

import pytest

from tests.fakes.service import Fault

GROUP = 6
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _answered_under(stage, *faults):
    """The faults meet the answer or the receipt, not the first status line."""
    talk = await stage.asked()
    planned = [stage.service.faults.plan(fault) for fault in faults]
    stage.model.gate.set()
    for fault in planned:
        await stage.met(fault)
    return talk


def _impatient_n(stage):
    """Requests that came before the time they had been told to wait for."""
    faults = stage.service.journal.lines("fault")
    return sum(line.method == "impatient" or line.detail.get("how") == "too soon" for line in faults)


@pytest.mark.case(39)
@pytest.mark.parametrize("everywhere", [False, True])
async def test_too_many_requests(stage, everywhere):
    impatient_n = _impatient_n(stage)
    fault = Fault(method=stage.natives.send, how="status", status=429, retry_after=1, everywhere=everywhere)
    talk = await _answered_under(stage, fault)
    other = await stage.ping()
    await talk.once()
    await other.once()
    allowed = 3  # requests that were on their way already
    assert _impatient_n(stage) - impatient_n <= allowed


async def test_too_many_edits(stage):
    talk = await _answered_under(stage, Fault(method=stage.natives.edit, how="status", status=429, retry_after=1))
    await talk.once()
    await talk.until("done in")


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("how", ["status", "cut", "garbage"])
async def test_a_send_that_fails(stage, how, applied):
    talk = await _answered_under(stage, Fault(method=stage.natives.send, how=how, status=502, applied=applied))
    await talk.once(doubt=True, seconds=40)
    stage.doubtful.add(talk.word)
    assert not applied or talk.answers_n == 1


@pytest.mark.parametrize("how", ["status", "cut", "garbage"])
async def test_an_edit_that_fails(stage, how):
    talk = await _answered_under(stage, Fault(method=stage.natives.edit, how=how, status=500, applied=True))
    await talk.once()
    await talk.until("done in")


@pytest.mark.case(39)
async def test_an_outage(stage):
    """Everything fails for a while; then everything is there, once."""
    fault = stage.service.faults.plan(Fault(method=stage.natives.send, how="status", status=503, times=4))
    talks = [await stage.ping() for _ in range(3)]
    await stage.met(fault, seconds=30)
    for talk in talks:
        await talk.once(doubt=True, seconds=40)
        stage.doubtful.add(talk.word)
