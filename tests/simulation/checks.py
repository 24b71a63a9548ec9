"""The promises, as checks over a run that has settled. What really happened is read outside, not in our records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import assert_never

import msgspec

from core.model import unit as u
from core.model.effects import RunTool
from core.model.events import CommandReceived, Event, MessageReceived
from core.model.ids import digest_of
from core.model.inquiries import GrantState, Inquiry, InquiryState, Kind, Label, Verb
from core.model.team import EffectClass, Tier
from core.model.views import Answer, Trouble
from core.model.work import Begun, CallState, Entry, Facts, Failure, Heard, Task
from core.rules import judging, words
from core.rules.actions import act_of
from core.rules.canonical import action_digest, audit_hash
from core.rules.step import Env, step
from tests.simulation.world import World


def verify(world: World, *, finished: bool = True) -> None:
    """Every promise. `finished`: nothing is left for people either."""
    found = [
        *lost_messages(world),
        *wrong_executions(world),
        *wrong_answers(world),
        *outside_the_matrix(world),
        *stuck(world, finished=finished),
        *budgets(world),
        *audit(world),
        *replay(world),
        *questions(world),
    ]
    assert not found, f"seed {world.seed}, crashes {world.crashes}, thefts {world.thefts_n}:\n" + "\n".join(found)


def lost_messages(world: World) -> Iterator[str]:
    """P1."""
    tables = world.store._tables
    if world.screen.pending:
        yield f"{len(world.screen.pending)} events were never accepted"
    for event in world.screen.acked:
        row = tables.events.get(event.key)
        if row is None:
            yield f"P1: {event.key} was acknowledged and is gone"
        elif row.state != "done":
            yield f"P1: {event.key} was never dealt with"
        elif isinstance(event, MessageReceived) and (row.task is None or row.task not in tables.tasks):
            yield f"P1: {event.key} has no task"
    said = Counter(event.text for event in {e.key: e for e in world.screen.acked}.values() if _words(event))
    told: Counter[str] = Counter()
    remarks: Counter[str] = Counter()
    for task in world.tasks():
        for entry in tables.entries[task.id].values():
            if isinstance(entry, Begun) and task.parent is None:
                told[entry.brief.objective] += 1
            elif isinstance(entry, Heard) and not entry.by_role:
                remark = _remark(entry.text)
                (remarks if remark else told)[remark or entry.text] += 1
    if said != told:
        yield f"P1: people said {dict(said)}, and agents were told {dict(told)}"
    yield from _comments(world, remarks)


_ABOUT = words.about_inquiry("", "", "").rpartition(";")[2]
"""What stands before a comment where its task hears it."""


def _remark(text: str) -> str:
    """The comment that a task heard; "" for everything else that is said."""
    about, mark, remark = text.partition(_ABOUT)
    return remark if mark and about.startswith("(about i-") else ""


def _comments(world: World, remarks: Counter[str]) -> Iterator[str]:
    """A comment that was taken is heard once, unless its task was over first; one that was not, never."""
    tables = world.store._tables
    made = {e.key: e for e in world.screen.acked if isinstance(e, CommandReceived) and e.name == "comment"}
    typed = Counter(" ".join(e.arguments[1:]) for e in made.values())
    taken_n = sum(row.row.what == "inquiry.commented" for row in tables.audit.values())
    if not remarks <= typed:
        yield f"P1: agents were told {dict(remarks)}, and people remarked {dict(typed)}"
    heard_of = sum(signal.signal.id.endswith(":comment") for signal in tables.signals.values())
    if sum(remarks.values()) > taken_n or heard_of != taken_n:
        yield f"P1: {taken_n} comments were taken, {heard_of} sent on, {dict(remarks)} heard"


def _words(event: Event) -> bool:
    return isinstance(event, MessageReceived)


def wrong_executions(world: World) -> Iterator[str]:
    """P2, P3: what really ran, against what people really pressed."""
    tables, team = world.store._tables, world.team
    used: Counter[str] = Counter()
    for done in world.outside.done:
        act = act_of(team, done.role, done.tool, done.arguments, {"deploy": digest_of("program", "deploy")})
        if isinstance(act, Failure):
            yield f"P4: {done} is not allowed"
            continue
        row = tables.effects.get(done.attempt)
        if row is None or not isinstance(row.effect, RunTool):
            yield f"P3: {done} has no effect"
            continue
        if world.outside.times[done.attempt] > 1 and act.effect is EffectClass.ONCE:
            yield f"P2: {done.attempt} happened {world.outside.times[done.attempt]} times"
        if act.tier is not Tier.INFRASTRUCTURE:
            continue
        grant = tables.grants.get(row.effect.grant or "")
        if grant is None:
            yield f"P3: {done} ran without a grant"
            continue
        used[grant.id] += 1
        if grant.digest != action_digest(act.action):
            yield f"P3: {done} is not what was granted"
        if grant.state is not GrantState.CONSUMED:
            yield f"P3: {grant.id} is {grant.state}, and its action ran"
        yield from _unearned(world, tables.inquiries[grant.inquiry], grant.by)
    yield from (f"P3: {grant} was used {n} times" for grant, n in used.items() if n > 1)
    if unasked := [one for one in tables.inquiries.values() if one.state is InquiryState.APPROVED and not one.stages]:
        yield f"P3: {unasked} were approved by nobody"


def _unearned(world: World, inquiry: Inquiry, by: tuple[str, ...]) -> Iterator[str]:
    """Whether those in whose name a grant was minted really pressed, and were enough."""
    yes = {Verb.APPROVE.value, Verb.RERUN.value}
    if inquiry.label is Label.OVERRIDE:
        yes = {Verb.OVERRIDE.value}
    presses = [who for who, verb, of in world.pressed if of == inquiry.id and verb in yes]
    for person in by:
        if person not in presses:
            yield f"P3: {person} never approved {inquiry.id}"
    match inquiry.label:
        case Label.FULL:
            if len(set(by)) < sum(stage.approve_n for stage in inquiry.stages):
                yield f"P3: {inquiry.id} was approved by {by} alone"
            if set(by) & set(inquiry.initiators):
                yield f"P3: {inquiry.id} was approved by who asked for it"
        case Label.SINGLE:
            if len(presses) < 2:
                yield f"P3: {inquiry.id} was approved by one press"
        case Label.REDUCED:
            if not by:
                yield f"P3: {inquiry.id} was approved by nobody"
        case Label.OVERRIDE:
            owners = {person.id for person in world.team.people if person.role == "owner"}
            if len(by) != 1 or not set(by) <= owners or set(by) & {*inquiry.initiators, *inquiry.editors}:
                yield f"P3: {inquiry.id} was overridden by {by}"
        case _:
            assert_never(inquiry.label)


def wrong_answers(world: World) -> Iterator[str]:
    """One answer for each request, on screen once: or nobody can know whether it arrived."""
    shown: Counter[str] = Counter()
    for edits in world.screen.messages.values():
        if isinstance(edits[0].view, Answer | Trouble):
            shown[edits[0].slot] += 1
    for task in world.tasks():
        slot = f"answer:{task.id}"
        states = [row.state for row in world.store._tables.posts.values() if row.post.slot == slot]
        unsure = u.PostState.UNCERTAIN in states or u.PostState.DEAD in states
        if task.parent is not None or not task.phase.final:
            if states:
                yield f"{task.id} was answered before its end"
            continue
        if len(states) != 1:
            yield f"{task.id} has {len(states)} answers"
        if shown[slot] > 1 or (shown[slot] == 0 and not unsure):
            yield f"the answer of {task.id} is on screen {shown[slot]} times ({states})"


def outside_the_matrix(world: World) -> Iterator[str]:
    """P4."""
    rows = {(row.source, row.target): row.kinds for row in world.team.matrix}
    tasks = {task.id: task for task in world.tasks()}
    for task in tasks.values():
        if task.hops > world.team.hops_max or task.depth > world.team.hops_max:
            yield f"P4: {task.id} is {task.hops} hops away"
        if task.parent is not None:
            above = tasks[task.parent]
            judges = task.brief.kind == judging.KIND and world.team.roles[above.role].judged_by == task.role
            if not judges and task.brief.kind not in rows.get((above.role, task.role), ()):
                yield f"P4: {above.role} handed {task.brief.kind} to {task.role}"


def stuck(world: World, *, finished: bool) -> Iterator[str]:
    """P5."""
    tables = world.store._tables
    tasks = {str(task.id): task for task in world.tasks()}
    for task in tasks.values():
        if task.phase.final:
            if any(call.state is not CallState.ENDED for call in task.calls):
                yield f"P5: {task.id} is over, and calls of it are open"
            continue
        if finished:
            yield f"P5: {task.id} ({task.role}) is {task.phase.value}, waiting on {task.waiting_on}"
        if not task.waiting_on:
            yield f"P5: {task.id} ({task.role}) waits on nothing: {task.phase.value} {task.thinking} {task.calls}"
        for name in task.waiting_on:
            inquiry = tables.inquiries.get(name)
            if (inquiry is None or inquiry.state.final) and (name not in tasks or tasks[name].phase.final):
                yield f"P5: {task.id} waits on {name}, which is over"
    for row in tables.effects.values():
        if row.state is not u.EffectState.ENDED:
            yield f"P5: effect {row.effect.id} is {row.state.value}"
    for post in tables.posts.values():
        if post.state in {u.PostState.QUEUED, u.PostState.SENDING}:
            yield f"P5: post {post.post.id} is {post.state.value}"
    for signal in tables.signals.values():
        if signal.state == "new" and signal.signal.due_at_ms <= world.clock.now_ms():
            yield f"P5: signal {signal.signal.id} was never heard"
    for inquiry in world.open_inquiries():
        if tasks[inquiry.task].phase.final:
            yield f"P5: {inquiry.id} is asked for a task that is over"


def budgets(world: World) -> Iterator[str]:
    """P4: nothing is held at the end, and no day went over its limit."""
    for scope, spent in world.store._tables.budgets.items():
        limits = world.team.roles[scope.split(":")[1]].budget
        if spent.reserved_tokens or spent.reserved_microusd:
            yield f"{scope} still holds {spent.reserved_tokens} tokens"
        if spent.tokens > limits.day_tokens_max or spent.microusd > limits.day_microusd_max:
            yield f"P4: {scope} spent {spent}"


def audit(world: World) -> Iterator[str]:
    """P7."""
    tables, previous = world.store._tables, ""
    if any(row.sealed is None for row in tables.audit.values()):
        yield "P7: audit rows were never sealed"
    for seq, sealed in sorted(tables.chain.items()):
        if sealed.previous != previous or sealed.hash != audit_hash(previous, seq, sealed.row):
            yield f"P7: the chain breaks at {seq}"
        previous = sealed.hash
    ran = {row.row.subject for row in tables.audit.values() if row.row.what.startswith("attempt.")}
    for done in world.outside.done:
        if done.attempt not in ran:
            yield f"P7: {done.attempt} is not in the audit log"


def replay(world: World) -> Iterator[str]:
    """P8: the journal, folded again, gives the state that is stored."""
    for task in world.tasks():
        entries = world.store._tables.entries[task.id]
        state = world.firsts[task.id]
        told, n = state.step, state.version
        while told < task.step:
            state, added = _fold(world, state, entries[told])
            n += 1
            if [entries.get(told + 1 + i) for i in range(len(added))] != list(added):
                yield f"P8: {task.id} entry {told} ({type(entries[told]).__name__}) derives something else now"
                return
            told += 1 + len(added)
        if n != task.version:
            yield f"P8: {task.id} was written {task.version} times for {n} entries"
        if _core(state) != _core(task):
            yield f"P8: {task.id} folds to another state:\n  {_core(state)}\n  {_core(task)}"


def _fold(world: World, state: Task, entry: Entry) -> tuple[Task, tuple[Entry, ...]]:
    """Step again with nothing but the journal."""
    facts = entry.facts or Facts()
    env = Env(
        now_ms=entry.at_ms,
        team=world.team,
        fingerprints=facts.fingerprints,
        denied=frozenset(facts.denied),
        exhausted=frozenset(facts.exhausted),
    )
    decided = step(state, entry, env)
    return msgspec.structs.replace(decided.task, version=state.version + 1), decided.entries


def _core(task: Task) -> dict[str, object]:
    """All but what the writer of the row adds."""
    return msgspec.to_builtins(msgspec.structs.replace(task, deadline=None, version=0))


def questions(world: World) -> Iterator[str]:
    """Nobody is asked what became of an action whose outcome could have been known."""
    asked = [one for one in world.store._tables.inquiries.values() if one.kind is Kind.RECONCILE]
    allowed = len(world.unknowable) + len(world.outside.raises)
    if len(asked) > allowed:
        yield f"P2: {len(asked)} questions for {allowed} actions that nobody can know about"
    if world.outside.remembers and asked and not world.outside.raises:
        yield "P2: a tool that remembers was asked about"
