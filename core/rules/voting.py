"""How one press is judged: who it is, whether they may, what it changes (INQUIRIES.md, Who can decide).

A press that the table does not allow, or that its presser may not make, is a note to them and changes nothing. Votes of
everybody are checked again at every count, and the action, its program and today's policy once more before a grant is
minted: what was true when somebody pressed need not be true when the last one does.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from core.model.inquiries import Evidence, InquiryState, Kind, Label, Verb, Vote
from core.model.team import Absence, Person, Team
from core.model.unit import InquiryRow
from core.rules import forms, notes, tending
from core.rules.audience import stood_for, with_delegate
from core.rules.bounds import fit
from core.rules.decisions import QUESTIONS, Case, Decision, Press, Standing, closed, grant_lives, resolved
from core.rules.opening import opened
from core.rules.revising import conclude, edit
from core.rules.schema import check_arguments
from core.rules.votes import count, denied, leaves_enough, names_of, own_vote, voted_elsewhere

_ANY_STAGE = frozenset({Verb.EDIT, Verb.ASK_BACK, Verb.EXTEND})
_KEEPS_VOTE = frozenset({Verb.APPROVE, Verb.DENY, Verb.RERUN})

SAME_PRESS_MS = 1_000
"""Two clicks of a single operator that are closer together are one: no mind was made up in between."""


def press(
    row: InquiryRow,
    press: Press,
    standing: Standing,
    team: Team,
    now_ms: int,
    *,
    task_alive: bool,
    fingerprint_now: str | None,
    others: tuple[Standing, ...] = (),
    absences: tuple[Absence, ...] = (),
) -> Decision:
    """Judge one press. `fingerprint_now` is the program's just before the decision, None if there is none to read.
    `others` is the standing of earlier voters, looked up just before, too. `absences` are of people who may decide it.
    """
    inquiry = row.inquiry
    case = Case(
        row=row,
        inquiry=inquiry,
        press=press,
        who=press.principal or "",
        standing=standing,
        team=team,
        now_ms=now_ms,
        fingerprint=fingerprint_now or "",
        others=others,
    )
    if press.verb is Verb.VIEW:
        return case.noted("")
    if inquiry.state.final and not (grant_lives(row, now_ms) and press.verb in {Verb.EDIT, Verb.WITHDRAW}):
        if press.verb is Verb.WITHDRAW and inquiry.state is InquiryState.APPROVED:
            return case.noted(notes.TOO_LATE_TO_STOP)
        by = inquiry.resolution.by if inquiry.resolution else ()
        return case.noted(notes.afterwards(inquiry.state, ", ".join(names_of(by, team)) or "nobody"))
    case = _standing_in(case, absences)
    objection = _objection(case)
    if objection:
        return case.noted(objection)
    if not task_alive:
        return _task_over(case)
    if inquiry.state in {InquiryState.CREATED, InquiryState.UNDELIVERABLE}:
        case = replace(case, inquiry=opened(inquiry, now_ms))
    return _decide(case)


def _standing_in(case: Case, absences: tuple[Absence, ...]) -> Case:
    """The delegate of somebody absent has a seat where the policy's selector means both (case_24)."""
    stands_for = case.press.stands_for or stood_for(case.inquiry, absences, case.who, case.now_ms)
    if not stands_for:
        return case
    inquiry = with_delegate(case.inquiry, case.team, stands_for, case.who)
    return replace(case, inquiry=inquiry, press=replace(case.press, stands_for=stands_for))


def _decide(case: Case) -> Decision:
    verb = case.press.verb
    match verb:
        case Verb.APPROVE | Verb.RERUN:
            return _approve(case)
        case Verb.DENY:
            return _deny(case)
        case Verb.EDIT:
            return edit(case)
        case Verb.ASK_BACK:
            return _ask_back(case)
        case Verb.ANSWER:
            return _answer(case)
        case Verb.DISMISS:
            return resolved(case, 10, InquiryState.DISMISSED, notes.DISMISSED)
        case Verb.HAPPENED | Verb.GIVE_UP:
            return _say_what_happened(case)
        case Verb.WITHDRAW:
            return _take_back(case)
        case Verb.COMMENT:
            return tending.comment(case)
        case Verb.SNOOZE:
            return tending.snooze(case)
        case Verb.EXTEND:
            return tending.extend(case)
        case Verb.OVERRIDE:
            return tending.override(case)
        case Verb.VIEW:  # pragma: no cover
            return case.noted("")
        case _:  # pragma: no cover
            assert_never(verb)


def _objection(case: Case) -> str:
    """Why this press does not count, in words; "" if it does. Only a press that counts opens an inquiry."""
    inquiry, pressed = case.inquiry, case.press
    if pressed.revision != inquiry.revision:
        return notes.STALE
    if pressed.verb not in inquiry.verbs and pressed.verb not in tending.TENDING | {Verb.WITHDRAW}:
        return notes.NOT_OFFERED
    person = case.team.person(case.who)
    if person is None or case.standing.principal != person.id:
        return notes.UNKNOWN_PERSON
    if inquiry.verified and pressed.evidence is not Evidence.VERIFIED:
        return notes.NEEDS_VERIFIED
    if any(v.callback == pressed.callback and v.principal != case.who for v in case.row.votes):
        return notes.SEEN
    if pressed.verb in tending.TALK:
        return "" if tending.concerned(case, person) else notes.NOT_ELIGIBLE
    if pressed.verb is Verb.OVERRIDE:
        return tending.no_override(case, person)
    return _not_a_decider(case, person)


def _not_a_decider(case: Case, person: Person) -> str:
    """Why this person does not decide this, or not now."""
    inquiry, pressed = case.inquiry, case.press
    stages = inquiry.stages if pressed.verb in _ANY_STAGE | {Verb.WITHDRAW} else (case.stage,)
    eligible = any(case.who in stage.eligible for stage in stages)
    if not eligible and case.who in inquiry.initiators:
        return notes.NOT_YOUR_OWN
    if not eligible and pressed.stands_for:
        return notes.NOT_IN_THEIR_PLACE
    may = person.may_ask if inquiry.kind in QUESTIONS else person.may_approve
    if not eligible or not may or (case.standing.may_approve is False and inquiry.kind not in QUESTIONS):
        # Taking one's own vote back is always safe, and a removed approver's vote no longer counts anyway.
        return notes.NOT_ELIGIBLE
    return "" if case.entitled or pressed.verb in _KEEPS_VOTE | {Verb.WITHDRAW} else notes.NOT_CHECKED


def _task_over(case: Case) -> Decision:
    """A late answer counts only if the task is alive (transition 15)."""
    late = case.inquiry.overdue and case.inquiry.state.active
    number, state = (15, InquiryState.EXPIRED) if late else (13, InquiryState.CANCELLED)
    return closed(case, number, state, note=notes.TASK_OVER, by=("task",), revoke=case.live, why=notes.TASK_ENDED)


# --- Approve, deny --------------------------------------------------------------------------------------------------


def _approve(case: Case) -> Decision:
    inquiry, votes = case.inquiry, case.row.votes
    if case.press.wanted is not None:
        bounds = fit(case, case.press.wanted)
        if isinstance(bounds, str):
            return case.noted(bounds)
        case = replace(case, press=replace(case.press, bounds=bounds))
    if inquiry.approve_reason and case.press.verb is Verb.APPROVE and not case.press.reason.strip():
        return case.noted(notes.APPROVE_REASON_NEEDED)
    if inquiry.label is Label.SINGLE:
        return _approve_alone(case)
    if voted_elsewhere(inquiry, votes, case.who):
        return case.noted(notes.ANOTHER_REVIEWER)
    return _cast(case)


def _deny(case: Case) -> Decision:
    if case.inquiry.reason_required and not case.press.reason.strip():
        return case.noted(notes.REASON_NEEDED)
    return _cast(case)


def _approve_alone(case: Case) -> Decision:
    """Single operator: one deliberate second press, after the first has shown the whole action."""
    inquiry = case.inquiry
    if not case.entitled:
        return case.noted(notes.NOT_CHECKED)
    first = own_vote(inquiry, case.row.votes, case.who, inquiry.stage)
    if first is not None and first.verb is Verb.DENY:
        return case.noted(notes.CONFLICT)
    if inquiry.pressed_once and first is not None and _is_another_press(first, case.press):
        return conclude(case, case.vote(case.press.verb), (case.who,))
    if inquiry.pressed_once:
        return case.noted(notes.CONFIRM)
    # Kept as a look, not as an approval: a redelivered first press is told from a second one by its callback.
    seen = case.vote(Verb.VIEW)
    once = case.moved(5, InquiryState.COLLECTING, pressed_once=True)
    return Decision(inquiry=once, vote=seen, transition=5, note=notes.CONFIRM, changed=True, finalise=True)


def _is_another_press(first: Vote, press: Press) -> bool:
    """A click of a double click is the same press. The times may be of two clocks, and come in any order."""
    return first.callback != press.callback and abs(press.at_ms - first.at_ms) >= SAME_PRESS_MS


def _cast(case: Case) -> Decision:
    """Add the vote, then see what all votes come to. The same press again only counts again."""
    inquiry, verb = case.inquiry, case.press.verb
    mine = own_vote(inquiry, case.row.votes, case.who, inquiry.stage)
    if mine is not None and mine.verb not in {verb, Verb.VIEW}:
        return case.noted(notes.CONFLICT)
    again = mine is not None and mine.verb is verb and (mine.checked or not case.entitled)
    vote = None if again else case.vote(verb)
    votes = case.row.votes if vote is None else (*(v for v in case.row.votes if v is not mine), vote)
    if verb is not Verb.DENY and not leaves_enough(inquiry, votes, case.team):
        return case.noted(notes.NEEDED_LATER)
    if not case.entitled:
        return case.noted(notes.KEPT) if again else _collected(case, votes, vote, notes.KEPT)
    counted = count(inquiry, case.counting(votes), case.team)
    if denied(inquiry, counted):
        return resolved(case, 8, InquiryState.DENIED, notes.DENIED, vote=vote, by=counted.denied_by)
    if counted.stage is None and verb is not Verb.DENY:  # a kept vote may have met the quorum; a denial never approves
        return conclude(case, vote, counted.by)
    if again and counted.stage == inquiry.stage:
        return case.noted(notes.SEEN)
    unsure = verb is not Verb.DENY and count(inquiry, votes, case.team).stage != counted.stage
    return _collected(case, votes, vote, notes.OTHERS_UNSURE if unsure else notes.COUNTED)


def _collected(case: Case, votes: tuple[Vote, ...], vote: Vote | None, note: str) -> Decision:
    """A vote that decides nothing yet: below the quorum, or a stage met and another due."""
    inquiry = case.inquiry
    counted = count(inquiry, case.counting(votes), case.team)
    if note == notes.KEPT or counted.stage is None:  # nothing advances on a vote that does not count yet
        state = InquiryState.IN_REVIEW if inquiry.stage else InquiryState.COLLECTING
        new = case.moved(5, state)
        return Decision(inquiry=new, vote=vote, transition=5, note=note, changed=True, finalise=True)
    advanced = counted.stage > inquiry.stage
    number = 6 if advanced else 5
    new = case.moved(number, counted.state, stage=counted.stage)
    told = notes.REVIEW_NEXT if advanced else note
    return Decision(inquiry=new, vote=vote, transition=number, note=told, changed=True, finalise=True)


# --- Ask back, answer, say what happened ------------------------------------------------------------------------------


def _ask_back(case: Case) -> Decision:
    if not case.press.reason.strip():
        return case.noted(notes.TEXT_NEEDED)
    new = case.inquiry
    comment = case.press.reason
    return Decision(
        inquiry=new, transition=4, note=notes.PASSED_ON, comment=comment, changed=new is not case.row.inquiry
    )


def _answer(case: Case) -> Decision:
    """Transition 9. What does not fit stays, and says why."""
    inquiry, answer, fields = case.inquiry, case.press.answer, case.press.fields
    if fields is not None:
        answer = forms.answer_of(inquiry, fields)
    if isinstance(answer, forms.Unfit):
        return case.noted(f"{notes.INVALID_ANSWER}: {answer.why}.")
    match inquiry.kind:
        case Kind.CHOICE:
            wrong = "" if answer in inquiry.options else f"choose one of {', '.join(inquiry.options)}"
        case Kind.FORM:
            checked = check_arguments(inquiry.schema or {}, answer)
            wrong = "; ".join(checked) if isinstance(checked, tuple) else ""
        case Kind.QUESTION | Kind.APPROVAL | Kind.REVIEW | Kind.RECONCILE | Kind.POLICY:
            wrong = "" if isinstance(answer, str) and answer.strip() else "write an answer"
        case _:  # pragma: no cover
            assert_never(inquiry.kind)
    if wrong:
        return case.noted(f"{notes.INVALID_ANSWER}: {wrong}.")
    return resolved(case, 9, InquiryState.ANSWERED, notes.ANSWERED, answer=answer)


def _say_what_happened(case: Case) -> Decision:
    mine = own_vote(case.inquiry, case.row.votes, case.who, case.inquiry.stage)
    if mine is not None and mine.verb is Verb.RERUN:
        return case.noted(notes.CONFLICT)
    return resolved(case, 9, InquiryState.ANSWERED, notes.ANSWERED, answer=case.press.verb.value)


# --- Take back ------------------------------------------------------------------------------------------------------


def _take_back(case: Case) -> Decision:
    """One's own vote while nothing is decided; afterwards the grant, until it is consumed (transition 17)."""
    inquiry, row = case.inquiry, case.row
    if case.live is not None:
        return closed(case, 17, InquiryState.CANCELLED, note=notes.REVOKED, by=(case.who,), revoke=case.live)
    at = (inquiry.stage, *range(len(inquiry.stages)))
    mine = next((v for n in at if (v := own_vote(inquiry, row.votes, case.who, n))), None)
    if mine is None:
        return case.noted(notes.NO_VOTE)
    left = tuple(v for v in row.votes if v is not mine)
    counted = count(inquiry, case.counting(left), case.team)
    stage = inquiry.stage if counted.stage is None else min(counted.stage, inquiry.stage)
    any_first = any(v.stage == 0 for v in left)
    state = InquiryState.IN_REVIEW if stage else InquiryState.COLLECTING if any_first else InquiryState.OPEN
    new = case.moved(5, state, stage=stage, pressed_once=False)
    gone = case.vote(Verb.WITHDRAW, active=False, stage=mine.stage)
    return Decision(inquiry=new, vote=gone, transition=5, note=notes.TAKEN_BACK, changed=True, finalise=True)
