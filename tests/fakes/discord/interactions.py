"""Interactions: a person's command, press or form, which the bot must answer within three seconds, and its token.

The first answer decides what the token's later messages are: a message, a promise of one, an update, or a modal.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from dataclasses import dataclass, field
from typing import Any, Final

from tests.fakes.discord.gateway import Gateway
from tests.fakes.discord.limits import EPHEMERAL, LOADING, modal_errors
from tests.fakes.discord.world import DM, Channel, Message, World
from tests.fakes.discord.writing import UNKNOWN_MESSAGE, Refused, Said, Writing, form_error
from tests.fakes.service import Journal, Someone

COMMAND, COMPONENT, MODAL_SUBMIT = 2, 3, 5
MESSAGE, LATER, QUIETLY, UPDATE, MODAL = 4, 5, 6, 7, 9
DEADLINE_S: Final = 3.0
TOKEN_S: Final = 900.0
CHAT_INPUT: Final = 20


@dataclass(slots=True, kw_only=True, eq=False)
class Interaction:
    """One act of a person's."""

    id: str
    token: str
    kind: int
    who: Someone
    channel: Channel
    message: Message | None  # the one with the button
    made: float  # by the loop's clock
    answer: int = 0
    original: Message | None = None
    followups: list[str] = field(default_factory=list)
    modal: dict[str, Any] | None = None
    answered: asyncio.Event = field(default_factory=asyncio.Event)


class Interactions:
    """All that are under way."""

    def __init__(self, world: World, gateway: Gateway, writing: Writing, journal: Journal) -> None:
        self.world = world
        self.gateway = gateway
        self.writing = writing
        self.journal = journal
        self.deadline_s = DEADLINE_S
        self.is_expired = False  # whatever comes now is too old to be answered
        self.every: dict[str, Interaction] = {}  # by token

    def begin(
        self, kind: int, who: Someone, channel: Channel, data: dict[str, Any], message: Message | None = None
    ) -> tuple[Interaction, dict[str, Any]]:
        """And what the gateway says of it."""
        made = -math.inf if self.is_expired else asyncio.get_running_loop().time()
        some = Interaction(
            id=self.world.snowflake(),
            token=secrets.token_urlsafe(48),
            kind=kind,
            who=who,
            channel=channel,
            message=message,
            made=made,
        )
        self.every[some.token] = some
        told: dict[str, Any] = {
            "id": some.id,
            "application_id": self.world.bot.id,
            "type": kind,
            "token": some.token,
            "version": 1,
            "data": data,
            "channel_id": channel.id,
            "channel": self.world.channel(channel.id),
            "locale": "en-US",
            "entitlements": [],
            "attachment_size_limit": 10 * 1024 * 1024,
            "app_permissions": "0",
        }
        user = self.world.user(who.id)
        if channel.kind == DM:
            told |= {"user": user, "context": 1, "authorizing_integration_owners": {"0": "0"}}
        else:
            permissions = str(self.world.permissions(who.id, channel.guild))
            told |= {
                "guild_id": channel.guild,
                "guild": {"id": channel.guild, "locale": "en-US", "features": []},
                "guild_locale": "en-US",
                "context": 0,
                "authorizing_integration_owners": {"0": channel.guild},
                "app_permissions": str(self.world.permissions(self.world.bot.id, channel.guild)),
                "member": self.world.member(who.id, channel.guild) | {"user": user, "permissions": permissions},
            }
        if message is not None:
            told["message"] = message.native
        return some, told

    @property
    def patience_s(self) -> float:
        """How long a person sees "thinking"."""
        return 0.1 if self.is_expired else self.deadline_s

    def expire(self) -> None:
        """All there is, and all that comes until `is_expired` is unset, is too old."""
        self.is_expired = True
        for some in self.every.values():
            some.made = -math.inf

    def waiting_n(self) -> int:
        """How many can still be answered, and are not."""
        now = asyncio.get_running_loop().time()
        return sum(1 for some in self.every.values() if not some.answer and now - some.made <= self.deadline_s)

    # --- The first answer -------------------------------------------------------------------------------------------

    def callback(self, interaction_id: str, token: str, said: Said) -> dict[str, Any]:
        """Within the deadline, once. The resource it made, for with_response."""
        some = self.every.get(token)
        waited = asyncio.get_running_loop().time() - some.made if some else 0.0
        if some is None or some.id != interaction_id or waited > self.deadline_s:
            raise Refused(404, 10062, "Unknown interaction")
        if some.answer:
            raise Refused(400, 40060, "Interaction has already been acknowledged.")
        answer, data = said.body.get("type"), said.body.get("data") or {}
        inner = Said(body=data, files=said.files)
        match answer:
            case 4:
                kind = CHAT_INPUT if some.kind == COMMAND else 0
                about = {"type": kind, "interaction_metadata": self._metadata(some)}
                some.original = self.writing.create(
                    "interactions.callback", some.channel, inner, reader=some.who.id, **about
                )
            case 5:
                hidden = some.who.id if (data.get("flags") or 0) & EPHEMERAL else ""
                flags = LOADING | (EPHEMERAL if hidden else 0)
                some.original = self.world.add(
                    some.channel, self.world.bot.id, {}, hidden_from=hidden, flags=flags, type=CHAT_INPUT
                )
            case 6 | 7 if some.message is not None:
                some.original = some.message
                if answer == UPDATE:
                    self.writing.change("interactions.callback", some.message, inner)
            case 9 if some.kind != MODAL_SUBMIT:
                errors = modal_errors(data)
                if errors:
                    raise form_error({f"data.{path}": message for path, message in errors.items()})
                some.modal = data
            case _:
                raise form_error({"type": 'Value of field "type" is not valid for this interaction.'})
        some.answer = int(answer)
        some.answered.set()
        self.journal.note("acknowledged", "interactions.callback", id=some.id, type=answer, seconds=waited)
        return self._response(some)

    def _metadata(self, some: Interaction) -> dict[str, Any]:
        owners: dict[str, Any] = {"authorizing_integration_owners": {}}
        return {"id": some.id, "type": some.kind, "user": self.world.user(some.who.id)} | owners

    def _response(self, some: Interaction) -> dict[str, Any]:
        told: dict[str, Any] = {"id": some.id, "type": some.kind}
        resource: dict[str, Any] = {"type": some.answer}
        if some.original is not None:
            told["response_message_id"] = some.original.id
            told["response_message_loading"] = some.answer == LATER
            told["response_message_ephemeral"] = bool(some.original.only_for)
            if some.answer != QUIETLY:
                resource["message"] = some.original.native
        return {"interaction": told, "resource": resource}

    # --- The token --------------------------------------------------------------------------------------------------

    def _of(self, token: str) -> Interaction:
        some = self.every.get(token)
        age = asyncio.get_running_loop().time() - some.made if some else 0.0
        if some is None or not some.answer or age > TOKEN_S:
            raise Refused(404, 10015, "Unknown Webhook")
        return some

    def follow(self, token: str, said: Said) -> Message:
        """A message after the first answer; what was promised, if that is still owed."""
        some = self._of(token)
        if some.original is not None and some.original.native["flags"] & LOADING:
            self.writing.change("webhooks.followup", some.original, said)
            return some.original
        about = {"interaction_metadata": self._metadata(some), "webhook_id": self.world.bot.id}
        made = self.writing.create("webhooks.followup", some.channel, said, reader=some.who.id, **about)
        some.followups.append(made.id)
        return made

    def find(self, token: str, message: str) -> Message:
        some = self._of(token)
        found = some.original if message == "@original" else self.world.messages.get(message)
        allowed = {*some.followups} | ({some.original.id} if some.original else set())
        if found is None or found.id not in allowed or found.id not in self.world.messages:
            raise Refused(*UNKNOWN_MESSAGE)
        return found
