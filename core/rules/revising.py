"""What the last vote, and an edit, do to what is asked (transitions 7 and 11): the action is looked at once more.

The action, its program and today's policy are checked again before a grant is minted: what was true when somebody
pressed need not be true when the last one does. A new revision starts without votes, and old buttons are stale.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import msgspec

from core.model.ids import grant_of
from core.model.inquiries import Action, Grant, Inquiry, InquiryState, Kind, Label, Stage, Verb, Vote
from core.model.team import Json, Team
from core.model.work import Failure
from core.rules import forms, notes, quorum, reviewing
from core.rules.actions import Act, act_of
from core.rules.bounds import agreed
from core.rules.canonical import action_digest, intent_of
from core.rules.decisions import Case, Decision, closed, resolved
from core.rules.policy import (
    DAY_MS,
    Gates,
    entitled,
    fillable,
    gates_of,
    not_meant,
    panel_of,
    required_n,
    rule_for,
    rule_sets,
    severity,
    stages_or_one,
    stricter,
)
from core.rules.schema import check_arguments
from core.rules.votes import APPROVING


def conclude(case: Case, vote: Vote | None, by: tuple[str, ...]) -> Decision:
    """Transition 7: everything is checked again, and the grant is minted."""
    inquiry, action = case.inquiry, case.inquiry.action
    if inquiry.kind is Kind.REVIEW:
        return _conclude_review(case, vote, by)
    if inquiry.kind is Kind.POLICY and action is not None:
        if case.fingerprint != action.fingerprint:
            return closed(case, 13, InquiryState.CANCELLED, note=notes.LAWS_CHANGED, by=("policy",), vote=vote)
        return resolved(case, 7, InquiryState.APPROVED, notes.APPROVED, vote=vote, by=by)
    if action is None:
        return resolved(case, 7, InquiryState.APPROVED, notes.APPROVED, vote=vote, by=by)
    act = _act_now(case, action, action.arguments)
    if isinstance(act, Failure) or not _is_bound(inquiry, action, act):
        # Not a denial: the intent stays allowed, and asking anew is about the action as it is now.
        return closed(case, 13, InquiryState.CANCELLED, note=notes.ACTION_CHANGED, by=("policy",), vote=vote)
    today = gates_of(case.team, inquiry.role, act, gated=False, untrusted=False)
    if today is not None and (stricter(today, inquiry) or not_meant(case.team, today, inquiry, by)):
        return _ask_anew(case, today)
    bounds = None
    if inquiry.kind is Kind.APPROVAL:
        bounds = agreed((*(v for v in case.row.votes if _counts(inquiry, v, by, vote)), *((vote,) if vote else ())))
    grant = Grant(
        id=grant_of(inquiry.id, inquiry.revision, inquiry.generation),
        inquiry=inquiry.id,
        task=inquiry.task,
        digest=inquiry.digest,
        execute_by_ms=case.now_ms + (bounds.within_ms if bounds else inquiry.execute_ms),
        by=by,
        bounds=bounds,
        action=action if bounds else None,
        role=inquiry.role if bounds else "",
    )
    answer = Verb.RERUN.value if inquiry.kind is Kind.RECONCILE else None
    done = resolved(case, 7, InquiryState.APPROVED, notes.APPROVED, vote=vote, by=by, grant=grant, answer=answer)
    return replace(done, inquiry=msgspec.structs.replace(done.inquiry, bounds=bounds))


def _counts(inquiry: Inquiry, cast: Vote, by: tuple[str, ...], vote: Vote | None) -> bool:
    """Whether a vote is one of those that approve it, but for the one that is being cast."""
    again = vote is not None and (cast.principal, cast.stage) == (vote.principal, vote.stage)
    approving = cast.active and cast.verb in APPROVING and cast.revision == inquiry.revision
    return approving and cast.principal in by and not again


def _conclude_review(case: Case, vote: Vote | None, by: tuple[str, ...]) -> Decision:
    """A handoff is words that are bound already: of what may have changed only the policy is left to look at."""
    role = case.team.roles.get(case.inquiry.role)
    today = reviewing.gates(case.team, role) if role is not None else None
    if today is not None and stricter(today, case.inquiry):
        return _ask_anew(case, today)
    return resolved(case, 7, InquiryState.APPROVED, notes.APPROVED, vote=vote, by=by)


def still_decides(inquiry: Inquiry, by: tuple[str, ...], team: Team) -> bool:
    """Whether everybody who approved it could still do so under today's definition: a permission given with a vote that
    would no longer count is not to be used.
    """
    people = [team.person(p) for p in by]
    if any(person is None or not person.may_approve for person in people):
        return False
    if inquiry.label is Label.OVERRIDE:
        return all(person is not None and person.role == "owner" for person in people)
    if inquiry.label is not Label.FULL:
        return True
    sets = [one for rule in stages_or_one(rule_for(team.policy, inquiry)) for one in rule_sets(rule)]
    return {p for one in sets for p in entitled(team, one)}.issuperset(by)


def _act_now(case: Case, action: Action, arguments: dict[str, Json]) -> Act | Failure:
    names = {action.verb: case.fingerprint, action.tool: case.fingerprint}
    return act_of(case.team, case.inquiry.role, action.tool, arguments, names)


def _is_bound(inquiry: Inquiry, then: Action, act: Act) -> bool:
    """Whether the action as it would be today is the one that was shown, and the digest is its digest."""
    shown = msgspec.structs.replace(act.action, says=then.says, secrets=then.secrets)
    return shown == then and action_digest(shown) == inquiry.digest


def _ask_anew(case: Case, today: Gates) -> Decision:
    """A stricter gate means another revision: new people, no votes."""
    inquiry = case.inquiry
    panel = panel_of(case.team, today, (*inquiry.initiators, *inquiry.editors), inquiry.chain)
    if isinstance(panel, Failure):
        return case.noted(notes.NOBODY_LEFT)
    new = case.moved(
        7,
        InquiryState.OPEN,
        **_fresh(inquiry),
        label=panel.label,
        stages=panel.stages,
        tier=today.tier,
        gates=today.reasons,
        verified=today.verified,
        reason_required=today.reason_required,
        approve_reason=today.approve_reason,
        execute_ms=today.execute_ms,
        at_deadline=inquiry.at_deadline if inquiry.kind is Kind.RECONCILE else today.at_deadline,
        policy=case.team.policy.version,
        decide_by_ms=case.now_ms + today.decide_ms,
    )
    return Decision(inquiry=new, transition=7, note=notes.STRICTER, changed=True, finalise=True)


def _fresh(inquiry: Inquiry) -> dict[str, Any]:
    """What every new revision starts from."""
    return {
        "revision": inquiry.revision + 1,
        "stage": 0,
        "pressed_once": False,
        "overdue": False,
        "resolution": None,
        "bounds": None,
    }


def edit(case: Case) -> Decision:
    """Transition 11."""
    inquiry, action, fields = case.inquiry, case.inquiry.action, case.press.fields
    wanted = case.press.edit if fields is None else forms.edit_by(inquiry, fields)
    if isinstance(wanted, forms.Unfit):
        return case.noted(f"{notes.INVALID_EDIT}: {wanted.why}.")
    if action is None or not wanted:
        return case.noted(notes.NO_CHANGE)
    outside = sorted(str(path) for path in wanted if path not in inquiry.editable)
    if outside:
        return case.noted(f"{notes.INVALID_EDIT}: {', '.join(outside)} cannot be changed.")
    arguments = _edited(action.arguments, wanted)
    checked = arguments if inquiry.schema is None else check_arguments(inquiry.schema, arguments)
    if isinstance(checked, tuple):
        return case.noted(f"{notes.INVALID_EDIT}: {'; '.join(checked)}.")
    act = _act_now(case, action, checked)
    if isinstance(act, Failure):
        return case.noted(f"{notes.INVALID_EDIT}: {act.why}.")
    digest = action_digest(act.action)
    if digest == inquiry.digest:
        return case.noted(notes.NO_CHANGE)
    today = gates_of(case.team, inquiry.role, act, gated=False, untrusted=False)
    label = _label_without_override(case, today)
    if severity(act.tier) > severity(inquiry.tier) or stricter(today, msgspec.structs.replace(inquiry, label=label)):
        return case.noted(notes.RAISES_TIER)
    stages = inquiry.stages if inquiry.label is Label.SINGLE else _without(inquiry.stages, case.who)
    if not fillable(stages):
        return case.noted(notes.EDITOR_NEEDED)
    new = case.moved(
        11,
        InquiryState.OPEN,
        **_fresh(inquiry),
        label=label,
        action=msgspec.structs.replace(act.action, secrets=tuple(sorted({*action.secrets, *act.action.secrets}))),
        digest=digest,
        edited=True,
        editors=tuple(dict.fromkeys((*inquiry.editors, case.who))),
        intent=intent_of(inquiry.root, act.action.resource, act.action.verb),
        stages=stages,
        decide_by_ms=case.now_ms + (today.decide_ms if today else DAY_MS),
    )
    return Decision(inquiry=new, revoke=case.live, transition=11, note=notes.EDITED, changed=True, finalise=True)


def _label_without_override(case: Case, today: Gates | None) -> Label:
    """An owner's override decides one revision alone. The next one is for the usual people again, and is looked at as
    theirs: in full, or by as many as there are where the rule takes more than are left.
    """
    inquiry = case.inquiry
    if inquiry.label is not Label.OVERRIDE:
        return inquiry.label
    if today is None or sum(stage.approve_n for stage in inquiry.stages) >= required_n(today.stages):
        return Label.FULL
    panel = panel_of(case.team, today, (*inquiry.initiators, *inquiry.editors), inquiry.chain)
    return Label.FULL if isinstance(panel, Failure) or panel.label is not Label.REDUCED else Label.REDUCED


def _edited(arguments: dict[str, Json], edit: dict[str, Json]) -> dict[str, Json]:
    """The arguments with `args.site` and the like replaced. Paths were checked to be editable ones."""
    new = copy.deepcopy(arguments)
    for path, value in edit.items():
        outer, dot, inner = path.partition(".")
        if dot and isinstance(new.get(outer), dict):
            new[outer][inner] = value
        else:
            new[path] = value
    return new


def _without(stages: tuple[Stage, ...], editor: str) -> tuple[Stage, ...]:
    """The editor proposes, and is not thereby an approver."""
    return tuple(quorum.without(stage, editor) for stage in stages)
