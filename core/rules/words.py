"""Every sentence of core's that people read, in one place: to translate the product, translate this module.

Plain text, no platform's markup. A function where a sentence has gaps, a constant where it has none. Days and times
are spelled here too, because `strftime` would ask the process's locale instead of us.
"""

from __future__ import annotations

from typing import Final

from core.model.inquiries import Label, Verb

# --- Buttons --------------------------------------------------------------------------------------------------------

BUTTONS: Final[dict[Verb, str]] = {
    Verb.APPROVE: "Approve",
    Verb.DENY: "Deny",
    Verb.EDIT: "Edit",
    Verb.ASK_BACK: "Ask back",
    Verb.VIEW: "View all",
    Verb.ANSWER: "Answer",
    Verb.DISMISS: "Dismiss",
    Verb.WITHDRAW: "Take back",
    Verb.HAPPENED: "It happened",
    Verb.RERUN: "Run it",
    Verb.GIVE_UP: "Give up",
}

VIEW: Final = "View"
"""On a line of the inbox."""

# --- Inquiry cards --------------------------------------------------------------------------------------------------

QUESTION_FIELD: Final = "question"
TOOL_FIELD: Final = "(tool)"
RESOURCE_FIELD: Final = "(acts on)"
SERVER_FIELD: Final = "(server)"
FINGERPRINT_FIELD: Final = "(SHA-256)"
SOMETHING: Final = "something"
YOUR_ANSWER: Final = "Your answer"
REDACTED: Final = "(secret, not shown)"
HINT_TWICE: Final = "you are the only person here: press Approve twice to approve as single operator"
HINT_REDUCED: Final = "reduced quorum: fewer people can decide this than the rule asks for"
HINT_REASON: Final = "an approval needs a reason"
HINT_AGAIN: Final = "you are the only person here: press Approve again to approve as single operator"


def option_field(number: int) -> str:
    """Names an option in View all."""
    return f"option {number}"


def asks_to_run(role: str, command: str) -> str:
    """Title: a command is to be run."""
    return f"{role} asks to run {command}"


def asks_to_use(role: str, tool: str) -> str:
    """Title: a tool is to be called, and its name says what it does."""
    return f"{role} asks to use {tool}"


def asks_to_do(role: str, verb: str, tool: str) -> str:
    """Title: a tool is to be called, and its verb says what it does."""
    return f"{role} asks to {verb} with {tool}"


CHANGE_OF_TEAM: Final = "Put this change of the team's files in force?"
CHANGES_ARE_APPROVED: Final = "the policy wants changes of the team approved"
CHANGE_TOO_LONG: Final = "it is longer than can be shown to whoever approves it: make it in steps"
CHANGED: Final = "In force: new requests work by it, running ones keep what they began with"
CHANGED_SINCE: Final = "Not done: what is in force is no longer what this would replace"
CHANGE_GONE: Final = "the files say something else by now"
FILES_ARE_RIGHT: Final = "The team's files are right again."
ALWAYS_ALLOW: Final = "Always allow this? A change of team.yaml"


POLICY_IS_THE_OWNERS: Final = "only an owner changes what agents may do unasked"


def changes(names: tuple[str, ...], most: int) -> str:
    """A proposed change's one line."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"Changes {', '.join(names[:most])}{more}" if names else "Changes nothing that is in force today"


def waits_for_approval(inquiry: str, says: str) -> str:
    """On the console: edited files are not in force yet."""
    return f"{says}: not in force until it is approved ({inquiry})"


def now_in_force(says: str) -> str:
    """On the console: edited files are."""
    return f"{says}: in force for new requests"


def not_in_force(why: str) -> str:
    """Edited files are not, and never will be as they are."""
    return f"The team's files have changed, and what was in force before stays so: {why}"


def allows(role: str, verb: str) -> str:
    """A proposed rule's one line."""
    return f"From then on {role} may {verb} like this without asking"


def proposed_by(name: str) -> str:
    """Whose idea a rule is."""
    return f"{name} proposes it"


def asks(role: str) -> str:
    """Title: a question."""
    return f"{role} asks"


def asks_for_review(role: str) -> str:
    """Title: a result is to be looked at before it goes on."""
    return f"{role} asks for a review"


def handoffs_are_reviewed(role: str) -> str:
    """Why a handoff waits."""
    return f"a person looks at what {role} hands on"


def hands_off(title: str) -> str:
    """A handoff's one line."""
    return f"Hands off: {title}"


def did_it_happen(role: str, what: str) -> str:
    """Title: an action was started, and its outcome is not known."""
    return f"Did it happen? {role} started {what}"


def in_place_of(name: str, absent: str) -> str:
    """Somebody who stands in for people who are away."""
    return f"{name} (for {absent})"


def asks_first(question: str) -> str:
    """Why a request was taken back: somebody must know more before they decide."""
    return f"a question comes first: {question}"


def approved_so_far(by: str) -> str:
    """Who has said yes while more is needed."""
    return f"approved so far by {by}"


# --- Decided cards --------------------------------------------------------------------------------------------------

NOBODY: Final = "nobody"
WITHDRAWN: Final = "Withdrawn"
SUPERSEDED: Final = "Replaced by a newer request"
EXPIRED: Final = "Expired"
UNDELIVERABLE: Final = "Could not be shown to anybody yet"
WAITING: Final = "Still open"
RULES: Final[dict[str, str]] = {"deadline": "the deadline", "policy": "the policy"}
"""Who decided where no person did."""
MOVED_ON: Final = "Others were asked instead: it is no longer decided here"
RECONCILED: Final[dict[str, str]] = {
    Verb.HAPPENED.value: "It happened",
    Verb.RERUN.value: "Run again",
    Verb.GIVE_UP.value: "Given up",
}


def names(people: tuple[str, ...]) -> str:
    """Several people in a sentence."""
    if len(people) < 2:
        return people[0] if people else NOBODY
    return f"{', '.join(people[:-1])} and {people[-1]}"


def approved(by: str, at: str, label: Label) -> str:
    """Headline, with how much of the rule could be kept where that was not all of it."""
    kept = "" if label is Label.FULL else f" ({label.value})"
    return f"Approved by {by} at {at}{kept}"


def denied(by: str, at: str, reason: str) -> str:
    """Headline."""
    return f"Denied by {by} at {at}: {reason}" if reason else f"Denied by {by} at {at}"


def answered(by: str, at: str, answer: str) -> str:
    """Headline."""
    return f"Answered by {by} at {at}: {answer}" if answer else f"Answered by {by} at {at}"


def dismissed(by: str, at: str) -> str:
    """Headline."""
    return f"Dismissed by {by} at {at}"


def reconciled(what: str, by: str, at: str) -> str:
    """Headline: people said what became of an action."""
    return f"{what}, said {by} at {at}"


def withdrawn(by: str, at: str, reason: str) -> str:
    """Headline; `by` "": no person did it."""
    head = f"{WITHDRAWN} by {by} at {at}" if by else WITHDRAWN
    return f"{head}: {reason}" if reason else head


def expired(reason: str) -> str:
    """Headline: it had been approved and did not start, or its work was over when somebody answered."""
    return f"{EXPIRED}: {reason}" if reason else EXPIRED


def overdue(since: str) -> str:
    """Headline."""
    return f"Overdue, in the inbox since {since}"


def still_waiting(people: str, title: str) -> str:
    """A reminder, below the card."""
    return f"Still waiting on {people}: {title}."


def escalated(people: str, title: str, *, instead: bool) -> str:
    """Others are asked, below the card."""
    how = "instead" if instead else "too"
    asked = f"{people}, you are asked {how}: " if people else "It is still open: "
    return f"Nobody has decided this yet. {asked}{title}."


def about_inquiry(inquiry: str, title: str, text: str) -> str:
    """What somebody says about something that waits, as its task hears it."""
    return f"(about {inquiry}, {title}; nothing is decided yet) {text}"


COMMANDS: Final[dict[Verb, str]] = {
    Verb.APPROVE: "/approve {}",
    Verb.DENY: "/deny {} REASON",
    Verb.EDIT: "/edit {} JSON",
    Verb.ASK_BACK: "/askback {} TEXT",
    Verb.ANSWER: "/answer {} TEXT",
    Verb.DISMISS: "/dismiss {}",
    Verb.HAPPENED: "/happened {}",
    Verb.RERUN: "/rerun {}",
    Verb.GIVE_UP: "/giveup {}",
}


def decide_by(inquiry: str, verbs: tuple[Verb, ...]) -> str:
    """Below the whole of an inquiry that is open: what decides it, where its card is not at hand."""
    return f"To decide: {', '.join(COMMANDS[verb].format(inquiry) for verb in verbs if verb in COMMANDS)}"


def by_when(when: str, *, late: bool) -> str:
    """A deadline; `late`: it has passed."""
    return f"overdue since {when}" if late else f"by {when}"


def also(inquiry: str) -> str:
    """Below the whole of an inquiry that is open: what else can be said to it."""
    return f"Also: /comment {inquiry} TEXT, /snooze {inquiry} HOURS, /extend {inquiry} HOURS"


# --- Tasks ----------------------------------------------------------------------------------------------------------

THINKING: Final = "thinking"
STOPPING: Final = "stopping"
STARTING: Final = "getting ready"
READING: Final = "reading what came back"
ASKING_BACK: Final = "asked a question back"
NO_RESULT: Final = "This request ended without a result"
CANCELLED_MEANS: Final = "It was cancelled. What had been done until then stays done"
REJECTED_MEANS: Final = "A person said no to it"
ASK_AGAIN: Final = "Ask again, perhaps in other words"
REFUSAL: Final = "Sorry, I only work with the people of this team."


def running(what: str) -> str:
    """Status: a tool or command is under way."""
    return f"running {what}"


def waiting_on(names: str) -> str:
    """Status: parked."""
    return f"waiting on {names}"


def read_next(names: str) -> str:
    """Said to a person who wrote while the team waits."""
    return f"waiting on {names}; I read this next" if names else "heard; I read this at the next step"


def more(n: int) -> str:
    """What did not fit."""
    return f"and {n} more"


# --- Units ----------------------------------------------------------------------------------------------------------

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
DURATION_UNITS: Final = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
UNDER_A_SECOND: Final = "under 1 s"
UNDER_A_CENT: Final = "under $0.01"
SEPARATOR: Final = " · "
ELLIPSIS: Final = "…"

# --- Places and people ----------------------------------------------------------------------------------------------

NO_SHELF: Final = "this workspace keeps no files"
TOO_SLOW: Final = "it took too long"


def file_kept(name: str, path: str, media: str, bytes_n: int) -> str:
    """Told to the role that reads the request."""
    kind = f"{media}, " if media else ""
    return f"[file: {name} is at {path} ({kind}{bytes_n:,} bytes)]"


def file_missing(name: str, why: str) -> str:
    """Told to the role that reads the request."""
    return f"[file: {name} was sent, but could not be fetched: {why}]"


def prices(read: str, written: str) -> str:
    """Of a model, for a million tokens."""
    return f"{read} in, {written} out a million tokens"


def thinks_with(role: str, model: str, complexity: str, costs: str) -> str:
    """One line of /model."""
    return SEPARATOR.join(filter(None, (f"{role}: {model}", complexity, costs)))


def spent(role: str, tokens: str, tokens_max: str, money: str, money_max: str) -> str:
    """One line of /budget."""
    return f"{role}: {tokens} of {tokens_max} tokens, {money} of {money_max} today"


def who(name: str, role: str, account: str, evidence: str) -> str:
    """Whom we take somebody for, and how well we know it."""
    return f"{name}, {role} ({account}, {evidence})"


def greeting(team: str, lead: str, others: str, role: str) -> str:
    """The first message in a new place: four lines."""
    return (
        f"This is {team}, a team of AI agents: {lead} answers"
        + (f", with {others}.\n" if others != NOBODY else ".\n")
        + f"Ask in plain words (mention me in a channel), or a role by name: @{role} ...\n"
        "What needs a person comes as a card with buttons; nothing is ever approved by waiting.\n"
        "Commands: ask, inbox, tasks, stop, help."
    )


# --- Hand-over to people ----------------------------------------------------------------------------------------------

TRIGGER_DELETION: Final = "somebody wants an account deleted"


def trigger_word(word: str) -> str:
    """Why a conversation goes to a person."""
    return f"it is about {word}"


def trigger_repeats(n: int) -> str:
    """Why a conversation goes to a person."""
    return f"the same question came {n} times"
