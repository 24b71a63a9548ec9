"""What Discord keeps: people, guilds, channels, threads, messages. It outlives every connection, and `stop`.

Nothing here speaks a protocol. Whoever changes something dispatches what the gateway would.
"""

from __future__ import annotations

import bisect
import itertools
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from tests.fakes.discord.limits import COMPONENTS_V2, EPHEMERAL, FILE, HAS_THREAD, LOADING, walk
from tests.fakes.discord.reading import labels_of, pings, plain, text_of
from tests.fakes.service import Place, Shown, Someone

EPOCH_MS: Final = 1420070400000
GUILD_TEXT, DM, PUBLIC_THREAD = 0, 1, 11
EVERYBODY_MAY: Final = sum(1 << bit for bit in (6, 10, 11, 14, 15, 16, 31, 35, 38))
ADMINISTRATOR: Final = 1 << 3
REPLY, THREAD_STARTER = 19, 21
SPOKEN: Final = frozenset({0, REPLY, 20, 23})  # message types that carry words of their author


def stamp(snowflake: str) -> str:
    """When an id was made, as Discord writes times."""
    return datetime.fromtimestamp(((int(snowflake) >> 22) + EPOCH_MS) / 1000, UTC).isoformat()


def now() -> str:
    return datetime.now(UTC).isoformat()


@dataclass(slots=True, kw_only=True)
class File:
    """An attachment's bytes."""

    name: str
    media: str
    content: bytes


@dataclass(slots=True, kw_only=True)
class Channel:
    """A text channel, a thread (its parent set) or a private chat (its guild "")."""

    id: str
    kind: int
    name: str
    guild: str = ""
    parent: str = ""
    owner: str = ""
    recipient: str = ""
    hidden: bool = False  # the bot may no longer see it
    archived: bool = False
    messages: list[str] = field(default_factory=list)  # ids, oldest first

    @property
    def is_thread(self) -> bool:
        return bool(self.parent)

    @property
    def place(self) -> Place:
        if self.is_thread:
            return Place(channel=self.parent, thread=self.id)
        return Place(channel=self.id, private=self.kind == DM)


@dataclass(slots=True, kw_only=True)
class Message:
    """`native` is the object as a history shows it; what only its creation shows (the nonce) is beside."""

    native: dict[str, Any]
    files: dict[str, File] = field(default_factory=dict)
    nonce: str = ""
    sent: dict[str, Any] = field(default_factory=dict)  # the body as the bot sent it last
    edits_n: int = 0
    only_for: str = ""
    called: tuple[str, ...] = ()  # who is called by it: "everyone", "here", "<user id>", "role:<id>"
    shown: Shown | None = None  # as it was last drawn; None after a change

    @property
    def id(self) -> str:
        return str(self.native["id"])


@dataclass(slots=True, kw_only=True)
class Guild:
    """A workspace. Its id is also its @everyone role's."""

    id: str
    name: str
    owner: str
    roles: dict[str, tuple[str, int]] = field(default_factory=dict)  # id -> name, permissions
    joined: bool = True  # the bot is in it
    joined_at: str = "2024-01-02T03:04:05+00:00"


class World:
    """All of it. Ids are snowflakes: strictly increasing, and they tell the time."""

    def __init__(self, bot: Someone) -> None:
        self.bot = bot
        self.people: dict[str, Someone] = {bot.id: bot}
        self.guilds: dict[str, Guild] = {}
        self.channels: dict[str, Channel] = {}
        self.messages: dict[str, Message] = {}
        self.commands: dict[str, list[dict[str, Any]]] = {}  # "" for global, else by guild
        self.base = ""  # where attachments are downloaded
        self._last = 0

    def snowflake(self) -> str:
        self._last = max(self._last + 1, (int(time.time() * 1000) - EPOCH_MS) << 22)
        return str(self._last)

    # --- Objects as Discord writes them -----------------------------------------------------------------------------

    def user(self, who: str) -> dict[str, Any]:
        some = self.people[who]
        return {
            "id": some.id,
            "username": some.name.lower().replace(" ", "_"),
            "global_name": None if some.is_bot else some.name,
            "discriminator": "0000" if some.is_bot else "0",
            "avatar": None,
            "bot": some.is_bot,
            "public_flags": 0,
        }

    def roles_of(self, who: str, guild: str) -> list[str]:
        named = [role.removeprefix("role:") for role in self.people[who].roles if role.startswith("role:")]
        return [role for role in named if role in self.guilds[guild].roles]

    def permissions(self, who: str, guild: str) -> int:
        there = self.guilds[guild]
        found = EVERYBODY_MAY | (ADMINISTRATOR if there.owner == who else 0)
        for role in self.roles_of(who, guild):
            found |= there.roles[role][1]
        return found

    def member(self, who: str, guild: str) -> dict[str, Any]:
        """Without the user: as messages carry it."""
        return {
            "roles": self.roles_of(who, guild),
            "joined_at": "2024-01-02T03:04:05+00:00",
            "nick": None,
            "avatar": None,
            "deaf": False,
            "mute": False,
            "pending": False,
            "flags": 0,
            "premium_since": None,
            "communication_disabled_until": None,
        }

    def role(self, guild: str, role: str) -> dict[str, Any]:
        name, permissions = self.guilds[guild].roles[role]
        own = f"role:{role}" in self.bot.roles
        return {
            "id": role,
            "name": name,
            "permissions": str(permissions),
            "position": 0 if role == guild else 1,
            "color": 0,
            "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
            "hoist": False,
            "managed": own,
            "mentionable": False,
            "flags": 0,
        } | ({"tags": {"bot_id": self.bot.id}} if own else {})

    def guild(self, guild: str) -> dict[str, Any]:
        some = self.guilds[guild]
        return {
            "id": guild,
            "name": some.name,
            "owner_id": some.owner,
            "roles": [self.role(guild, role) for role in some.roles],
            "emojis": [],
            "stickers": [],
            "features": [],
            "icon": None,
            "splash": None,
            "discovery_splash": None,
            "description": None,
            "afk_channel_id": None,
            "afk_timeout": 300,
            "verification_level": 1,
            "default_message_notifications": 1,
            "explicit_content_filter": 0,
            "mfa_level": 0,
            "nsfw_level": 0,
            "application_id": None,
            "system_channel_id": None,
            "system_channel_flags": 0,
            "rules_channel_id": None,
            "public_updates_channel_id": None,
            "vanity_url_code": None,
            "banner": None,
            "premium_tier": 0,
            "preferred_locale": "en-US",
        }

    def guild_create(self, guild: str) -> dict[str, Any]:
        """What the gateway says when a guild becomes available. Only the bot's own member is in it."""
        threads = self.threads(guild)
        plain_channels = [some for some in self.channels.values() if some.guild == guild and not some.is_thread]
        return self.guild(guild) | {
            "unavailable": False,
            "joined_at": self.guilds[guild].joined_at,
            "large": False,
            "member_count": len(self.people),
            "voice_states": [],
            "members": [self.member(self.bot.id, guild) | {"user": self.user(self.bot.id)}],
            "channels": [self.channel(some.id) for some in plain_channels if not some.hidden],
            "threads": [self.channel(some.id) for some in threads],
            "presences": [],
            "stage_instances": [],
            "guild_scheduled_events": [],
            "soundboard_sounds": [],
        }

    def threads(self, guild: str) -> list[Channel]:
        """Active ones that the bot can see."""
        every = [some for some in self.channels.values() if some.guild == guild and some.is_thread]
        return [some for some in every if not some.archived and not self.is_hidden(some)]

    def channel(self, channel: str) -> dict[str, Any]:
        some = self.channels[channel]
        found: dict[str, Any] = {
            "id": some.id,
            "type": some.kind,
            "last_message_id": some.messages[-1] if some.messages else None,
            "flags": 0,
        }
        if some.kind == DM:
            return found | {"recipients": [self.user(some.recipient)]}
        found |= {"name": some.name, "guild_id": some.guild, "parent_id": some.parent or None, "rate_limit_per_user": 0}
        if not some.is_thread:
            rest: dict[str, Any] = {"position": 0, "topic": None, "nsfw": False, "permission_overwrites": []}
            return found | rest | {"default_auto_archive_duration": 1440}
        made = stamp(some.id)
        spoken = sum(1 for message in some.messages if self.messages[message].native["type"] in SPOKEN)
        return found | {
            "owner_id": some.owner,
            "message_count": spoken,
            "total_message_sent": spoken,
            "member_count": 2,
            "thread_metadata": {
                "archived": some.archived,
                "auto_archive_duration": 1440,
                "archive_timestamp": made,
                "create_timestamp": made,
                "locked": False,
            },
            "member": {"id": some.id, "user_id": self.bot.id, "join_timestamp": made, "flags": 1},
        }

    # --- Changes ----------------------------------------------------------------------------------------------------

    def open_channel(self, guild: str, name: str) -> Channel:
        some = Channel(id=self.snowflake(), kind=GUILD_TEXT, name=name, guild=guild)
        self.channels[some.id] = some
        return some

    def open_direct(self, who: str) -> Channel:
        """The private chat with the bot; always the same one."""
        for some in self.channels.values():
            if some.kind == DM and some.recipient == who:
                return some
        made = Channel(id=self.snowflake(), kind=DM, name="", recipient=who)
        self.channels[made.id] = made
        return made

    def open_thread(self, parent: Channel, name: str, owner: str, message: str = "") -> Channel:
        """From a message: the thread has its id, and begins with a message that points to it."""
        made = Channel(
            id=message or self.snowflake(),
            kind=PUBLIC_THREAD,
            name=name,
            guild=parent.guild,
            parent=parent.id,
            owner=owner,
        )
        self.channels[made.id] = made
        if message:
            source = self.messages[message]
            source.native["flags"] |= HAS_THREAD
            source.native["thread"] = self.channel(made.id)
            reference = {"type": 0, "message_id": message, "channel_id": parent.id, "guild_id": parent.guild}
            about: dict[str, Any] = {
                "type": THREAD_STARTER,
                "message_reference": reference,
                "referenced_message": self.quoted(source),
            }
            self.add(made, source.native["author"]["id"], {}, **about)
        return made

    def quoted(self, message: Message) -> dict[str, Any]:
        """A message inside another that refers to it: one level deep."""
        return {key: value for key, value in message.native.items() if key != "referenced_message"}

    def event(self, message: Message) -> dict[str, Any]:
        """A message as the gateway tells of it."""
        channel = self.channels[message.native["channel_id"]]
        told = message.native | {"channel_type": channel.kind} | ({"nonce": message.nonce} if message.nonce else {})
        if channel.guild:
            told |= {"guild_id": channel.guild, "member": self.member(message.native["author"]["id"], channel.guild)}
        return told

    def add(
        self, channel: Channel, author: str, body: dict[str, Any], *, hidden_from: str = "", **more: Any
    ) -> Message:
        """A new message. `hidden_from` is the only reader of an ephemeral one."""
        message_id = self.snowflake()
        native: dict[str, Any] = {
            "id": message_id,
            "channel_id": channel.id,
            "author": self.user(author),
            "type": 0,
            "content": "",
            "timestamp": stamp(message_id),
            "edited_timestamp": None,
            "tts": False,
            "mention_everyone": False,
            "mentions": [],
            "mention_roles": [],
            "mention_channels": [],
            "attachments": [],
            "embeds": [],
            "components": [],
            "pinned": False,
            "flags": 0,
        }
        message = Message(native=native | more, only_for=hidden_from)
        self.messages[message_id] = message
        if not hidden_from:
            channel.messages.append(message_id)
        self.write(message, body)
        return message

    def write(self, message: Message, body: dict[str, Any]) -> None:
        """Put what a body says into a message."""
        native = message.native
        for name, empty in (("content", ""), ("embeds", []), ("components", [])):
            if name in body:
                native[name] = body[name] or empty
        if "flags" in body:
            native["flags"] = native["flags"] | ((body["flags"] or 0) & (EPHEMERAL | COMPONENTS_V2 | 4 | 4096))
        native["embeds"] = [{"type": "rich"} | embed for embed in native["embeds"]]
        taken = {some.get("id") for some in walk(native["components"])}
        free = (number for number in itertools.count(1) if number not in taken)
        for some in walk(native["components"]):
            some["id"] = some.get("id") or next(free)
        replied = native.get("referenced_message") if native["type"] == REPLY else None
        asked = native | {"allowed_mentions": body.get("allowed_mentions")}
        message.called = called = pings(asked, replied["author"]["id"] if replied else "")
        native["mention_everyone"] = bool({"everyone", "here"} & set(called))
        native["mentions"] = [self.user(some) for some in called if some in self.people]
        native["mention_roles"] = [some.removeprefix("role:") for some in called if some.startswith("role:")]
        message.shown = None

    def attach(self, message: Message, files: list[File]) -> None:
        """Files that were sent along, in order. What a component refers to is no longer listed beside it."""
        by_name: dict[str, dict[str, Any]] = {}
        for file in files:
            file_id = self.snowflake()
            message.files[file_id] = file
            safe = re.sub(r"[^A-Za-z0-9_.-]", "_", file.name)
            url = f"{self.base}/attachments/{message.native['channel_id']}/{file_id}/{safe}?ex=1&is=1&hm=1"
            some: dict[str, Any] = {"id": file_id, "filename": file.name, "size": len(file.content)}
            some |= {"url": url, "proxy_url": url, "content_type": file.media, "flags": 0}
            by_name[file.name] = some
        for part in walk(message.native["components"]):
            media = [part[name] for name in ("file", "media") if name in part]
            for target in media + [item["media"] for item in part.get("items") or ()]:
                found = by_name.pop(str(target.get("url", "")).removeprefix("attachment://"), None)
                if found is not None:
                    target |= {name: found[name] for name in ("url", "proxy_url", "content_type")}
                    target["attachment_id"] = found["id"]
                    if part["type"] == FILE:
                        part.update(name=found["filename"], size=found["size"])
        message.native["attachments"] = [*message.native["attachments"], *by_name.values()]
        message.shown = None

    def forget(self, message: str) -> Message:
        some = self.messages.pop(message)
        channel = self.channels.get(some.native["channel_id"])
        if channel is not None and message in channel.messages:
            channel.messages.remove(message)
        return some

    # --- Looking ----------------------------------------------------------------------------------------------------

    def is_hidden(self, channel: Channel) -> bool:
        """The bot is not in its guild, or may not see it or its parent."""
        guild = self.guilds.get(channel.guild)
        parent = self.channels.get(channel.parent)
        return (guild is not None and not guild.joined) or channel.hidden or (parent is not None and parent.hidden)

    def history(self, channel: Channel, limit: int, before: str, after: str, around: str) -> list[Message]:
        """Newest first, whichever end the limit counts from."""
        keys = [int(some) for some in channel.messages]
        low, high = 0, len(keys)
        if before:
            high = bisect.bisect_left(keys, int(before))
            low = max(0, high - limit)
        elif after:
            low = bisect.bisect_right(keys, int(after))
            high = min(high, low + limit)
        elif around:
            middle = bisect.bisect_left(keys, int(around))
            low, high = max(0, middle - limit // 2), min(high, middle + (limit + 1) // 2)
        else:
            low = max(0, high - limit)
        return [self.messages[some] for some in reversed(channel.messages[low:high])]

    def name(self, kind: str, some: str) -> str:
        if kind == "user":
            return self.people[some].name if some in self.people else f"<@{some}>"
        if kind == "channel":
            return self.channels[some].name if some in self.channels else "unknown"
        return next((guild.roles[some][0] for guild in self.guilds.values() if some in guild.roles), "unknown-role")

    def plain(self, text: str) -> str:
        return plain(text, self.name)

    def screen(self, place: Place | None) -> tuple[Shown, ...]:
        """What the bot wrote, oldest first."""
        found = []
        for message in self.messages.values():
            native = message.native
            channel = self.channels.get(native["channel_id"])
            if channel is None or native["author"]["id"] != self.bot.id or native["flags"] & LOADING:
                continue
            there = channel.place
            elsewhere = place and (there.channel != place.channel or (place.thread and place.thread != there.thread))
            if native["type"] in SPOKEN and not elsewhere:
                found.append(self.drawn(message))
        return tuple(found)

    def drawn(self, message: Message) -> Shown:
        """As people see it now."""
        if message.shown is None:
            native = message.native
            shown = {attachment["id"] for attachment in native["attachments"]}
            if native["flags"] & COMPONENTS_V2:
                shown = set()
            for part in walk(native["components"]):
                media = [part[name] for name in ("file", "media") if name in part]
                shown |= {
                    some.get("attachment_id") for some in media + [item["media"] for item in part.get("items") or ()]
                }
            message.shown = Shown(
                id=message.id,
                place=self.channels[native["channel_id"]].place,
                author=self.people[native["author"]["id"]].name,
                text=text_of(native, self.name),
                buttons=labels_of(native),
                files=tuple((file.name, file.content) for key, file in message.files.items() if key in shown),
                edits_n=message.edits_n,
                only_for=message.only_for,
                native=message.sent or native,
            )
        return message.shown
