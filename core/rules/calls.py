"""Take up the calls of one reply: each is run, put before a person, delegated, or given its result at once.

This is where the matrix, the tool lists, the gates and the denials hold, whatever a prompt says (P4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, assert_never

import msgspec

from core.model.effects import AnswerChild, AskHuman, Delegate, Effect, GiveOver
from core.model.ids import GrantId, TaskId, call_of, child_of, inquiry_of
from core.model.inquiries import Grant, Inquiry, Kind
from core.model.team import Team, Tier
from core.model.work import (
    Brief,
    Call,
    CallState,
    Failure,
    Handoff,
    PushBack,
    Reply,
    Round,
    Task,
    ToolResult,
    ToolUse,
)
from core.rules import briefs, delegation, feedback, finding, inquiry, joining, judging, policy, reviewing
from core.rules.actions import Act, act_of
from core.rules.bounds import covers
from core.rules.canonical import action_digest, intent_of
from core.rules.schema import check_arguments

CALLS_MAX = 32
"""A turn may hold this many calls; the rest come back as Failures. (Nobody's model asks for more in good faith.)"""

DEADLINE_MINUTES_MAX = 527_040
"""A year: what is further off is no deadline."""
CONTRACTS = frozenset({"delegate", reviewing.HAND_OFF})
"""Calls that carry a brief or a handoff."""

WHY_CHARS_MAX = 300
"""An agent's own words on a card are advisory: they may not crowd out the action."""


class Facts(Protocol):
    """The part of the step's Env that is needed here."""

    @property
    def now_ms(self) -> int: ...
    @property
    def fingerprints(self) -> Mapping[str, str]: ...
    @property
    def denied(self) -> frozenset[str]: ...
    @property
    def grants(self) -> tuple[Grant, ...]: ...


@dataclass(slots=True, kw_only=True)
class Opened:
    """The turn as it stands when every call has been taken up."""

    calls: tuple[Call, ...] = ()
    settled: list[tuple[Call, ToolResult]] = field(default_factory=list)
    acts: list[tuple[Call, Act, GrantId | None]] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    rounds: tuple[Round, ...] = ()
    asking: tuple[TaskId, ...] = ()
    found: tuple[str, ...] = ()
    ending: Handoff | Failure | PushBack | None = None
    amiss: Failure | None = None  # of a brief or handoff whose form is wrong


@dataclass(slots=True, kw_only=True)
class _Desk:
    """One reply being taken up."""

    task: Task
    team: Team
    facts: Facts
    alone: bool
    said: str  # the text beside the calls: the agent's own words
    out: Opened

    def settle(self, call: Call, failure: Failure) -> None:
        self.out.settled.append((call, ToolResult(failure=failure)))

    def amiss(self, call: Call, failure: Failure) -> Call:
        """It comes back with the exact errors; of a brief or a handoff, that is counted."""
        if call.name in CONTRACTS:
            self.out.amiss = failure
        self.settle(call, failure)
        return call


def open_calls(task: Task, reply: Reply, team: Team, facts: Facts, n: int) -> Opened:
    """Take up every call of the reply that is the task's entry number `n`."""
    out = Opened(rounds=task.rounds, asking=task.asking, found=task.found)
    desk = _Desk(task=task, team=team, facts=facts, alone=len(reply.uses) == 1, said=reply.text, out=out)
    calls: list[Call] = []
    for i, use in enumerate(reply.uses):
        call = Call(
            id=call_of(task.id, n, i),
            use=use.id,
            name=use.name,
            arguments=use.arguments if isinstance(use.arguments, dict) else {},
            state=CallState.ENDED,
        )
        calls.append(_take_up(desk, call, use) if i < CALLS_MAX else _settled(desk, call, feedback.too_many(CALLS_MAX)))
    out.calls = tuple(calls)
    return out


def _settled(desk: _Desk, call: Call, failure: Failure) -> Call:
    desk.settle(call, failure)
    return call


def _take_up(desk: _Desk, call: Call, use: ToolUse) -> Call:
    spec = desk.team.spec(desk.task.role, use.name)
    if spec is None:
        refused = act_of(desk.team, desk.task.role, use.name, call.arguments, desk.facts.fingerprints)
        return _settled(desk, call, refused if isinstance(refused, Failure) else feedback.unreadable(use.name))
    if not isinstance(use.arguments, dict):
        return desk.amiss(call, feedback.unreadable(use.name))
    checked = check_arguments(spec.parameters, use.arguments)
    if isinstance(checked, tuple):
        return desk.amiss(call, feedback.wrong_arguments(use.name, checked))
    call = msgspec.structs.replace(call, arguments=checked)
    match use.name:
        case "hand_off":
            return _hand_off(desk, call)
        case "delegate":
            return _delegate(desk, call)
        case "ask_human":
            return _ask_human(desk, call)
        case finding.NAME:
            return _find_tools(desk, call)
        case _:
            return _act(desk, call)


# --- hand_off -------------------------------------------------------------------------------------------------------


def _hand_off(desk: _Desk, call: Call) -> Call:
    arguments = call.arguments
    needs, summary = str(arguments.get("needs") or "").strip(), str(arguments.get("summary") or "").strip()
    if not desk.alone:
        return _settled(desk, call, feedback.HANDOFF_ALONE)
    if desk.task.heard_n:
        return _settled(desk, call, feedback.HANDOFF_AFTER_HEARING)
    if needs and desk.task.parent is not None:
        return _push_back(desk, call, needs)
    if needs:
        return _ask(desk, call, Kind.QUESTION, needs, (), "")
    if not summary:
        return desk.amiss(call, feedback.HANDOFF_EMPTY)
    return _ended_or_reviewed(desk, call)


def _ended_or_reviewed(desk: _Desk, call: Call) -> Call:
    """The handoff goes on, or waits for a person where the role's handoffs are looked at first."""
    handoff = judging.given_up(desk.task, joining.labelled(desk.task, reviewing.handoff_of(call.arguments)))
    call = reviewing.labelled(call, handoff)
    if judge := judging.to_judge(desk.team, desk.task, call, handoff):
        desk.out.effects.append(judge)
        return msgspec.structs.replace(call, state=CallState.CHILD, child=judge.child)
    why = desk.said.strip()[:WHY_CHARS_MAX]
    asked = reviewing.review(desk.task, call, desk.team, handoff, why, desk.facts.now_ms)
    if isinstance(asked, Inquiry):
        return _waiting(desk, call, asked)
    desk.out.ending = asked or handoff
    return call


def _push_back(desk: _Desk, call: Call, question: str) -> Call:
    allowed = delegation.push_back(desk.team, desk.task)
    if isinstance(allowed, Failure):
        return _settled(desk, call, allowed)
    desk.out.settled.append((call, ToolResult(text=feedback.ASKED_BACK)))
    desk.out.ending = PushBack(question=question)
    return call


# --- delegate -------------------------------------------------------------------------------------------------------


def _delegate(desk: _Desk, call: Call) -> Call:
    arguments = call.arguments
    if arguments.get("task") or arguments.get("answer"):
        return _answer_child(desk, call)
    target = str(arguments.get("to") or "")
    brief = Brief(
        objective=str(arguments.get("objective") or ""),
        kind=str(arguments.get("kind") or "request"),
        success_criteria=reviewing.lines_of(arguments, "success_criteria"),
        context=str(arguments.get("context") or ""),
        limits=str(arguments.get("limits") or ""),
        deadline_ms=_deadline(desk, int(arguments.get("deadline_minutes") or 0)),
        requires_approval=bool(arguments.get("requires_approval")),
        fields={str(name): str(text) for name, text in dict(arguments.get("fields") or {}).items()},
    )
    match delegation.hand_over(desk.team, desk.task, target, brief):
        case Failure() as failure:
            return (
                desk.amiss(call, failure)
                if failure == delegation.incomplete(desk.team, brief)
                else _settled(desk, call, failure)
            )
        case delegation.Loop(failure=failure):
            desk.out.ending = failure
            return call
        case delegation.Allowed(hops=hops, rounds=rounds, gated=gated):
            if why := briefs.for_a_person(desk.team, target, brief):
                return _given_over(desk, call, target, brief, why)
            child = child_of(call.id)
            this_turn = desk.out.rounds[len(desk.task.rounds) :]
            if not any(delegation.same_work(rounds[-1], other) for other in this_turn):  # a fan-out is one round
                desk.out.rounds = (*desk.out.rounds, rounds[-1])
            desk.out.effects.append(
                Delegate(call=call.id, child=child, role=target, brief=brief, hops=hops, rounds=rounds, gated=gated)
            )
            return msgspec.structs.replace(call, state=CallState.CHILD, child=child)
        case never:  # pragma: no cover
            assert_never(never)


def _deadline(desk: _Desk, minutes: int) -> int | None:
    """Never later than the asker's own."""
    own = desk.task.brief.deadline_ms
    named = desk.facts.now_ms + minutes * 60_000 if 0 < minutes <= DEADLINE_MINUTES_MAX else None
    return min((one for one in (own, named) if one is not None), default=None)


def _given_over(desk: _Desk, call: Call, target: str, brief: Brief, why: str) -> Call:
    """A trigger of the one who would get it fires: a person takes the conversation over, with all that is known."""
    if not any(isinstance(effect, GiveOver) for effect in desk.out.effects):
        desk.out.effects.append(GiveOver(role=target, why=why, brief=brief))
    return _settled(desk, call, feedback.for_a_person(desk.team.roles[target].title, why))


def _answer_child(desk: _Desk, call: Call) -> Call:
    """A role that was asked back answers; the child that asked goes on."""
    wanted, text = str(call.arguments.get("task") or ""), str(call.arguments.get("answer") or "")
    child = next((c for c in desk.out.asking if wanted and c.startswith(wanted)), None)
    if child is None or not text:
        return _settled(desk, call, feedback.not_asking(wanted))
    desk.out.asking = tuple(c for c in desk.out.asking if c != child)
    desk.out.effects.append(AnswerChild(call=call.id, child=child, text=text))
    return msgspec.structs.replace(call, state=CallState.CHILD, child=child)


# --- ask_human, and every tool that acts ----------------------------------------------------------------------------


def _ask_human(desk: _Desk, call: Call) -> Call:
    arguments = call.arguments
    options = reviewing.lines_of(arguments, "options")
    kind = Kind.CHOICE if options else Kind.QUESTION
    return _ask(desk, call, kind, str(arguments.get("question") or ""), options, str(arguments.get("why") or ""))


def _ask(desk: _Desk, call: Call, kind: Kind, text: str, options: tuple[str, ...], why: str) -> Call:
    asked = inquiry.question(
        call=call.id,
        generation=call.generation,
        task=desk.task,
        kind=kind,
        text=text,
        options=options,
        why=why,
        team=desk.team,
        now_ms=desk.facts.now_ms,
    )
    if isinstance(asked, Failure):
        return _settled(desk, call, asked)
    return _waiting(desk, call, asked)


def _waiting(desk: _Desk, call: Call, asked: Inquiry) -> Call:
    desk.out.effects.append(AskHuman(call=call.id, inquiry=asked))
    return msgspec.structs.replace(call, state=CallState.PERSON, inquiry=inquiry_of(call.id, call.generation))


def _find_tools(desk: _Desk, call: Call) -> Call:
    specs = desk.team.roles[desk.task.role].specs
    found = finding.find(specs, str(call.arguments.get("query") or ""))
    desk.out.found = tuple(dict.fromkeys((*desk.out.found, *(spec.name for spec in found))))
    desk.out.settled.append((call, ToolResult(text=finding.told(found, specs))))
    return call


def _granted(desk: _Desk, act: Act) -> Grant | None:
    """What people have approved for several times, if this is one of them. Uses that this turn takes up count."""
    taken = [grant for _call, _act, grant in desk.out.acts]
    role, now_ms = desk.task.role, desk.facts.now_ms
    fits = (g for g in desk.facts.grants if covers(g, role, act, now_ms, taken_n=taken.count(g.id)))
    return next(fits, None)


def _act(desk: _Desk, call: Call) -> Call:
    task, team = desk.task, desk.team
    act = act_of(team, task.role, call.name, call.arguments, desk.facts.fingerprints)
    if isinstance(act, Failure):
        return _settled(desk, call, act)
    if act.tier is Tier.INFRASTRUCTURE and not team.roles[task.role].permissions.can_deploy:
        return _settled(desk, call, feedback.may_not(task.role, act.action.says))
    if intent_of(task.root, act.action.resource, act.action.verb) in {*desk.facts.denied, *task.denied}:
        return _settled(desk, call, feedback.already_denied(act.action.says))
    gates = policy.gates_of(team, task.role, act, gated=task.gated, untrusted=task.untrusted, now_ms=desk.facts.now_ms)
    if gates is None:
        desk.out.acts.append((call, act, None))
        return call
    if grant := _granted(desk, act):
        desk.out.acts.append((call, act, grant.id))
        return call
    panel = policy.panel_of(team, gates, task.initiators, task.chain)
    if isinstance(panel, Failure):
        return _settled(desk, call, panel)
    spec = team.spec(task.role, call.name)
    asked = inquiry.approval(
        call=call.id,
        generation=call.generation,
        task=task,
        act=act,
        gates=gates,
        panel=panel,
        schema=spec.parameters if spec else {},
        why=(desk.said.strip() or task.brief.objective)[:WHY_CHARS_MAX],
        digest=action_digest(act.action),
        policy_version=team.policy.version,
        now_ms=desk.facts.now_ms,
    )
    return _waiting(desk, call, asked)
