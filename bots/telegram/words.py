"""What Telegram's room itself says, in one place: everything else a person reads there comes from core's catalogue."""

from __future__ import annotations

from typing import Final

from core.model.inquiries import Verb

OVERDUE: Final = "overdue"
EMPTY: Final = "(empty)"
GOOD: Final = "✅"
BAD: Final = "⛔"
WHOLE_IN_FILE: Final = "This is the beginning. The whole of it is in the file below."
OPEN_A_CHAT: Final = "That is too long for here. Open a private chat with me, press Start, then press again."


def by(when: str) -> str:
    """A deadline."""
    return f"by {when}"


# --- Forms ----------------------------------------------------------------------------------------------------------

NO_REASON: Final = "-"
FORMS: Final[dict[Verb, str]] = {
    Verb.APPROVE: "Reply to this message with the reason.",
    Verb.DENY: f"Reply to this message with the reason, or with {NO_REASON} for none.",
    Verb.EDIT: "Reply to this message with the changed value.",
    Verb.ASK_BACK: "Reply to this message with what you ask the agent.",
    Verb.ANSWER: "Reply to this message with your answer.",
}
FORM_LINES: Final = "Reply to this message with these lines, changed as you want them:"
FORM_STEPS: Final = "Or reply with the first value alone; I ask for the others one by one."
FORM_TOO_LONG: Final = "That is too long to keep while I ask on. Please reply with all lines in one message:"
EDIT_JSON: Final = "Reply to this message with the changed arguments as JSON, for example"
PLACEHOLDERS: Final[dict[Verb, str]] = {
    Verb.APPROVE: "Reason to approve",
    Verb.DENY: "Reason",
    Verb.EDIT: "Changed value",
    Verb.ASK_BACK: "Question to the agent",
    Verb.ANSWER: "Your answer",
}


def one_of(options: str) -> str:
    """What a field takes."""
    return f"one of {options}"


def too_long_to_show(name: str) -> str:
    """A value that no template holds."""
    return f"{name}: too long to show here; add a line for it to change it"


# --- The menu and the connection --------------------------------------------------------------------------------------

REFUSED: Final = "Telegram refuses the token"
REFUSED_REMEDY: Final = "check TELEGRAM_BOT_TOKEN in .env, or ask @BotFather for a new one"
SECOND_POLLER: Final = "another program receives Telegram's messages with this bot's token"
SECOND_POLLER_REMEDY: Final = "stop it; only one may run"
OTHER_WEBHOOK_REMEDY: Final = "if nothing needs it, delete it with the Bot API's deleteWebhook; or set up webhook mode"
DEAF: Final = "Telegram has not answered in time"
UNSENT: Final = "Telegram cannot be reached"
UNKNOWN: Final = "it is not known whether Telegram got it"
SLOWER: Final = "Telegram asks to go slower"
FILE_TOO_LARGE: Final = "Telegram gives bots no file over 20 MB"
FILE_GONE: Final = "Telegram no longer has that file"
UPLOAD_TOO_LARGE: Final = "Telegram takes no file over 50 MB from bots"
WEBHOOK_NEEDS: Final = "SIGNOFF_TELEGRAM_WEBHOOK_URL needs SIGNOFF_TELEGRAM_WEBHOOK_LISTEN (host:port) and ..._SECRET"
WEBHOOK_LISTEN: Final = "SIGNOFF_TELEGRAM_WEBHOOK_LISTEN is no host:port that can be listened on"


def out_of_order(what: str) -> str:
    """Telegram's own trouble."""
    return f"Telegram is out of order: {what}"


def cannot_write(what: str) -> str:
    """A place that is closed to us."""
    return f"cannot write there: {what}"


def other_webhook(url: str) -> str:
    """Somebody has told Telegram to deliver elsewhere."""
    return f"Telegram delivers this bot's messages to a webhook at {url}"


def menu(arguments: str, about: str) -> str:
    """A command's line in the menu."""
    return f"{about} ({arguments})" if arguments else about


# --- The self-check ---------------------------------------------------------------------------------------------------

NOT_SET: Final = "TELEGRAM_BOT_TOKEN is not set: get one from @BotFather"
PRIVACY_ON: Final = (
    "in groups it only sees commands, mentions and replies: @BotFather, /setprivacy, Disable lets it see all;"
    " then remove it from each group and add it again"
)
PRIVACY_OFF: Final = "it sees all messages of the groups it is in"
NO_WEBHOOK: Final = "no webhook is set: messages are fetched"


def is_bot(username: str) -> str:
    """The token is good."""
    return f"the token is that of @{username}"


def pending(n: int) -> str:
    """Messages that wait at Telegram."""
    return f"{n} waiting at Telegram"


def webhook_error(what: str) -> str:
    """Why deliveries fail."""
    return f"the last delivery failed: {what}"
