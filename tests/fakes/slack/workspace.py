"""What a Slack workspace holds: people, groups, channels, messages, files. No network; ids and times are its own.

Law of this file: a channel's messages are ordered by `ts`, which is unique and only grows; a page's cursor is a `ts`,
so what is said while somebody pages neither shifts nor hides anything.
"""

from __future__ import annotations

import base64
import bisect
import copy
import itertools
import time
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.service import Someone


class SlackError(Exception):
    """`{"ok": false, "error": code}`, and what else Slack says."""

    def __init__(self, code: str, **more: Any) -> None:
        super().__init__(code)
        self.code = code
        self.more = more


@dataclass(slots=True, kw_only=True)
class Channel:
    """`kind` as events name it: channel, group, im. `user`: whose direct message it is."""

    id: str
    name: str
    kind: str = "channel"
    user: str = ""
    members: set[str] = field(default_factory=set)
    messages: dict[str, dict[str, Any]] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    threads: dict[str, list[str]] = field(default_factory=dict)  # root -> replies, in order

    def replies(self, root: str) -> list[dict[str, Any]]:
        return [self.messages[ts] for ts in self.threads.get(root, ())]

    def described(self, bot: str) -> dict[str, Any]:
        """As conversations.info has it."""
        common = {"id": self.id, "created": 1_700_000_000, "is_archived": False, "is_im": self.kind == "im"}
        if self.kind == "im":
            return common | {"user": self.user, "is_user_deleted": False}
        private = self.kind == "group"
        facts = {"name": self.name, "is_channel": not private, "is_group": private, "is_private": private}
        return common | facts | {"is_mpim": False, "is_general": False, "is_member": bot in self.members}


@dataclass(slots=True, kw_only=True)
class File:
    """An uploaded file. `shares`: channel -> the ts of messages that show it."""

    id: str
    name: str
    title: str
    media: str
    user: str
    content: bytes = b""
    length: int = 0
    completed: bool = False
    shares: dict[str, list[str]] = field(default_factory=dict)


class Workspace:
    """One workspace with one app installed."""

    def __init__(self, team: str, bot: str) -> None:
        self.team = team
        self.bot = bot
        self.people: dict[str, Someone] = {}
        self.gone: set[str] = set()
        self.channels: dict[str, Channel] = {}
        self.groups: dict[str, str] = {}  # id -> handle
        self.files: dict[str, File] = {}
        self.versions: dict[str, list[dict[str, Any]]] = {}  # by message id: how it looked before each edit
        self.ephemerals: dict[str, dict[str, Any]] = {}
        self._numbers = itertools.count(1)
        self._ts_us = 0

    # --- Names ------------------------------------------------------------------------------------------------------

    def ts(self) -> str:
        self._ts_us = max(self._ts_us + 1, time.time_ns() // 1000)
        return f"{self._ts_us // 1_000_000}.{self._ts_us % 1_000_000:06d}"

    def id(self, prefix: str) -> str:
        """Unique in all workspaces, as Slack's are."""
        return f"{prefix}{next(self._numbers):05d}{self.team[1:]}"

    def names(self) -> dict[str, str]:
        return {user: someone.name for user, someone in self.people.items()}

    def direct(self, user: str) -> Channel:
        """The bot's direct messages with a person; there always is one."""
        name = f"D{user[1:]}"
        if name not in self.channels:
            self.channels[name] = Channel(id=name, name="", kind="im", user=user, members={user, self.bot})
        return self.channels[name]

    def group_members(self, group: str) -> list[str]:
        return sorted(u for u, someone in self.people.items() if f"group:{group}" in someone.roles)

    def find(self, message: str) -> tuple[Channel, dict[str, Any]]:
        """A message by its id, "<channel>:<ts>", ephemeral ones too."""
        channel, _, ts = message.partition(":")
        found = self.channels[channel].messages.get(ts) or self.ephemerals.get(message)
        if found is None:
            raise LookupError(f"no message {message}")
        return self.channels[channel], found

    # --- Messages ---------------------------------------------------------------------------------------------------

    def post(self, channel: Channel, message: dict[str, Any]) -> dict[str, Any]:
        """Keep a message; its thread's counts follow."""
        message = {"type": "message", **message, "ts": self.ts(), "team": self.team}
        channel.messages[message["ts"]] = message
        channel.order.append(message["ts"])
        root = channel.messages.get(message.get("thread_ts", ""))
        if root is not None:
            channel.threads.setdefault(root["ts"], []).append(message["ts"])
            self._count(channel, root)
        return message

    def change(self, channel: Channel, message: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
        """Replace fields of a message, None to remove; how it was, is returned."""
        before = copy.deepcopy(message)
        self.versions.setdefault(f"{channel.id}:{message['ts']}", []).append(before)
        for name, value in fields.items():
            if value is None:
                message.pop(name, None)
            else:
                message[name] = value
        return before

    def delete(self, channel: Channel, message: dict[str, Any]) -> bool:
        """Whether nothing is left of it: where people have replied, a tombstone stays."""
        if channel.replies(message["ts"]):
            self.change(channel, message, {"blocks": None, "attachments": None, "files": None, "metadata": None})
            message |= {
                "text": "This message was deleted.",
                "subtype": "tombstone",
                "user": "USLACKBOT",
                "hidden": True,
            }
            message.pop("bot_id", None)
            return False
        del channel.messages[message["ts"]]
        channel.order.remove(message["ts"])
        root = channel.messages.get(message.get("thread_ts", ""))
        if root is not None and root is not message:
            channel.threads[root["ts"]].remove(message["ts"])
            self._count(channel, root)
        return True

    def _count(self, channel: Channel, root: dict[str, Any]) -> None:
        replies = channel.replies(root["ts"])
        if not replies:
            for name in ("thread_ts", "reply_count", "reply_users", "latest_reply"):
                root.pop(name, None)
            return
        users = sorted({m.get("user") or m.get("bot_id", "") for m in replies})
        root |= {"thread_ts": root["ts"], "reply_count": len(replies), "reply_users": users}
        root["latest_reply"] = replies[-1]["ts"]

    # --- Pages ------------------------------------------------------------------------------------------------------

    def history(self, channel: Channel, args: dict[str, Any], limit: int) -> dict[str, Any]:
        """Newest first; replies are not in it."""
        found = [
            m
            for ts in reversed(_between(channel.order, args))
            if (m := channel.messages[ts]).get("thread_ts", ts) == ts or m.get("subtype") == "thread_broadcast"
        ]
        mark = _uncursor(args)
        return _page([m for m in found if not mark or m["ts"] < mark], args, limit)

    def replies(self, channel: Channel, args: dict[str, Any], limit: int) -> dict[str, Any]:
        """Oldest first, and the parent before everything, whatever the bounds."""
        root = channel.messages.get(str(args.get("ts")))
        if root is None:
            raise SlackError("thread_not_found")
        if root.get("thread_ts", root["ts"]) != root["ts"]:
            return _page([root], args, limit)
        inside = set(_between(channel.order, args))
        found = [m for m in channel.replies(root["ts"]) if m["ts"] in inside]
        mark = _uncursor(args)
        return _page([m for m in [root, *found] if not mark or m["ts"] > mark], args, limit)


def truth(value: Any) -> bool:
    """A boolean however it was sent."""
    return value in (True, 1, "1", "true", "True")


def _between(order: list[str], args: dict[str, Any]) -> list[str]:
    """The part of `order` within oldest and latest, which belong to it only if `inclusive`."""
    oldest, latest = (_padded(args.get(name)) for name in ("oldest", "latest"))
    low, high = 0, len(order)
    if oldest:
        low = (bisect.bisect_left if truth(args.get("inclusive")) else bisect.bisect_right)(order, oldest)
    if latest:
        high = (bisect.bisect_right if truth(args.get("inclusive")) else bisect.bisect_left)(order, latest)
    return order[low:high]


def _padded(ts: Any) -> str:
    """A bound may be sent as "0" or "1700000000.5": compared as text it must have the usual form."""
    if ts in (None, "", "0", 0):
        return ""
    whole, _, part = str(ts).partition(".")
    if not whole.isdecimal() or (part and not part.isdecimal()):
        raise SlackError("invalid_ts_oldest")
    return f"{whole}.{part:0<6.6}"


def _uncursor(args: dict[str, Any]) -> str:
    """The ts after which the page begins."""
    if not args.get("cursor"):
        return ""
    try:
        name, _, ts = base64.b64decode(str(args["cursor"]), validate=True).decode().partition(":")
    except ValueError:
        raise SlackError("invalid_cursor") from None
    if name != "next_ts":
        raise SlackError("invalid_cursor")
    return ts


def _page(found: list[dict[str, Any]], args: dict[str, Any], limit: int) -> dict[str, Any]:
    asked = args.get("limit")
    if asked is not None and not (str(asked).isdecimal() and 0 < int(asked) <= 1000):
        raise SlackError("invalid_limit")
    n = min(limit, int(asked or 100))
    page, more = found[:n], len(found) > n
    messages = [copy.deepcopy(m) for m in page]
    if not truth(args.get("include_all_metadata")):
        for message in messages:
            message.pop("metadata", None)
    cursor = base64.b64encode(f"next_ts:{page[-1]['ts']}".encode()).decode() if more else ""
    answer: dict[str, Any] = {"messages": messages, "has_more": more}
    return answer | ({"response_metadata": {"next_cursor": cursor}} if more else {})
