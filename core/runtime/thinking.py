"""Ask a role's model for its next turn, or for a summary of the turns so far.

Law: whatever the vendor does, the call ends in one entry. What does not fit is an entry, too: the step decides what is
left out. A summary never fails a task: without a model that makes one, it is an extract.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from core.model.effects import CallModel
from core.model.errors import ContextOverflowError, DeniedError, RetryableError, SignoffError
from core.model.team import ModelSpec, Team
from core.model.unit import Change, SetMeta, Settle
from core.model.work import Entry, Failure, ModelFailed, Overflowed, Replied, Reply, Settled, Summarised, Task, Usage
from core.ports import ModelRequest
from core.rules import budget, compaction, conversation, feedback, recovery
from core.rules.plan import MODEL_SECONDS_MAX
from core.runtime.context import Context, log
from core.runtime.requests import Requests, RequestTooLargeError

OFFLINE = "offline"
"""The model that needs no key makes no summaries."""


class Thinker:
    """Performs CallModel effects. `on_stop` is told how to end the call that is under way."""

    def __init__(self, context: Context, requests: Requests) -> None:
        self._context = context
        self._requests = requests

    async def call(
        self, task: Task, effect: CallModel, team: Team, on_stop: Callable[[Callable[[], object]], None]
    ) -> tuple[Entry, list[Change]]:
        """The entry the call came to, and what settles its budget. Raises CancelledError only for who runs this."""
        spent, changes = Usage(), list[Change]()
        try:
            entry: Entry
            if effect.compact:
                entry, changes = await self._summary(task, effect, team, on_stop)
                spent = entry.usage
            else:
                reply = await self._turn(task, effect, team, on_stop)
                spent = reply.usage
                entry = Replied(at_ms=self._now(), effect=effect.id, reply=reply)
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            entry = Settled(at_ms=self._now(), effect=effect.id)
        except TimeoutError:
            entry = self.failed(effect, f"the model did not answer in {MODEL_SECONDS_MAX} s", "")
        except (RequestTooLargeError, ContextOverflowError) as error:
            too_long = _failure(str(error), "Ask for a smaller step, or raise budget.call.input.")
            entry = Overflowed(at_ms=self._now(), effect=effect.id, failure=too_long)
        except SignoffError as error:
            log.warning("model.failed", task=task.id, role=task.role, effect=effect.id, error=str(error))
            why = "" if isinstance(error, RetryableError) else error.remedy
            entry = self.failed(effect, error.what, why)
        return entry, [Settle(id=effect.id, tokens=spent.tokens, microusd=spent.cost_microusd), *changes]

    def failed(self, effect: CallModel, why: str, recovery_: str) -> Entry:
        """The call came to nothing, after all retries."""
        return ModelFailed(at_ms=self._now(), effect=effect.id, failure=_failure(why, recovery_))

    async def _turn(
        self, task: Task, effect: CallModel, team: Team, on_stop: Callable[[Callable[[], object]], None]
    ) -> Reply:
        request = await self._requests.build(task, effect.id, team)
        reply = await self._ask(request, team.model_of(task.role), on_stop)
        return recovery.recovered(reply, team.roles[task.role].specs, effect.id)

    async def _summary(
        self, task: Task, effect: CallModel, team: Team, on_stop: Callable[[Callable[[], object]], None]
    ) -> tuple[Summarised, list[Change]]:
        turns, begun = await self._requests.folding(task)
        text, usage, model = compaction.source(turns, team, task.role), Usage(), team.model_of(task.role)
        if text and model.provider != OFFLINE:
            try:
                reply = await self._ask(self._requests.summary(task, team, text), model, on_stop)
                text, usage = reply.text.strip() or compaction.extract(text), reply.usage
            except (SignoffError, TimeoutError) as error:
                log.warning("summary.extracted", task=task.id, role=task.role, effect=effect.id, error=str(error))
                text = compaction.extract(text)
        elif text:
            text = compaction.extract(text)
        entry = Summarised(at_ms=self._now(), effect=effect.id, text=text, usage=usage, tight=effect.tight)
        kept = conversation.summary_of(task, begun, text) if text and task.parent is None else None
        return entry, [SetMeta(name=kept.name, value=kept.value)] if kept else []

    async def _ask(
        self, request: ModelRequest, model: ModelSpec, on_stop: Callable[[Callable[[], object]], None]
    ) -> Reply:
        """One answer, priced. Raises SignoffError, TimeoutError, CancelledError."""
        provider = self._context.models.get(model.provider)
        if provider is None:
            raise DeniedError(f"no model of {model.provider} is configured", "set its key, or another preset")
        asking = asyncio.ensure_future(provider.reply(request))
        on_stop(asking.cancel)
        async with asyncio.timeout(MODEL_SECONDS_MAX):
            reply = await asking
        usage = msgspec.structs.replace(reply.usage, cost_microusd=budget.cost(reply.usage, model))
        return msgspec.structs.replace(reply, usage=usage)

    def _now(self) -> int:
        return self._context.clock.now_ms()


def _failure(why: str, recovery_: str) -> Failure:
    return Failure(what=feedback.MODEL_FAILED, why=why, recovery=recovery_ or feedback.ASK_AGAIN)
