"""What Discord alone needs said, in one place: everything else a person reads there comes from core's catalogue.

Plain text without markup: whoever draws it escapes it.
"""

from __future__ import annotations

from typing import Final

from core.model.inquiries import Verb

# --- Messages -------------------------------------------------------------------------------------------------------

OVERDUE: Final = "Overdue"
NO_LABEL: Final = "…"
EMPTY: Final = "(no text)"
FILE: Final = "file"


def by(when: str, left: str) -> str:
    """A deadline, as a time and as what is left."""
    return f"by {when} ({left})"


def goes_on_in(file: str) -> str:
    """A text is longer than anybody reads in a chat."""
    return f"This is the beginning. The whole of it is in {file}."


def whole(file: str) -> str:
    """Beside the file of a long text."""
    return f"The whole text: {file}"


def not_attached(name: str) -> str:
    """A result's file could not be read, or is larger than Discord takes."""
    return f"{name} could not be attached. It is among the team's files."


# --- Threads and commands -------------------------------------------------------------------------------------------

THREAD: Final = "Request"
OPTION: Final = "text"
OPTION_ABOUT: Final = "What to do it with"


# --- Forms ----------------------------------------------------------------------------------------------------------

TITLES: Final[dict[Verb, str]] = {
    Verb.APPROVE: "Approve",
    Verb.DENY: "Deny",
    Verb.EDIT: "Edit",
    Verb.ASK_BACK: "Ask back",
    Verb.ANSWER: "Answer",
}
LABELS: Final[dict[Verb, str]] = {
    Verb.APPROVE: "Why?",
    Verb.DENY: "Why not?",
    Verb.EDIT: "The changed arguments, as JSON",
    Verb.ASK_BACK: "What do you want to know?",
    Verb.ANSWER: "Your answer",
}
MANY_ANSWERS: Final = "Your answers, as JSON"

# --- Trouble with the connection ------------------------------------------------------------------------------------

SIGN_IN_MISSING: Final = "DISCORD_BOT_TOKEN is not set"
SIGN_IN_REFUSED: Final = "Discord refuses the bot's token"
SIGN_IN_REMEDY: Final = (
    "reset it at https://discord.com/developers/applications under Bot, and put it into .env as DISCORD_BOT_TOKEN"
)
INTENT_REFUSED: Final = "Discord lets this bot connect, but not read messages"
INTENT_REMEDY: Final = (
    "switch on Message Content Intent at https://discord.com/developers/applications under Bot, then start again"
)
CLOSED: Final = "Discord closed the connection for good"
LOST: Final = "the connection to Discord was lost"
DEAF: Final = "Discord has gone silent"
NOT_READY: Final = "Discord did not become ready in a minute"
FLOOD: Final = "more came from Discord than could be stored"
UNREADABLE: Final = "Discord sent what cannot be read"
UNREACHABLE: Final = "Discord cannot be reached"
UNKNOWN_OUTCOME: Final = "Discord did not say whether the message arrived"
SLOW_DOWN: Final = "Discord asks to slow down"
OUT_OF_ORDER: Final = "Discord is out of order"
PLACE_GONE: Final = "Discord says that this channel, thread or message is gone"
PLACE_REMEDY: Final = "ask again somewhere else"
FORBIDDEN: Final = "the bot may not write or read there"
FORBIDDEN_REMEDY: Final = (
    "let it see the channel and send messages there, or invite it again with `signoff setup discord`"
)
REFUSED: Final = "Discord refuses the message"
FILE_GONE: Final = "the file is not on Discord any more"
FILE_TOO_LARGE: Final = "the file is too large"

# --- Checks ---------------------------------------------------------------------------------------------------------

SIGN_IN_GOOD: Final = "the token is good"
INTENT_ON: Final = "Message Content Intent is on"
INTENT_OFF: Final = "Message Content Intent is off: switch it on under Bot, or the team reads nothing but mentions"
PUBLIC: Final = "anybody may invite this bot: switch off Public Bot under Bot if it is for your servers only"
PRIVATE: Final = "only you may invite this bot"


def signed_in(name: str) -> str:
    """Whose token it is."""
    return f"{SIGN_IN_GOOD}: this is {name}"


def in_servers(names: tuple[str, ...], n: int) -> str:
    """Where the bot is."""
    return f"in {n} server{'' if n == 1 else 's'}: {', '.join(names)}"


def in_no_server(link: str) -> str:
    """The bot is nowhere yet."""
    return f"in no server yet: invite it with {link}"


def unexpected(status: int) -> str:
    """A check could not be made."""
    return f"Discord answered {status}"
