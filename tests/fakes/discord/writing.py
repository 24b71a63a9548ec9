"""Messages of the bot's: judged as Discord judges them, written, journalled, and told over the gateway.

Ephemeral ones are not told: only their reader sees them, and only the interaction's token can change them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from tests.fakes.discord.gateway import Gateway
from tests.fakes.discord.limits import COMPONENTS_V2, EPHEMERAL, LOADING, Errors, message_errors, walk
from tests.fakes.discord.world import REPLY, Channel, File, Message, World, now
from tests.fakes.service import Journal

FILE_BYTES_MAX: Final = 10 * 1024 * 1024
FILES_MAX: Final = 10


class Refused(Exception):  # noqa: N818 - it is an answer, not an error of ours
    """What Discord answers instead."""

    def __init__(self, status: int, code: int, message: str, errors: Errors | None = None) -> None:
        super().__init__(message, errors)
        self.status = status
        self.body: dict[str, Any] = {"code": code, "message": message}
        if errors:
            self.body["errors"] = _tree(errors)


def _tree(errors: Errors) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for path, message in errors.items():
        node = root
        for step in filter(None, path.split(".")):
            node = node.setdefault(step, {})
        node.setdefault("_errors", []).append({"code": "BASE_TYPE_INVALID", "message": message})
    return root


def form_error(errors: Errors) -> Refused:
    return Refused(400, 50035, "Invalid Form Body", errors)


UNKNOWN_CHANNEL: Final = (404, 10003, "Unknown Channel")
UNKNOWN_MESSAGE: Final = (404, 10008, "Unknown Message")


@dataclass(slots=True, kw_only=True)
class Said:
    """A request's body, read."""

    body: dict[str, Any] = field(default_factory=dict)
    files: list[File] = field(default_factory=list)


class Writing:
    """Creates, changes and removes the bot's messages."""

    def __init__(self, world: World, gateway: Gateway, journal: Journal) -> None:
        self.world = world
        self.gateway = gateway
        self.journal = journal

    def create(self, method: str, channel: Channel, said: Said, *, reader: str = "", **more: Any) -> Message:
        """`reader`: only for this person, if the body's flags or the caller make it ephemeral."""
        body = said.body
        self._judge(body | {"flags": body.get("flags") or 0}, said, n_files=len(said.files))
        reference = body.get("message_reference")
        if reference:
            more |= self._reference(channel, reference)
        hidden = reader if (body.get("flags") or 0) & EPHEMERAL else ""
        message = self.world.add(channel, self.world.bot.id, body, hidden_from=hidden, **more)
        message.sent = body
        message.nonce = str(body.get("nonce") or "")
        self.world.attach(message, said.files)
        self._applied(method, message)
        if not hidden:
            self.gateway.dispatch("MESSAGE_CREATE", self.world.event(message))
        return message

    def change(self, method: str, message: Message, said: Said) -> None:
        """Edit. What the body does not name stays as it is."""
        native, body = message.native, said.body
        kept = list(native["attachments"])
        if "attachments" in body:
            named = {str(some.get("id")) for some in body["attachments"] or ()}
            kept = [some for some in kept if some["id"] in named]
        merged = {name: native[name] for name in ("content", "embeds", "components")} | body
        merged["flags"] = native["flags"] | (body.get("flags") or 0)
        if body.get("components") is None and "components" in body:
            merged["components"] = []
        self._judge(merged, said, n_files=len(said.files) + len(message.files))
        native["attachments"] = kept
        was_loading = native["flags"] & LOADING
        native["flags"] &= ~LOADING
        self.world.write(message, body)
        self.world.attach(message, said.files)
        message.sent = body
        if not was_loading:
            message.edits_n += 1
            native["edited_timestamp"] = now()
        self._applied(method, message, edit=not was_loading)
        if not message.only_for:
            self.gateway.dispatch("MESSAGE_CREATE" if was_loading else "MESSAGE_UPDATE", self.world.event(message))

    def remove(self, method: str, message: Message) -> None:
        self.world.forget(message.id)
        self.journal.note("applied", method, id=message.id)
        channel = self.world.channels.get(message.native["channel_id"])
        if channel is not None and not message.only_for:
            told = {"id": message.id, "channel_id": channel.id} | ({"guild_id": channel.guild} if channel.guild else {})
            self.gateway.dispatch("MESSAGE_DELETE", told)

    def _applied(self, method: str, message: Message, *, edit: bool = False) -> None:
        channel = self.world.channels[message.native["channel_id"]]
        shown = self.world.drawn(message)
        called = () if edit else message.called  # nobody is called by an edit
        self.journal.note(
            "applied",
            method,
            id=message.id,
            channel=channel.place.channel,
            thread=channel.place.thread,
            text=shown.text,
            buttons=shown.buttons,
            files=tuple(file.name for file in message.files.values()),
            only_for=message.only_for,
            nonce=message.nonce,
            pinged=bool(called),
            pings=called,
        )

    def _judge(self, merged: dict[str, Any], said: Said, *, n_files: int) -> None:
        errors = message_errors(merged)
        if n_files > FILES_MAX:
            errors["attachments"] = f"Must be {FILES_MAX} or fewer in length."
        names = {file.name for file in said.files}
        for some in walk(merged.get("components")):
            if some.get("type") == 13 and not (some.get("file") or {}).get("attachment_id"):
                name = str((some.get("file") or {}).get("url", "")).removeprefix("attachment://")
                if name not in names:
                    errors["components.file"] = f"The referenced attachment ({name}) was not found"
        if errors:
            raise form_error(errors)
        if any(len(file.content) > FILE_BYTES_MAX for file in said.files):
            raise Refused(413, 40005, "Request entity too large")
        legacy = not (merged.get("flags") or 0) & COMPONENTS_V2
        if (
            legacy
            and not n_files
            and not any(merged.get(name) for name in ("content", "embeds", "components", "sticker_ids", "poll"))
        ):
            raise Refused(400, 50006, "Cannot send an empty message")

    def _reference(self, channel: Channel, reference: dict[str, Any]) -> dict[str, Any]:
        target = self.world.messages.get(str(reference.get("message_id")))
        if target is None or target.native["channel_id"] != channel.id:
            if reference.get("fail_if_not_exists", True):
                raise form_error({"message_reference": "Unknown message"})
            return {}
        named = {"type": 0, "message_id": target.id, "channel_id": channel.id}
        named |= {"guild_id": channel.guild} if channel.guild else {}
        return {"type": REPLY, "message_reference": named, "referenced_message": self.world.quoted(target)}
