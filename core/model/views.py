"""What people are shown, designed once and platform-free (EXPERIENCE.md). Each platform's wire.py draws these.

Text here is plain: no markup of any platform. Control ids are opaque and at most 32 ASCII bytes.
"""

from __future__ import annotations

import msgspec

from core.model.events import Conversation
from core.model.ids import PostId


class Button(msgspec.Struct, frozen=True, kw_only=True):
    """A control. `key` is the terminal's letter for it."""

    control: str
    label: str
    key: str = ""
    style: str = "plain"  # plain, good, bad


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One argument or fact. `shown` may be shortened; `View all` has it whole."""

    name: str
    shown: str


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One input of a native form. `name` is what its answer is submitted under; `options` make it a select."""

    name: str
    label: str
    about: str = ""
    value: str = ""
    options: tuple[str, ...] = ()
    required: bool = True
    long: bool = False


class _View(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Line(_View, frozen=True, kw_only=True, tag="Line/1"):
    """One plain line or paragraph: an acknowledgement, a refusal, a note. `speaker` "" is the product itself. A
    private one is for `to`, an account ("slack:U01"); `event` is the key of what it answers, "" for nothing.
    """

    text: str
    speaker: str = ""
    private: bool = False
    to: str = ""
    event: str = ""


class Branch(msgspec.Struct, frozen=True, kw_only=True):
    """One path of roles that work at the same time, and what the last of them does."""

    roles: tuple[str, ...]
    doing: str


class StatusLine(_View, frozen=True, kw_only=True, tag="StatusLine/1"):
    """One a request, edited in place; when `done` it is the receipt. `more` counts branches not shown."""

    task: str
    branches: tuple[Branch, ...]
    steps: int
    tokens: int
    cost_microusd: int
    started_at_ms: int
    at_ms: int
    done: str = ""  # "done", "failed", "cancelled" ... or "" while it goes on
    roles_n: int = 0
    more: int = 0


class Answer(_View, frozen=True, kw_only=True, tag="Answer/1"):
    """A result for the person who asked: prose first, then what changed, risks, files."""

    task: str
    speaker: str
    text: str
    changed: tuple[str, ...] = ()
    risks: tuple[str, ...] = ()
    next_needs: tuple[str, ...] = ()
    artifacts: tuple[str, ...] = ()
    degraded: str = ""
    untrusted: bool = False  # its task has read what came from outside


class InquiryCard(_View, frozen=True, kw_only=True, tag="InquiryCard/1"):
    """Something asked. `whole` is every argument, complete, for View all; `fields` are shortened for the card."""

    inquiry: str
    revision: int
    title: str
    line: str
    fields: tuple[Field, ...]
    more_n: int
    whole: tuple[Field, ...]
    why: str
    tier: str
    decide_by_ms: int | None
    decide_within_ms: int | None
    needs: str
    buttons: tuple[Button, ...]
    hint: str = ""  # "you are the only person here: ..."
    overdue: bool = False
    speaker: str = ""
    kind: str = "approval"
    form: tuple[Question, ...] = ()  # what `Answer` asks for
    edit: tuple[Question, ...] = ()  # what `Edit` may change, with its values now
    delivery: str = ""  # the id of the showing this is
    approve_reason: bool = False  # an approval needs one


class DecidedCard(_View, frozen=True, kw_only=True, tag="DecidedCard/1"):
    """The same message afterwards: buttons gone, first line says who decided what and when, then what it came to."""

    inquiry: str
    title: str
    headline: str
    outcome: str = ""
    speaker: str = ""
    state: str = ""  # approved, denied ...: for a colour, never for meaning alone


class InboxItem(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the inbox."""

    inquiry: str
    title: str
    tier: str
    age_ms: int
    overdue: bool
    needs: str
    buttons: tuple[Button, ...] = ()


class Inbox(_View, frozen=True, kw_only=True, tag="Inbox/1"):
    """What waits for people, oldest first."""

    items: tuple[InboxItem, ...]


class Trouble(_View, frozen=True, kw_only=True, tag="Trouble/1"):
    """What happened, what it means for the request, what happens next by itself, what a person can do."""

    what: str
    means: str = ""
    next_step: str = ""
    remedy: str = ""


View = Line | StatusLine | Answer | InquiryCard | DecidedCard | Inbox | Trouble


class Post(msgspec.Struct, frozen=True, kw_only=True, tag="Post/1"):
    """An outgoing message. Posts of one `slot` are one message on screen: a later one supersedes an unsent one and
    edits a sent one. `rank` orders what waits in a conversation: 0 overtakes 1.
    """

    id: PostId
    conversation: Conversation
    view: View
    slot: str
    rank: int = 1
    reply_to: str | None = None
    at_ms: int
