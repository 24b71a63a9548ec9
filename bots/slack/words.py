"""What Slack's own messages, forms and troubles say, in one place: everything else comes from core's catalogue."""

from __future__ import annotations

from typing import Final

from core.model.inquiries import Verb

ANSWER: Final = "answer"
OVERDUE: Final = "overdue"
NOTHING: Final = "(nothing)"
REST_IN_FILE: Final = "This goes on in the file below."
SOMEBODY: Final = "Somebody"
BY: Final = "by"
BULLET: Final = "• "
MARKS: Final = {
    "approved": "✓",
    "answered": "✓",
    "denied": "✕",
    "cancelled": "–",
    "dismissed": "–",
    "superseded": "–",
    "expired": "–",
}

# --- Forms ----------------------------------------------------------------------------------------------------------

SUBMIT: Final = "Send"
CLOSE: Final = "Go back"
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
    Verb.ASK_BACK: "Ask the agent",
    Verb.ANSWER: "Your answer",
}
TOO_LONG_FOR_FORM: Final = "Too long for this form, and left as it is: "
PRESS_AGAIN: Final = "Slack did not open the form in time. Press the button again."


def by(when: str) -> str:
    """A deadline."""
    return f"{BY} {when}"


def option(n: int, text: str) -> str:
    """One of the answers that a form's field may have."""
    return f"{n}. {text}"


# --- Trouble --------------------------------------------------------------------------------------------------------

NO_ACKNOWLEDGEMENT_PLACE: Final = "I am not in this channel, so I cannot answer here. Add me with /invite first."
NO_BOT_TOKEN: Final = "Slack refuses SLACK_BOT_TOKEN"  # noqa: S105  # the name of a setting
NO_APP_TOKEN: Final = "Slack refuses SLACK_APP_TOKEN"  # noqa: S105  # the name of a setting
NEW_BOT_TOKEN: Final = "put the Bot User OAuth Token of your app (xoxb-...) into .env"  # noqa: S105  # an instruction
NEW_APP_TOKEN: Final = "put an app-level token with connections:write (xapp-...) into .env"  # noqa: S105  # as above
NO_SECRET: Final = "SLACK_APP_TOKEN and SLACK_SIGNING_SECRET are both missing"  # noqa: S105  # as above
SET_SECRET: Final = "set the first for Socket Mode, or the second and SIGNOFF_SLACK_LISTEN for HTTP"  # noqa: S105  # as above
NO_ADDRESS: Final = "SIGNOFF_SLACK_LISTEN is no address"
SET_ADDRESS: Final = "write it as HOST:PORT, for example 127.0.0.1:3000"
SOCKET_MODE_OFF: Final = "Socket Mode is switched off for this Slack app"
SWITCH_ON: Final = "switch it on under Settings, Socket Mode, or set SLACK_SIGNING_SECRET instead of SLACK_APP_TOKEN"
DEAF: Final = "Slack's connection was open, but what people said did not come through it"
LOST: Final = "The connection to Slack was lost"
NO_HELLO: Final = "Slack opened a connection and said nothing"
UNREACHABLE: Final = "Slack cannot be reached"
MORE_TO_READ: Final = "Slack has more than can be read at once"
NO_ANSWER: Final = "Slack did not answer"
SLOW_DOWN: Final = "Slack asks us to slow down"
GONE: Final = "This Slack channel or thread cannot be written to"
INVITE: Final = "add the bot to the channel again, or ask elsewhere"
FILE_GONE: Final = "The file is gone from Slack"
FILE_TOO_LARGE: Final = "The file is too large"
FILE_SCOPE: Final = "Slack does not hand out the file"
ADD_FILE_SCOPE: Final = "the app needs the scope files:read"
FILE_ELSEWHERE: Final = "The file is not on Slack's own servers, so it is not fetched"
OTHER_WORKSPACE: Final = "This conversation is in a Slack workspace that SLACK_BOT_TOKEN does not belong to"


def refused(code: str) -> str:
    """Slack said no to a request, in its own word."""
    return f"Slack refused it ({code})"


def out_of_order(code: str) -> str:
    """Slack itself is in trouble."""
    return f"Slack is out of order ({code})"


def add_scope(scope: str) -> str:
    """A scope the app was not given."""
    return f"add the scope {scope} to the app and install it again; the manifest has all of them"


# --- Checks ---------------------------------------------------------------------------------------------------------

SCOPES_GOOD: Final = "every scope of the manifest is granted"
SOCKET_GOOD: Final = "SLACK_APP_TOKEN opens Socket Mode"
HTTP_GOOD: Final = "HTTP mode: requests are checked with SLACK_SIGNING_SECRET"
NO_TOKEN: Final = "SLACK_BOT_TOKEN is not set"  # noqa: S105  # the name of a setting


def signed_in(bot: str, team: str) -> str:
    """The bot token is good."""
    return f"SLACK_BOT_TOKEN is good: {bot} in {team}"


def scopes_missing(scopes: str) -> str:
    """What the installed app may not do."""
    return f"missing scopes: {scopes}; paste the manifest again and reinstall the app"
