"""What the terminal itself says, in one place: everything else a person reads there comes from core's catalogue."""

from __future__ import annotations

from typing import Final

from core.model.inquiries import Verb

OVERDUE: Final = "overdue"
OUT_OF_TIME: Final = "due now"

AWAY: Final = "While you were away:"
AGAIN_TO_LEAVE: Final = "press Ctrl-C again to leave"
LEFT_AS_IT_WAS: Final = "left as it was"
NEW_THREAD: Final = "A new conversation. What was said before is not part of it."
NEED_TEXT: Final = "nothing was typed; left as it was"
PROMPT: Final = "> "

QUESTIONS: Final[dict[Verb, str]] = {
    Verb.APPROVE: "why? (Ctrl-C: go back) ",
    Verb.DENY: "why not? (Enter: no reason, Ctrl-C: go back) ",
    Verb.EDIT: "the changed arguments, as JSON (Ctrl-C: go back) ",
    Verb.ASK_BACK: "ask the agent (Ctrl-C: go back) ",
    Verb.ANSWER: "your answer (Ctrl-C: go back) ",
}


def hello(team: str) -> str:
    """The first line."""
    return f"{team}: type what you want done. /help lists commands, /new starts afresh, Ctrl-D leaves."


def by(when: str) -> str:
    """A deadline."""
    return f"by {when}"


def decide_by_typing(commands: str) -> str:
    """Where there are no keys to press."""
    return f"To decide, type {commands}"


def too_long(kilobytes_max: int) -> str:
    """A message over the bound."""
    return f"That is over {kilobytes_max} KB and was not taken. Put it into a file, and name the file."


NOTHING_TO_DECIDE: Final = "No card is open for that letter. /inbox lists what waits."


def just_came(inquiry: str, key: str) -> str:
    """A card was printed in the second in which a letter was typed: it may have been meant for another one."""
    return f"{inquiry} has only just come in. If you mean it, type {key} again."


def pressed(label: str, inquiry: str) -> str:
    """A letter was understood."""
    return f"{label}: {inquiry}"


def not_taken(why: str) -> str:
    """Intake refused."""
    return f"Not taken, so say it again later. {why}"
