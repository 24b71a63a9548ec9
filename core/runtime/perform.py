"""Perform an effect and record its outcome: the only place where something outside is done.

Between an effect and its recorded outcome lies a window nothing can close (ENGINE.md, pitfall 1). What happens after a
crash in it is decided here, by the effect's class: run again, look it up, or ask a person.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Callable
from functools import partial

import msgspec

from core.model.effects import CallModel, RunTool
from core.model.ids import EffectId
from core.model.inquiries import Attempt, AttemptState, Grant, GrantState
from core.model.team import EffectClass, Team
from core.model.unit import (
    AddAudit,
    AddEffect,
    AddEntry,
    Applied,
    Audit,
    Change,
    EndEffect,
    Fence,
    LeasedEffect,
    MoveAttempt,
    MoveGrant,
    PutAttempt,
    PutBlob,
    Refused,
    RequeueEffect,
    Settle,
    State,
    Table,
    Unit,
    UseGrant,
)
from core.model.work import (
    Entry,
    Failure,
    Lost,
    Phase,
    Picture,
    Returned,
    Settled,
    Task,
    ToolResult,
)
from core.ports import Tool, UnknownOutcomeError, Workplace
from core.rules import feedback, replies
from core.rules.actions import Act, act_of
from core.rules.bounds import covers
from core.rules.canonical import action_digest
from core.runtime import grants, inquiries, verdicts
from core.runtime.context import Context, insist, log
from core.runtime.deciding import StaleError, decide
from core.runtime.limits import Limits, NotYetError
from core.runtime.requests import Requests
from core.runtime.thinking import Thinker

ATTEMPTS_MAX = 3
BROKEN_WAIT_MS = 10_000
"""An effect that breaks the engine's own code is tried again, then given up in words: never left leased."""
BLOB_BYTES_MIN = 4_096
"""Outputs over this are kept once, as blobs by hash; the journal holds the hash."""
CANCEL_SECONDS_MAX = 15
USES_MAX = 50
"""Each refused try means that another use was counted, so this is a bound, not a hope."""


class _Stop:
    """An order to stop an effect. It may come before there is anything to stop: then it is kept until there is."""

    def __init__(self) -> None:
        self.ordered = False
        self._act: Callable[[], object] | None = None

    def order(self) -> None:
        self.ordered = True
        if self._act is not None:
            self._act()

    def by(self, act: Callable[[], object]) -> None:
        """From now on, this is how."""
        self._act = act
        if self.ordered:
            act()


class Performer:
    """Performs leased effects, one chain at a time: the outcome of one may start the next in the place it frees."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._requests = Requests(context.store.read)
        self._thinker = Thinker(context, self._requests)
        self._limits = Limits(context.clock)
        # Of what is being performed here. An effect taken over from a holder in this very process is there twice.
        self._stops: defaultdict[EffectId, _Stop] = defaultdict(_Stop)
        context.on_abort.append(self._abort)

    def _abort(self, effect: EffectId) -> None:
        self._stops[effect].order()  # kept for an effect that was leased, and is not begun yet

    async def run(self, leased: LeasedEffect) -> None:
        """Perform it and whatever it starts in turn, until nothing is left to this holder."""
        pending: list[LeasedEffect] = [leased]
        while pending:
            current = pending.pop()
            try:
                task, started = await self._perform(current)
            except StaleError as error:  # fenced off: another holder has it, and its outcome stands
                log.info("effect.stale", effect=current.effect.id, why=str(error))
                continue
            except (NotYetError, grants.UnsureError) as error:
                await self._requeue(current, error.wait_ms, unstarted=True)
                continue
            except Exception:  # noqa: BLE001 - a bug of ours holds up one effect for a while, and nothing for ever (P5)
                log.exception("effect.broke", effect=current.effect.id, task=current.task.id)
                started = await self._give_back(current)
                task = current.task
            finally:
                self._stops.pop(current.effect.id, None)
            pending.extend(
                LeasedEffect(effect=add.effect, task=task, fence=1, again=False, attempt_n=1) for add in started
            )

    async def _give_back(self, leased: LeasedEffect) -> list[AddEffect]:
        """Let it be tried again after a while; the last time its outcome is that there is none."""
        effect = leased.effect
        if leased.attempt_n < ATTEMPTS_MAX:
            await self._requeue(leased, BROKEN_WAIT_MS * leased.attempt_n)
            return []
        if isinstance(effect, CallModel):
            entry = self._thinker.failed(effect, feedback.ENGINE_BROKE, "")
            changes: list[Change] = [Settle(id=effect.id, tokens=0, microusd=0)]
        else:
            entry, changes = self._lost(leased, effect)
        _task, started = await self._record(leased, entry, changes)
        return started

    async def _requeue(self, leased: LeasedEffect, wait_ms: int, *, unstarted: bool = False) -> None:
        fence = Fence(table=Table.EFFECT, id=leased.effect.id, fence=leased.fence)
        not_before_ms = self._context.clock.now_ms() + wait_ms
        later = RequeueEffect(id=leased.effect.id, not_before_ms=not_before_ms, unstarted=unstarted)
        await insist(self._context, lambda: self._context.store.commit(Unit(guards=(fence,), changes=(later,))))

    async def _perform(self, leased: LeasedEffect) -> tuple[Task, list[AddEffect]]:
        team = await self._context.team(leased.task.definition)
        touched = leased.again or leased.attempt_n > 1
        if leased.task.phase is not Phase.WORKING and not (touched and isinstance(leased.effect, RunTool)):
            entry: Entry = Settled(at_ms=self._context.clock.now_ms(), effect=leased.effect.id)
            return await self._record(leased, entry, [Settle(id=leased.effect.id, tokens=0, microusd=0)])
        if isinstance(leased.effect, CallModel):
            stop = self._stops[leased.effect.id]
            entry, changes = await self._thinker.call(leased.task, leased.effect, team, stop.by)
        else:
            entry, changes = await self._run_tool(leased, leased.effect, team)
        return await self._record(leased, entry, changes)

    async def _record(self, leased: LeasedEffect, entry: Entry, more: list[Change]) -> tuple[Task, list[AddEffect]]:
        """The outcome, the step it leads to, and the end of the effect: one transaction under the fence."""
        effect = leased.effect
        ends: list[Change] = [EndEffect(id=effect.id), *more]
        new, plan = await insist(
            self._context,
            lambda: decide(
                self._context,
                leased.task,
                lambda _task: entry,
                guards=(Fence(table=Table.EFFECT, id=effect.id, fence=leased.fence),),
                changes=lambda _task: ends,
                free_role=leased.task.role,
            ),
        )
        added = [c for c in plan.changes if isinstance(c, AddEntry) and c.task == new.id]
        self._requests.remember(new, leased.task, added)
        return new, plan.started

    # --- Tools ------------------------------------------------------------------------------------------------------

    async def _run_tool(self, leased: LeasedEffect, effect: RunTool, team: Team) -> tuple[Entry, list[Change]]:
        """Within the limits of its tool. Raises NotYetError."""
        spec = team.spec(leased.task.role, effect.tool)
        touched = leased.again or leased.attempt_n > 1
        if spec is None or touched:  # what has begun goes on
            return await self._run_now(leased, effect, team)
        self._limits.begin(spec)
        try:
            return await self._run_now(leased, effect, team)
        finally:
            self._limits.end(spec)

    async def _run_now(self, leased: LeasedEffect, effect: RunTool, team: Team) -> tuple[Entry, list[Change]]:
        context = self._context
        tool = context.tools(team).get(effect.tool)
        if tool is None:
            return self._returned(effect, ToolResult(failure=feedback.tool_gone(effect.tool)), leased)
        again = leased.again or leased.attempt_n > 1
        if effect.grant is not None:
            attempt = await context.store.read.attempt(effect.id)
            again = attempt is not None
            if not again and (refused := await self._consume(leased, effect, team)):
                entry, changes = self._returned(effect, ToolResult(failure=refused), leased)
                return entry, [*changes, *await self._outcome_card(effect, replies.not_run(refused.why), team)]
        if again and effect.effect is EffectClass.ONCE and not tool.remembers:
            return self._lost(leased, effect)
        place = Workplace(
            role=leased.task.role,
            task=leased.task.id,
            attempt=effect.id,
            seconds_max=effect.seconds_max,
            root=leased.task.root,
            conversation=leased.task.conversation,
            asked_by=leased.task.initiators,
            untrusted=leased.task.untrusted,
            reach=team.roles[leased.task.role].reach,
            again=again,
        )
        try:
            if self._stops[effect.id].ordered or leased.task.phase is not Phase.WORKING:
                if not again:
                    return self._returned(effect, ToolResult(failure=feedback.STOPPED_FIRST), leased)
                await _cancel(tool, effect.id)  # what has not started will not; what has, ends
            began_ms = context.clock.monotonic_ms()
            result = await self._run_bounded(tool, effect, place)
            if (spec := team.spec(leased.task.role, effect.tool)) is not None and spec.untrusted:
                result = msgspec.structs.replace(result, untrusted=True)
        except UnknownOutcomeError:
            return self._lost(leased, effect)
        entry, changes = self._returned(effect, result, leased)
        if effect.grant is not None:
            failure = result.failure.what if result.failure else ""
            took_ms = None if again else context.clock.monotonic_ms() - began_ms
            outcome = replies.ran(took_ms, failure)
            changes.extend(await self._outcome_card(effect, outcome, team))
        return entry, changes

    async def _run_bounded(self, tool: Tool, effect: RunTool, place: Workplace) -> ToolResult:
        """Run it within its time. A tool that raises or hangs fails alone, and is told so in words."""
        seconds_max = effect.seconds_max + 10  # a command's supervisor ends it first, and records how
        stopping: list[asyncio.Task[None]] = []
        self._stops[effect.id].by(lambda: stopping.append(asyncio.ensure_future(_cancel(tool, effect.id))))
        try:
            async with asyncio.timeout(seconds_max):
                return _in_form(await tool.run(effect.arguments, place))
        except TimeoutError as error:
            await _cancel(tool, effect.id)
            if effect.effect is EffectClass.ONCE:
                raise UnknownOutcomeError from error
            return ToolResult(failure=feedback.tool_hung(effect.tool, seconds_max))
        except (UnknownOutcomeError, asyncio.CancelledError):
            raise
        except Exception as error:  # whatever a tool raises is its own failure, never the engine's
            log.exception("tool.raised", tool=effect.tool, task=place.task, effect=effect.id)
            if effect.effect is EffectClass.ONCE:
                raise UnknownOutcomeError from error
            return ToolResult(failure=feedback.tool_raised(effect.tool, type(error).__name__))
        finally:
            for stop in stopping:
                await stop

    async def _consume(self, leased: LeasedEffect, effect: RunTool, team: Team) -> Failure | None:
        """Transition 16: take the grant, for this action to the byte, in the transaction that creates the attempt.

        Everything is checked as it is now: the digest of what would run, the grant, the task, this holder's fence.
        """
        context, task = self._context, leased.task
        grant = await context.store.read.grant(effect.grant or "")
        env = context.env(team, commands=team.roles[task.role].commands)
        act = act_of(team, task.role, effect.tool, effect.arguments, env.fingerprints)
        if isinstance(act, Failure):
            return act
        if grant is not None and grant.bounds is not None:
            return await self._use(leased, effect, act, grant)
        if grant is None or grant.digest != effect.digest or action_digest(act.action) != grant.digest:
            return feedback.DIGEST_DIFFERS
        fence = Fence(table=Table.EFFECT, id=effect.id, fence=leased.fence)
        live = State(table=Table.GRANT, id=grant.id, states=(GrantState.LIVE.value,))
        if env.now_ms > grant.execute_by_ms:
            return feedback.GRANT_EXPIRED
        if not await grants.by_those_who_may(context, grant):
            return feedback.VOTER_LEFT
        working = State(table=Table.TASK, id=task.id, states=(Phase.WORKING.value,))
        consumed = Unit(
            guards=(fence, live, working),
            changes=(
                MoveGrant(id=grant.id, state=GrantState.CONSUMED),
                PutAttempt(attempt=Attempt(id=effect.id, grant=grant.id, state=AttemptState.STARTED)),
                self._audit(effect, "attempt.started", grant=grant.id, inquiry=grant.inquiry, tool=effect.tool),
            ),
        )
        answer = await insist(context, lambda: context.store.commit(consumed))
        match answer:
            case Applied():
                return None
            case Refused(guard=Fence()):
                raise StaleError(str(answer))
            case Refused():
                return feedback.GRANT_GONE

    async def _use(self, leased: LeasedEffect, effect: RunTool, act: Act, grant: Grant) -> Failure | None:
        """The same for one of several uses: it counts in the transaction that creates the attempt."""
        context, task = self._context, leased.task
        fence = Fence(table=Table.EFFECT, id=effect.id, fence=leased.fence)
        working = State(table=Table.TASK, id=task.id, states=(Phase.WORKING.value,))
        for _ in range(USES_MAX):
            row = await context.store.read.inquiry(grant.inquiry)
            now = await grants.usable(context, grant.inquiry)
            if row is None or row.inquiry.root != task.root or now is None or now.id != grant.id:
                return feedback.GRANT_GONE
            if not covers(now, task.role, act, context.clock.now_ms()):
                return feedback.GRANT_GONE
            if action_digest(act.action) != effect.digest:
                return feedback.DIGEST_DIFFERS
            used = Unit(
                guards=(fence, working),
                changes=(
                    UseGrant(id=now.id, used_n=now.used_n + 1),
                    PutAttempt(attempt=Attempt(id=effect.id, grant=now.id, state=AttemptState.STARTED)),
                    self._audit(
                        effect,
                        "attempt.started",
                        grant=now.id,
                        digest=effect.digest,
                        use=replies.used(now.used_n + 1, now.bounds.count_max if now.bounds else 1),
                    ),
                ),
            )
            match await insist(context, partial(context.store.commit, used)):
                case Applied():
                    return None
                case Refused(guard=Fence()):
                    raise StaleError(effect.id)
                case Refused(guard=None):
                    continue  # somebody else took this use
                case Refused():
                    return feedback.GRANT_GONE
        return feedback.GRANT_GONE

    def _returned(self, effect: RunTool, result: ToolResult, leased: LeasedEffect) -> tuple[Entry, list[Change]]:
        changes: list[Change] = []
        raw = result.text.encode("utf-8", "replace")
        if len(raw) > BLOB_BYTES_MIN:
            blob = hashlib.sha256(raw).hexdigest()
            changes.append(PutBlob(hash=blob, body=raw))
            result = msgspec.structs.replace(result, text="", blob=blob)
        if (picture := result.picture) is not None:
            shown = hashlib.sha256(picture.body).hexdigest()
            changes.append(PutBlob(hash=shown, body=picture.body))
            result = msgspec.structs.replace(result, picture=Picture(media=picture.media, hash=shown))
        if effect.grant is not None:
            state = AttemptState.FAILED if result.failure else AttemptState.SUCCEEDED
            changes.append(MoveAttempt(id=effect.id, state=state))
        digest = hashlib.sha256(raw).hexdigest()
        failed = result.failure.what if result.failure else ""
        told = {"output": digest, "failure": failed, "tool": effect.tool, **_granted(effect)}
        changes.append(self._audit(effect, "attempt.ended", **told))
        entry = Returned(at_ms=self._context.clock.now_ms(), call=effect.call, result=result)
        return entry, changes

    async def _outcome_card(self, effect: RunTool, outcome: str, team: Team) -> list[Change]:
        """The decided card gets its last line: what came of what was approved."""
        read = self._context.store.read
        grant = await read.grant(effect.grant or "")
        row = await read.inquiry(grant.inquiry) if grant else None
        if row is None:
            return []
        plan = self._context.plan(self._context.env(team))
        inquiries.decided(plan, row.inquiry, "; ".join(filter(None, (outcome, verdicts.used(grant)))))
        return plan.changes

    def _lost(self, leased: LeasedEffect, effect: RunTool) -> tuple[Entry, list[Change]]:
        log.warning("attempt.unknown", task=leased.task.id, effect=effect.id, tool=effect.tool)
        changes: list[Change] = [self._audit(effect, "attempt.unknown", tool=effect.tool, **_granted(effect))]
        if effect.grant is not None:
            changes.append(MoveAttempt(id=effect.id, state=AttemptState.UNKNOWN))
        return Lost(at_ms=self._context.clock.now_ms(), call=effect.call, effect=effect.id), changes

    def _audit(self, effect: RunTool, what: str, **detail: str) -> AddAudit:
        row = Audit(
            id=f"{effect.id}:{what}",
            at_ms=self._context.clock.now_ms(),
            what=what,
            subject=effect.id,
            detail={"digest": effect.digest, "task": effect.id.partition(":")[0], **detail},
        )
        return AddAudit(row=row)


def _granted(effect: RunTool) -> dict[str, str]:
    return {"grant": effect.grant} if effect.grant else {}


async def _cancel(tool: Tool, attempt: str) -> None:
    """Ask a tool to stop. One that cannot, or does not answer, is not waited for: its run has a limit of its own."""
    try:
        async with asyncio.timeout(CANCEL_SECONDS_MAX):
            await tool.cancel(attempt)
    except Exception:  # noqa: BLE001 - logged; whatever a tool raises is its own failure, never the engine's
        log.exception("tool.not-cancelled", tool=tool.spec.name, effect=attempt)


def _in_form(result: object) -> ToolResult:
    """What a tool returned, with text that can be stored: bytes are read as UTF-8, half a surrogate pair becomes `?`.
    A picture without a body is none. Raises TypeError for what is no result.
    """
    if not isinstance(result, ToolResult):
        raise TypeError(f"a tool returned {type(result).__name__}, not a ToolResult")
    text: object = result.text
    picture = result.picture if isinstance(result.picture, Picture) and result.picture.body else None
    raw = text if isinstance(text, bytes) else str(text).encode("utf-8", "replace")
    return msgspec.structs.replace(result, text=raw.decode("utf-8", "replace"), picture=picture)
