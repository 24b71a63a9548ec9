"""What people are shown, built from what is so: pure, and bounded.

Laws of this file. Nothing that another party wrote reaches a view before `visible` (or, for prose, `readable`) has
disarmed it. Everything on a card has a bound, and what a bound cuts is complete in `whole`, where only secrets are
missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, assert_never

from core.model.ids import TaskId, short
from core.model.inquiries import Action, Inquiry, InquiryState, Kind, Label, Resolution, Verb, Vote
from core.model.team import Json, Team
from core.model.views import (
    Answer,
    Branch,
    Button,
    DecidedCard,
    Field,
    Inbox,
    InboxItem,
    InquiryCard,
    Line,
    StatusLine,
    Trouble,
)
from core.model.work import CallState, Failure, Handoff, Phase, Task
from core.rules import forms, words
from core.rules.controls import LETTERS, control, control_nonce, nonce_hash, parse_control
from core.rules.policy import CHANGE
from core.rules.secrets import redacted
from core.rules.text import (
    human_count,
    human_duration,
    human_money,
    human_time,
    human_when,
    one_line,
    readable,
    shorten,
    visible,
)
from core.rules.values import masked, secret_texts, text_form

__all__ = [
    "answer_view",
    "control",
    "control_nonce",
    "decided_card",
    "human_count",
    "human_duration",
    "human_money",
    "human_time",
    "human_when",
    "inbox_view",
    "inquiry_card",
    "names_of",
    "nonce_hash",
    "one_line",
    "parse_control",
    "readable",
    "refusal",
    "shorten",
    "status_line",
    "title_of",
    "title_of_inquiry",
    "visible",
    "waiting_line",
    "whole_of",
]

TITLE_MAX: Final = 120
LINE_MAX: Final = 600
WHY_MAX: Final = 500
NEEDS_MAX: Final = 160
NAME_MAX: Final = 40
SHOWN_MAX: Final = 80
LABEL_MAX: Final = 60
FIELDS_MAX: Final = 6
OPTIONS_MAX: Final = 20
BRANCHES_MAX: Final = 6
COMMAND_TOOL: Final = "run_command"

# --- Names ------------------------------------------------------------------------------------------------------------


def title_of(team: Team, role: str) -> str:
    """What a role is called; its id, if this definition no longer has it."""
    known = team.roles.get(role)
    return one_line(known.title if known else role, NAME_MAX)


def names_of(
    team: Team, people: tuple[str, ...], stands_for: Mapping[str, tuple[str, ...]] = MappingProxyType({})
) -> str:
    """People (or rules) in a sentence, those who stand in for somebody with whom that is."""
    names = []
    for some in people:
        name, absent = _name_of(team, some), stands_for.get(some, ())
        names.append(words.in_place_of(name, names_of(team, absent)) if absent else name)
    return words.names(tuple(names))


def _name_of(team: Team, some: str) -> str:
    person = team.person(some)
    return one_line(person.name if person else words.RULES.get(some, some), NAME_MAX)


_STYLES: Final = {Verb.APPROVE: "good", Verb.HAPPENED: "good", Verb.DENY: "bad", Verb.GIVE_UP: "bad"}

# --- Inquiry cards --------------------------------------------------------------------------------------------------

_OFFERED: Final[dict[Kind, tuple[Verb, ...]]] = {
    Kind.APPROVAL: (Verb.APPROVE, Verb.DENY, Verb.EDIT, Verb.ASK_BACK, Verb.VIEW),
    Kind.REVIEW: (Verb.APPROVE, Verb.DENY, Verb.ASK_BACK, Verb.VIEW),
    Kind.POLICY: (Verb.APPROVE, Verb.DENY, Verb.VIEW),
    Kind.RECONCILE: (Verb.HAPPENED, Verb.RERUN, Verb.GIVE_UP, Verb.VIEW),
    Kind.CHOICE: (Verb.ANSWER,),
    Kind.QUESTION: (Verb.ANSWER,),
    Kind.FORM: (Verb.ANSWER,),
}


def inquiry_card(
    inquiry: Inquiry,
    team: Team,
    votes: tuple[Vote, ...],
    nonce: str,
    now_ms: int,
    *,
    needs: str = "",
    delivery: str = "",
) -> InquiryCard:
    """What is asked, with its controls. `needs` is what it still needs, in words; `nonce` and `delivery` are this
    showing's. A vote that is only kept is not among those who approved.
    """
    approvers = tuple(v.principal for v in votes if v.active and v.checked and v.verb is Verb.APPROVE)
    stands_for = {v.principal: v.stands_for for v in votes}
    said_yes = words.approved_so_far(names_of(team, approvers, stands_for)) if approvers else ""
    secrets = secret_texts(inquiry.action)
    edits = Verb.EDIT in _offered(inquiry)
    said = (inquiry.action.says or inquiry.question) if inquiry.action else inquiry.question
    whole = whole_of(inquiry)
    fields = _fields_of(inquiry)
    hint = ""
    if inquiry.label is Label.SINGLE and inquiry.kind is not Kind.RECONCILE:
        hint = words.HINT_AGAIN if inquiry.pressed_once else words.HINT_TWICE
    else:
        reduced = words.HINT_REDUCED if inquiry.label is Label.REDUCED else ""
        hint = words.SEPARATOR.join(filter(None, (reduced, words.HINT_REASON if inquiry.approve_reason else "")))
    return InquiryCard(
        inquiry=inquiry.id,
        revision=inquiry.revision,
        title=title_of_inquiry(inquiry, team),
        line=shorten(visible(masked(said, secrets)), LINE_MAX),
        fields=tuple(
            Field(name=one_line(n, NAME_MAX), shown=one_line(text, SHOWN_MAX)) for n, text in fields[:FIELDS_MAX]
        ),
        more_n=max(len(fields) - FIELDS_MAX, 0),
        whole=whole,
        why=shorten(readable(masked(inquiry.why, secrets)).strip(), WHY_MAX),
        tier=inquiry.tier.value,
        decide_by_ms=inquiry.decide_by_ms,
        decide_within_ms=None if inquiry.decide_by_ms is None else max(inquiry.decide_by_ms - now_ms, 0),
        needs=one_line(words.SEPARATOR.join(filter(None, (needs, said_yes))), NEEDS_MAX),
        buttons=_buttons_of(inquiry, nonce),
        hint=hint,
        overdue=inquiry.overdue,
        speaker=title_of(team, inquiry.role),
        kind=str(inquiry.kind),
        form=forms.form_of(inquiry),
        edit=forms.edit_of(inquiry) if edits else (),
        delivery=delivery,
        approve_reason=inquiry.approve_reason,
    )


def title_of_inquiry(inquiry: Inquiry, team: Team) -> str:
    """`DevOps asks to run deploy`: who wants what, never an id first."""
    role = title_of(team, inquiry.role)
    action = inquiry.action
    match inquiry.kind:
        case Kind.RECONCILE:
            title = words.did_it_happen(role, _what_of(action))
        case Kind.POLICY if action is not None and action.verb == CHANGE:
            title = words.CHANGE_OF_TEAM
        case Kind.POLICY:
            title = words.ALWAYS_ALLOW
        case Kind.REVIEW:
            title = words.asks_for_review(role)
        case Kind.APPROVAL if action is not None and action.tool == COMMAND_TOOL:
            title = words.asks_to_run(role, _what_of(action))
        case Kind.APPROVAL if action is not None and action.verb in {"", action.tool}:
            title = words.asks_to_use(role, _what_of(action))
        case Kind.APPROVAL if action is not None:
            title = words.asks_to_do(role, action.verb, _what_of(action))
        case Kind.APPROVAL | Kind.CHOICE | Kind.QUESTION | Kind.FORM:
            title = words.asks(role)
        case _:
            assert_never(inquiry.kind)
    return one_line(title, TITLE_MAX)


def whole_of(inquiry: Inquiry) -> tuple[Field, ...]:
    """Everything that would be decided on, complete: but for secrets, which the digest binds all the same."""
    action = inquiry.action
    if action is None:
        asked = [(words.QUESTION_FIELD, inquiry.question)] if inquiry.question else []
        asked += [(words.option_field(n), option) for n, option in enumerate(inquiry.options, 1)]
        return tuple(Field(name=name, shown=visible(text)) for name, text in asked + _fields_of(inquiry))
    facts = (
        (words.TOOL_FIELD, action.tool),
        (words.SERVER_FIELD, action.server),
        (words.RESOURCE_FIELD, masked(action.resource, secret_texts(action))),
        (words.FINGERPRINT_FIELD, action.fingerprint),
    )
    told = [(name, text_form(value, indent=2)) for name, value in _rows_of(action)]
    return tuple(Field(name=visible(n), shown=visible(text)) for n, text in (*told, *(f for f in facts if f[1])))


def _fields_of(inquiry: Inquiry) -> list[tuple[str, str]]:
    """Name and text of what the card's table has: an action's arguments, or a form's questions."""
    if inquiry.action is not None:
        return [(name, text_form(value, indent=0)) for name, value in _rows_of(inquiry.action)]
    properties = (inquiry.schema or {}).get("properties", {}) if inquiry.kind is Kind.FORM else {}
    return [(name, str(spec.get("description") or spec.get("type") or "")) for name, spec in properties.items()]


def arguments_shown(action: Action) -> dict[str, Json]:
    """The arguments as a program may read them: all of them, secrets redacted."""
    return redacted(action.arguments, action.secrets)


def _rows_of(action: Action) -> Iterator[tuple[str, Json]]:
    """An object's members are rows of their own, by the paths an edit names them with (`args.site`)."""
    for name, value in arguments_shown(action).items():
        if isinstance(value, dict) and value and not any("." in member for member in value):
            yield from ((f"{name}.{member}", inner) for member, inner in value.items())
        else:
            yield name, value


def _what_of(action: Action | None) -> str:
    """A command by its own name, everything else by its tool's."""
    return words.SOMETHING if action is None else _called(action.tool, action.arguments)


def _called(tool: str, arguments: dict[str, Json]) -> str:
    named = (arguments.get("command") or arguments.get("name")) if tool == COMMAND_TOOL else None
    return named if isinstance(named, str) else tool


def _offered(inquiry: Inquiry) -> list[Verb]:
    return [v for v in _OFFERED[inquiry.kind] if not inquiry.verbs or v in inquiry.verbs or v is Verb.VIEW]


def _buttons_of(inquiry: Inquiry, nonce: str) -> tuple[Button, ...]:
    offered = _offered(inquiry)
    buttons = []
    if inquiry.options and Verb.ANSWER in offered:
        buttons = [
            Button(control=control(nonce, Verb.ANSWER, n), label=one_line(option, LABEL_MAX), key=str(n + 1))
            for n, option in enumerate(inquiry.options[:OPTIONS_MAX])
        ]
        if len(inquiry.options) <= OPTIONS_MAX:
            offered.remove(Verb.ANSWER)
    cut = len(inquiry.question) > LINE_MAX or any(len(option) > LABEL_MAX for option in inquiry.options)
    if Verb.VIEW not in offered and (cut or len(inquiry.options) > OPTIONS_MAX):
        offered.append(Verb.VIEW)
    return (
        *buttons,
        *(
            Button(
                control=control(nonce, verb),
                label=words.BUTTONS[verb],
                key=LETTERS[verb],
                style=_STYLES.get(verb, "plain"),
            )
            for verb in offered
        ),
    )


# --- After the decision ---------------------------------------------------------------------------------------------


def decided_card(inquiry: Inquiry, team: Team, now_ms: int, outcome: str = "") -> DecidedCard:
    """The same message afterwards, or while it is overdue: no buttons."""
    return DecidedCard(
        inquiry=inquiry.id,
        title=title_of_inquiry(inquiry, team),
        headline=shorten(visible(_headline(inquiry, team, now_ms)), LINE_MAX),
        outcome=shorten(readable(outcome), LINE_MAX),
        speaker=title_of(team, inquiry.role),
        state=str(inquiry.state),
    )


def moved_card(inquiry: Inquiry, team: Team) -> DecidedCard:
    """The same message where it is decided no longer: others were asked instead."""
    return DecidedCard(
        inquiry=inquiry.id,
        title=title_of_inquiry(inquiry, team),
        headline=words.MOVED_ON,
        speaker=title_of(team, inquiry.role),
        state=str(inquiry.state),
    )


def _headline(inquiry: Inquiry, team: Team, now_ms: int) -> str:
    resolution = inquiry.resolution or Resolution(by=(), at_ms=inquiry.updated_at_ms)
    by = names_of(team, resolution.by, resolution.stands_for)
    at = human_when(resolution.at_ms, now_ms, team.zone)
    answer = "" if resolution.answer is None else text_form(resolution.answer, indent=0)
    if inquiry.kind is Kind.RECONCILE and answer in words.RECONCILED:
        return words.reconciled(words.RECONCILED[answer], by, at)
    match inquiry.state:
        case InquiryState.APPROVED:
            return words.approved(by, at, inquiry.label)
        case InquiryState.DENIED:
            return words.denied(by, at, resolution.reason)
        case InquiryState.ANSWERED:
            return words.answered(by, at, answer)
        case InquiryState.DISMISSED:
            return words.dismissed(by, at)
        case InquiryState.SUPERSEDED:
            return words.SUPERSEDED
        case InquiryState.CANCELLED:
            people = tuple(p for p in resolution.by if team.person(p) is not None)
            return words.withdrawn(by if people else "", at, resolution.reason)
        case InquiryState.EXPIRED:
            return words.expired(resolution.reason)
        case InquiryState.UNDELIVERABLE:
            return words.UNDELIVERABLE
        case InquiryState.CREATED | InquiryState.OPEN | InquiryState.COLLECTING | InquiryState.IN_REVIEW:
            if inquiry.overdue and inquiry.decide_by_ms is not None:
                return words.overdue(human_when(inquiry.decide_by_ms, now_ms, team.zone))
            return words.WAITING
        case _:
            assert_never(inquiry.state)


def inbox_view(
    items: tuple[tuple[Inquiry, str], ...], team: Team, now_ms: int, nonces: Mapping[str, str] | None = None
) -> Inbox:
    """What waits for people, oldest first; each inquiry with its `needs_of` line. Where `nonces` has the one of an
    inquiry's showing, the whole of it can be looked at from here.
    """
    ordered = sorted(items, key=lambda item: (item[0].created_at_ms, item[0].id))
    return Inbox(
        items=tuple(
            InboxItem(
                inquiry=inquiry.id,
                title=title_of_inquiry(inquiry, team),
                tier=inquiry.tier.value,
                age_ms=max(now_ms - inquiry.created_at_ms, 0),
                overdue=inquiry.overdue,
                needs=one_line(needs, NEEDS_MAX),
                buttons=_view_button((nonces or {}).get(inquiry.id, "")),
            )
            for inquiry, needs in ordered
        )
    )


def _view_button(nonce: str) -> tuple[Button, ...]:
    if not nonce:
        return ()
    return (Button(control=control(nonce, Verb.VIEW), label=words.VIEW, key=LETTERS[Verb.VIEW]),)


# --- Requests -------------------------------------------------------------------------------------------------------


def answer_view(task: Task, team: Team) -> Answer | Trouble:
    """What a request came to, for the person who asked."""
    match task.result:
        case Handoff() as result:
            return Answer(
                task=task.id,
                speaker=title_of(team, task.role),
                text=readable(result.summary),
                changed=tuple(map(readable, result.changed)),
                risks=tuple(map(readable, result.risks)),
                next_needs=tuple(map(readable, result.next_needs)),
                artifacts=tuple(map(visible, result.artifacts)),
                degraded=readable(result.degraded),
                untrusted=task.untrusted,
            )
        case Failure() as result:
            return Trouble(what=readable(result.what), means=readable(result.why), remedy=readable(result.recovery))
        case None:
            means = {Phase.CANCELLED: words.CANCELLED_MEANS, Phase.REJECTED: words.REJECTED_MEANS}.get(task.phase, "")
            return Trouble(what=words.NO_RESULT, means=means, remedy=words.ASK_AGAIN)
        case _:
            assert_never(task.result)


def status_line(root: Task, tree: tuple[Task, ...], team: Team, now_ms: int) -> StatusLine:
    """How a request goes: one branch for each role at work or waiting; a receipt once the root has ended."""
    tasks = {task.id: task for task in (*tree, root)}
    branches = [
        Branch(roles=_path(task, tasks, team), doing=doing)
        for task in tasks.values()
        if not root.phase.final and not task.phase.final and (doing := _doing(task, tasks))
    ]
    return StatusLine(
        task=root.id,
        branches=tuple(branches[:BRANCHES_MAX]),
        steps=sum(task.turns for task in tasks.values()),
        tokens=sum(task.usage.tokens for task in tasks.values()),
        cost_microusd=sum(task.usage.cost_microusd for task in tasks.values()),
        started_at_ms=root.created_at_ms,
        at_ms=root.updated_at_ms if root.phase.final else now_ms,
        done=root.phase.value if root.phase.final else "",
        roles_n=len({task.role for task in tasks.values()}),
        more=max(len(branches) - BRANCHES_MAX, 0),
    )


def _path(task: Task, tasks: dict[TaskId, Task], team: Team) -> tuple[str, ...]:
    """Titles from the root down to this task."""
    roles = [title_of(team, task.role)]
    while task.parent is not None and task.parent in tasks and len(roles) <= len(tasks):
        task = tasks[task.parent]
        roles.append(title_of(team, task.role))
    return tuple(reversed(roles))


def _doing(task: Task, tasks: dict[TaskId, Task]) -> str:
    """What it does at this moment; "" while only its open children do anything."""
    if task.phase is Phase.CANCELLING:
        return words.STOPPING
    if task.thinking:
        return words.THINKING
    running = [
        one_line(_called(call.name, call.arguments), NAME_MAX) for call in task.calls if call.state is CallState.RUNNING
    ]
    if running:
        return words.running(_listed(running))
    people = [short(call.inquiry) for call in task.calls if call.state is CallState.PERSON and call.inquiry]
    if people:
        return words.waiting_on(_listed(people))
    if task.question:
        return words.ASKING_BACK
    children = [tasks.get(call.child) for call in task.calls if call.state is CallState.CHILD and call.child]
    if any(child is not None and not child.phase.final for child in children):
        return ""
    return words.READING if children else words.STARTING


def _listed(some: list[str]) -> str:
    return some[0] if len(some) == 1 else f"{some[0]} {words.more(len(some) - 1)}"


def waiting_line(task: Task, team: Team) -> Line:
    """Said to somebody who writes while the task waits: `waiting on i-7f3a; I read this next`."""
    names = [short(name) for name in task.waiting_on]
    return Line(text=words.read_next(_listed(names) if names else ""), speaker=title_of(team, task.role))


def refusal() -> Line:
    """To a stranger: one polite line, no detail."""
    return Line(text=words.REFUSAL, private=True)
