"""What people can order, in words: the same verbs in every chat and on the command line."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import assert_never

from core.model.inquiries import Inquiry, Verb
from core.model.team import Json
from core.rules import replies, times
from core.rules.inbox import wanted_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Decide:
    """Do `verb` to an inquiry. `inquiry` "" means the only open one; a prefix is enough."""

    verb: Verb
    inquiry: str = ""
    text: str = ""
    edit: dict[str, Json] | None = None
    wanted: times.Wanted | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproveAll:
    """Approve several at once: all of them or none."""

    inquiries: tuple[str, ...]
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Always:
    """Approve it once, and propose to an owner that it need not be asked again. `until`: a day."""

    inquiry: str = ""
    until: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """Cancel, retry, adopt, stop or resume. `scope`: a task's id, a role's id, or `all`."""

    what: str
    scope: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """Look something up, or set how this conversation is: SHOWING."""

    what: str
    subject: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Give the team work; `role` None lets the lead take it."""

    text: str
    role: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Make this account somebody's with a code; without one, ask for a code for another account."""

    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclear:
    """Not understood: what to say about it."""

    say: str


Order = Decide | ApproveAll | Always | Control | Show | Ask | Link | Unclear

DECIDING = {
    "approve": Verb.APPROVE,
    "deny": Verb.DENY,
    "answer": Verb.ANSWER,
    "edit": Verb.EDIT,
    "askback": Verb.ASK_BACK,
    "view": Verb.VIEW,
    "dismiss": Verb.DISMISS,
    "withdraw": Verb.WITHDRAW,
    "happened": Verb.HAPPENED,
    "rerun": Verb.RERUN,
    "giveup": Verb.GIVE_UP,
    "comment": Verb.COMMENT,
    "snooze": Verb.SNOOZE,
    "extend": Verb.EXTEND,
    "override": Verb.OVERRIDE,
}
CONTROLLING = ("cancel", "retry", "adopt", "stop", "resume")
SHOWING = frozenset(
    {
        *("inbox", "decisions", "digest", "tasks", "task", "team", "help", "whoami", "budget", "model"),
        *("new", "mute", "handback", "away", "back"),
    }
)
SEVERAL_MAX = 20
LINKING = ("link", "pair")
MENU = (
    ("ask", "TEXT", "give the team work; plain text does the same"),
    ("inbox", "mine|overdue|TIER", "what waits for a person"),
    ("approve", "ID ...", "let it happen; several at once: all or none"),
    ("deny", "ID REASON", "do not let it happen"),
    ("answer", "ID TEXT", "answer a question"),
    ("view", "ID", "see the whole of it"),
    ("comment", "ID TEXT", "tell the agent something; it stays open"),
    ("snooze", "ID HOURS", "no reminders of it for a while"),
    ("extend", "ID HOURS", "more time to decide it"),
    ("decisions", "TEXT", "what was decided: who, what, when, why"),
    ("tasks", "", "what is going on"),
    ("task", "ID", "one request and all that came of it"),
    ("cancel", "ID", "stop one request for good"),
    ("stop", "ID|ROLE|all", "hold work until it is resumed"),
    ("resume", "ID|ROLE|all", "let held work go on"),
    ("retry", "ID", "do a finished request again"),
    ("new", "", "start a new conversation here"),
    ("handback", "PLACE", "let the team answer here again, or in another place"),
    ("team", "", "who works here"),
    ("model", "", "which model each role thinks with"),
    ("budget", "", "what was spent today"),
    ("digest", "", "the day in a few lines"),
    ("away", "HOURS|DATE to PERSON", "you are away, and who stands in for you"),
    ("back", "", "you are back"),
    ("mute", "HOURS|off", "no status lines here for a while"),
    ("whoami", "", "who I take you for"),
    ("link", "CODE", "bring another account of yours"),
    ("pair", "CODE", "make this account yours"),
    ("help", "", "these commands"),
)
"""Name, arguments, what it does: for the menus of platforms that have such. All else works too, typed."""


@dataclass(frozen=True, slots=True)
class Usage:
    """How each command is written; /help is made from this."""

    lines: tuple[str, ...] = field(
        default=(
            "ask TEXT              give the team work (plain text does the same)",
            "inbox [WHICH]         what waits for a person: all, or mine, overdue, a tier",
            "view ID               the whole of it",
            "approve ID [REASON]   let it be done; several ids: all of them or none",
            "approve ID for N times within H hours [where ARG=VALUE]  more than once",
            "deny ID [REASON]      say no",
            "answer ID TEXT        answer a question; dismiss ID: it goes on without one",
            "edit ID JSON          change its arguments; it must then be approved",
            "askback ID TEXT       ask the agent something before you decide",
            "comment ID TEXT       tell the agent something and leave it open",
            "snooze ID HOURS       no reminders of it for a while",
            "extend ID HOURS       more time to decide it",
            "withdraw ID           take back your vote, or an approval that has not run",
            "override ID REASON    as an owner, decide alone, where the policy allows it",
            "always ID [UNTIL]     approve it, and propose that it need not be asked again",
            "happened ID           when it is not known whether an action ran: it did",
            "rerun ID, giveup ID   the same: run it; leave it",
            "decisions [TEXT]      what was decided: who, what, when, why",
            "digest                the day in a few lines",
            "tasks, task ID        what is going on; one task and all below it",
            "cancel ID, retry ID   end a task for good; start one again",
            "stop ID|ROLE|all      start nothing more of it; resume lets it go on",
            "adopt ID              let a running request go on under today's definition",
            "team, model, budget   who works here, with which models, what was spent",
            "new                   start a new conversation",
            "mute HOURS|off        fewer messages here",
            "away HOURS|DATE [to PERSON]  no reminders; PERSON stands in; back ends it",
            "handback [PLACE]      let the team answer again where a person took over",
            "link [CODE]           bring another account of yours; the code is from there",
            "whoami, help          who I take you for; this list",
        )
    )


_NEXT_ID = re.compile(r"\s*(i-[0-9a-f]{1,12})(?:\s+|$)")


def parse(name: str, arguments: tuple[str, ...]) -> Order:
    """Understand a command. Ids come first, free text last."""
    name = name.lower().replace("_", "").replace("-", "")
    if name == "ask":
        return Ask(text=" ".join(arguments)) if arguments else Unclear(say="ask what? /ask TEXT")
    if name in DECIDING:
        return _decide(DECIDING[name], name, arguments)
    if name == "always":
        first, until = (*arguments, "", "")[:2]
        return Always(inquiry=first, until=until)
    if name in CONTROLLING:
        if not arguments:
            return Unclear(say=f"{name} what? /{name} ID" + (", a role, or all" if name in {"stop", "resume"} else ""))
        return Control(what=name, scope=arguments[0])
    if name in LINKING:
        return Link(code="".join(arguments))
    if name == "inbox" and wanted_of(" ".join(arguments)) is None:
        return Unclear(say=replies.WHICH_INBOX)
    if name in SHOWING:
        return Show(what=name, subject=" ".join(arguments))
    return Unclear(say=f"there is no command {name[:40]}; /help lists them")


def edited_paths(edit: dict[str, Json], inquiry: Inquiry) -> dict[str, Json]:
    """What a person typed as an edit, by the inquiry's editable paths: a path (`args.site`), its last name (`site`), or
    the whole arguments with the changed ones among them. What fits nothing stays, so that it is refused by its name.
    """
    before = inquiry.action.arguments if inquiry.action else {}
    paths: dict[str, Json] = {}
    for name, value in edit.items():
        inner, ends = before.get(name), [path for path in inquiry.editable if path.endswith(f".{name}")]
        if name not in before and len(ends) == 1:
            paths[ends[0]] = value
        elif name in inquiry.editable or name not in before:
            paths[name] = value
        elif isinstance(inner, dict) and isinstance(value, dict):
            paths.update({f"{name}.{key}": new for key, new in value.items() if key not in inner or inner[key] != new})
        elif inner != value:
            paths[name] = value
    return paths


def _several(first: str, rest: str) -> ApproveAll | Unclear | None:
    """More ids before anything else: several are meant. (A platform gives all behind the first word as one text.)"""
    ids = [first]
    while found := _NEXT_ID.match(rest):
        ids.append(found[1])
        rest = rest[found.end() :]
    if len(ids) == 1:
        return None
    distinct = tuple(dict.fromkeys(ids))
    return Unclear(say=replies.TOO_MANY) if len(distinct) > SEVERAL_MAX else ApproveAll(inquiries=distinct, text=rest)


def _decide(verb: Verb, name: str, arguments: tuple[str, ...]) -> Order:
    first, rest = (arguments[0], arguments[1:]) if arguments else ("", ())
    if first and not first.startswith("i-"):
        first, rest = "", arguments
    if verb is Verb.APPROVE and first and (several := _several(first, " ".join(rest))) is not None:
        return several
    text = " ".join(rest)
    match verb:
        case Verb.EDIT:
            return Decide(verb=verb, inquiry=first, text=text) if text else Unclear(say="edit how? /edit ID JSON")
        case Verb.ANSWER | Verb.ASK_BACK | Verb.COMMENT:
            return Decide(verb=verb, inquiry=first, text=text) if text else Unclear(say=f"{name} what? /{name} ID TEXT")
        case Verb.DENY | Verb.SNOOZE | Verb.EXTEND | Verb.OVERRIDE:
            return Decide(verb=verb, inquiry=first, text=text)
        case Verb.APPROVE:
            typed = times.parse(text)
            if typed is None:
                return Unclear(say=replies.HOW_OFTEN)
            return Decide(verb=verb, inquiry=first, text=typed[1], wanted=typed[0])
        case Verb.VIEW | Verb.DISMISS | Verb.WITHDRAW | Verb.HAPPENED | Verb.RERUN | Verb.GIVE_UP:
            return Decide(verb=verb, inquiry=first, text=text)
        case _:  # pragma: no cover
            assert_never(verb)
