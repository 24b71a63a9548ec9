"""What the last vote, and an edit, do to what is asked (transitions 7 and 11): the action is looked at once more.

The action, its program and today's policy are checked again before a grant is minted: what was true when somebody
pressed need not be true when the last one does. A new revision starts without votes, and old buttons are stale.
"""

from __future__ import annotations

import copy
from typing import Any

import msgspec

from core.model.ids import grant_of
from core.model.inquiries import Action, Grant, Inquiry, InquiryState, Kind, Label, Stage, Verb, Vote
from core.model.team import Json
from core.model.work import Failure
from core.rules import forms, notes
from core.rules.actions import Act, act_of
from core.rules.canonical import action_digest, intent_of
from core.rules.decisions import Case, Decision, closed, resolved
from core.rules.policy import DAY_MS, Gates, fillable, gates_of, panel_of, severity, stricter
from core.rules.schema import check_arguments


def conclude(case: Case, vote: Vote | None, by: tuple[str, ...]) -> Decision:
    """Transition 7: everything is checked again, and the grant is minted."""
    inquiry, action = case.inquiry, case.inquiry.action
    if action is None:
        return resolved(case, 7, InquiryState.APPROVED, notes.APPROVED, vote=vote, by=by)
    act = _act_now(case, action, action.arguments)
    if isinstance(act, Failure) or not _is_bound(inquiry, action, act):
        # Not a denial: the intent stays allowed, and asking anew is about the action as it is now.
        return closed(case, 13, InquiryState.CANCELLED, note=notes.ACTION_CHANGED, by=("policy",), vote=vote)
    today = gates_of(case.team, inquiry.role, act, gated=False, untrusted=False)
    if today is not None and stricter(today, inquiry):
        return _ask_anew(case, today)
    grant = Grant(
        id=grant_of(inquiry.id, inquiry.revision, inquiry.generation),
        inquiry=inquiry.id,
        task=inquiry.task,
        digest=inquiry.digest,
        execute_by_ms=case.now_ms + inquiry.execute_ms,
        by=by,
    )
    answer = Verb.RERUN.value if inquiry.kind is Kind.RECONCILE else None
    return resolved(case, 7, InquiryState.APPROVED, notes.APPROVED, vote=vote, by=by, grant=grant, answer=answer)


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
    panel = panel_of(case.team, today, inquiry.initiators, inquiry.chain)
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
    if severity(act.tier) > severity(inquiry.tier) or stricter(today, inquiry):
        return case.noted(notes.RAISES_TIER)
    stages = inquiry.stages if inquiry.label is Label.SINGLE else _without(inquiry.stages, case.who)
    if not fillable(stages):
        return case.noted(notes.EDITOR_NEEDED)
    new = case.moved(
        11,
        InquiryState.OPEN,
        **_fresh(inquiry),
        action=msgspec.structs.replace(act.action, secrets=action.secrets),
        digest=digest,
        edited=True,
        intent=intent_of(inquiry.root, act.action.resource, act.action.verb),
        stages=stages,
        decide_by_ms=case.now_ms + (today.decide_ms if today else DAY_MS),
    )
    return Decision(inquiry=new, revoke=case.live, transition=11, note=notes.EDITED, changed=True, finalise=True)


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
    left = [(stage, tuple(p for p in stage.eligible if p != editor)) for stage in stages]
    return tuple(
        msgspec.structs.replace(stage, eligible=people, deny_n=max(1, min(stage.deny_n, len(people))))
        for stage, people in left
    )
