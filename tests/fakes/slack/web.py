"""The Web API: what an app may ask Slack for, and what Slack answers. No network.

Law of this file: a method either raises SlackError and nothing has happened, or it has happened, is in the journal as
"applied" once, and its answer has Slack's shape.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from typing import Any, Final

from tests.fakes.service import Journal, Someone
from tests.fakes.slack import blocks as kit
from tests.fakes.slack.workspace import Channel, File, SlackError, Workspace, truth

POST_TEXT_MAX: Final = 40_000
UPDATE_TEXT_MAX: Final = 4_000
METADATA_BYTES_MAX: Final = 16_384
TRIGGER_SECONDS: Final = 3.0
SCOPES: Final = (
    "app_mentions:read,channels:history,channels:read,chat:write,chat:write.customize,commands,files:read,files:write,"
    "groups:history,groups:read,im:history,im:read,im:write,metadata.message:read,mpim:history,mpim:read,reactions:read,"
    "reactions:write,usergroups:read,users:read"
)
# What each method needs; where Slack asks for one by the kind of the conversation, the public one stands for all.
NEEDS: Final = {
    "chat.postMessage": "chat:write",
    "chat.postEphemeral": "chat:write",
    "chat.update": "chat:write",
    "chat.delete": "chat:write",
    "conversations.history": "channels:history",
    "conversations.replies": "channels:history",
    "conversations.info": "channels:read",
    "conversations.members": "channels:read",
    "conversations.open": "im:write",
    "users.conversations": "channels:read",
    "users.info": "users:read",
    "usergroups.list": "usergroups:read",
    "usergroups.users.list": "usergroups:read",
    "files.getUploadURLExternal": "files:write",
    "files.completeUploadExternal": "files:write",
    "files.info": "files:read",
    "reactions.add": "reactions:write",
}


class Web:
    """One app's side of the API. `tell` brings an event to the app."""

    def __init__(self, space: Workspace, journal: Journal, tell: Callable[[dict[str, Any]], None]) -> None:
        self.space = space
        self.journal = journal
        self.tell = tell
        self.bot_id = f"B{space.bot[1:]}"
        self.app_id = f"A{space.bot[1:]}"
        self.scopes = SCOPES
        self.base = ""
        self.page_max = 200
        self.triggers: dict[str, float] = {}  # id -> monotonic time it was made at
        self.is_late = False  # triggers reach the bot when their time is over
        self.exchanged: set[str] = set()
        self.views: dict[str, dict[str, Any]] = {}
        self.opened: dict[str, str] = {}  # trigger -> view

    def call(self, method: str, args: dict[str, Any]) -> dict[str, Any]:
        """Raises SlackError."""
        act = getattr(self, method.replace(".", "_"), None)
        if act is None or "." not in method:
            raise SlackError("unknown_method", req_method=method)
        needed = NEEDS.get(method, "")
        if needed and needed not in self.scopes.split(","):
            raise SlackError("missing_scope", needed=needed, provided=self.scopes)
        return act(args)

    # --- Who and where ----------------------------------------------------------------------------------------------

    def auth_test(self, args: dict[str, Any]) -> dict[str, Any]:
        who = {"user": "signoff", "user_id": self.space.bot, "bot_id": self.bot_id}
        where = {"url": "https://fake.slack.com/", "team": "Fake", "team_id": self.space.team}
        return where | who | {"is_enterprise_install": False}

    def channel(self, args: dict[str, Any], *, member: bool = True) -> Channel:
        """The one that is meant, by its id or a person's."""
        name = str(args.get("channel") or "")
        if name in self.space.people and name != self.space.bot:
            return self.space.direct(name)
        found = self.space.channels.get(name)
        if found is None or (found.kind != "channel" and self.space.bot not in found.members):
            raise SlackError("channel_not_found")
        if member and self.space.bot not in found.members:
            raise SlackError("not_in_channel")
        return found

    def conversations_info(self, args: dict[str, Any]) -> dict[str, Any]:
        return {"channel": self.channel(args, member=False).described(self.space.bot)}

    def conversations_members(self, args: dict[str, Any]) -> dict[str, Any]:
        return {"members": sorted(self.channel(args, member=False).members), "response_metadata": {"next_cursor": ""}}

    def conversations_open(self, args: dict[str, Any]) -> dict[str, Any]:
        users = str(args.get("users") or "").split(",")
        if args.get("channel"):
            return {"channel": {"id": self.channel(args).id}}
        if len(users) != 1 or users[0] not in self.space.people:
            raise SlackError("user_not_found")
        if users[0] in self.space.gone:
            raise SlackError("user_disabled")
        return {"channel": {"id": self.space.direct(users[0]).id}, "no_op": True, "already_open": True}

    def users_conversations(self, args: dict[str, Any]) -> dict[str, Any]:
        names = {"public_channel": "channel", "private_channel": "group", "im": "im"}
        kinds = {names.get(kind.strip()) for kind in str(args.get("types") or "public_channel").split(",")}
        who = args.get("user") or self.space.bot
        found = [c for c in self.space.channels.values() if c.kind in kinds and who in c.members]
        found.sort(key=lambda c: c.id)
        after = str(args.get("cursor") or "")
        found = [c for c in found if c.id > after]
        n = min(int(args.get("limit") or 100), self.page_max)
        cursor = found[n - 1].id if len(found) > n else ""
        page = [c.described(self.space.bot) for c in found[:n]]
        return {"channels": page, "response_metadata": {"next_cursor": cursor}}

    def users_info(self, args: dict[str, Any]) -> dict[str, Any]:
        someone = self.space.people.get(str(args.get("user")))
        if someone is None:
            raise SlackError("user_not_found")
        return {"user": self._person(someone)}

    def _person(self, someone: Someone) -> dict[str, Any]:
        profile = {"real_name": someone.name, "display_name": someone.name, "team": self.space.team}
        rank = {"is_admin": "admin" in someone.roles, "is_owner": False, "is_bot": someone.is_bot}
        common = {"id": someone.id, "team_id": self.space.team, "name": someone.name.lower().replace(" ", ".")}
        deleted = someone.id in self.space.gone
        return common | rank | {"deleted": deleted, "real_name": someone.name, "profile": profile, "tz": "UTC"}

    def usergroups_list(self, args: dict[str, Any]) -> dict[str, Any]:
        groups = []
        for group, handle in self.space.groups.items():
            members = self.space.group_members(group)
            facts = {"id": group, "handle": handle, "name": handle, "date_delete": 0, "user_count": len(members)}
            groups.append(facts | ({"users": members} if truth(args.get("include_users")) else {}))
        return {"usergroups": groups}

    def usergroups_users_list(self, args: dict[str, Any]) -> dict[str, Any]:
        if args.get("usergroup") not in self.space.groups:
            raise SlackError("no_such_subteam")
        return {"users": self.space.group_members(args["usergroup"])}

    # --- Reading ----------------------------------------------------------------------------------------------------

    def conversations_history(self, args: dict[str, Any]) -> dict[str, Any]:
        return self.space.history(self.channel(args), args, self.page_max)

    def conversations_replies(self, args: dict[str, Any]) -> dict[str, Any]:
        return self.space.replies(self.channel(args), args, self.page_max)

    def chat_getPermalink(self, args: dict[str, Any]) -> dict[str, Any]:  # noqa: N802  # Slack's name
        channel, message = self._own(args, anybody=True)
        link = f"https://fake.slack.com/archives/{channel.id}/p{message['ts'].replace('.', '')}"
        return {"channel": channel.id, "permalink": link}

    # --- Writing ----------------------------------------------------------------------------------------------------

    def content(self, args: dict[str, Any], text_max: int, *, needed: bool = True) -> dict[str, Any]:
        """Text, blocks and attachments, checked, with the ids that Slack gives to what has none."""
        text, found = str(args.get("text") or ""), {}
        for name in ("blocks", "attachments"):
            if args.get(name) is None:
                continue
            found[name] = copy.deepcopy(args[name])
            if not isinstance(found[name], list):
                raise SlackError(f"invalid_{name}_format")
        nested = [a.get("blocks") or [] for a in found.get("attachments", ()) if isinstance(a, dict)]
        for some in [found.get("blocks", []), *nested]:
            if not some:
                continue
            if problems := kit.message_problems(some):
                raise SlackError("invalid_blocks", errors=problems, response_metadata={"messages": problems})
            if kit.too_long(some):
                raise SlackError("msg_blocks_too_long")
            self._identify(some)
        if len(text) > text_max:
            raise SlackError("msg_too_long")
        if needed and not text and not found.get("blocks") and not found.get("attachments"):
            raise SlackError("no_text")
        return {"text": text, **found}

    def _identify(self, blocks: list[dict[str, Any]]) -> None:
        for block in blocks:
            block.setdefault("block_id", self.space.id("b"))
            elements = [block.get("accessory"), block.get("element"), *block.get("elements", ())]
            for element in elements if block["type"] in {"actions", "section", "input"} else ():
                if element is not None:
                    element.setdefault("action_id", self.space.id("a"))

    def _metadata(self, args: dict[str, Any]) -> dict[str, Any]:
        metadata = args.get("metadata")
        if metadata is None:
            return {}
        if metadata in ({}, ""):
            return {"metadata": None}
        if not isinstance(metadata, dict) or not isinstance(metadata.get("event_payload"), dict):
            raise SlackError("invalid_metadata_format")
        if not isinstance(metadata.get("event_type"), str) or metadata.keys() != {"event_type", "event_payload"}:
            raise SlackError("invalid_metadata_schema")
        if len(json.dumps(metadata).encode()) > METADATA_BYTES_MAX:
            raise SlackError("metadata_too_large")
        return {"metadata": metadata}

    def author(self, args: dict[str, Any]) -> dict[str, Any]:
        """Under a name of its own, a message is a `bot_message` and has no user."""
        common = {"bot_id": self.bot_id, "app_id": self.app_id}
        if not args.get("username") and not args.get("icon_emoji") and not args.get("icon_url"):
            return common | {"user": self.space.bot, "bot_profile": {"id": self.bot_id, "name": "signoff"}}
        if "chat:write.customize" not in self.scopes.split(","):
            raise SlackError("missing_scope", needed="chat:write.customize", provided=self.scopes)
        icons = {"emoji": args["icon_emoji"]} if args.get("icon_emoji") else {}
        return common | {"subtype": "bot_message", "username": str(args.get("username") or "signoff"), "icons": icons}

    def _thread(self, channel: Channel, args: dict[str, Any]) -> dict[str, Any]:
        thread = str(args.get("thread_ts") or "")
        if not thread:
            return {}
        root = channel.messages.get(thread)
        if root is None:
            raise SlackError("thread_not_found")
        return {"thread_ts": root.get("thread_ts", thread)}

    def chat_postMessage(self, args: dict[str, Any]) -> dict[str, Any]:  # noqa: N802  # Slack's name
        channel = self.channel(args)
        content = self.content(args, POST_TEXT_MAX)
        message = {**content, **self.author(args), **self._thread(channel, args), **self._metadata(args)}
        return self.publish("chat.postMessage", channel, {k: v for k, v in message.items() if v is not None}, args)

    def publish(self, method: str, channel: Channel, message: dict[str, Any], args: dict[str, Any]) -> dict[str, Any]:
        """Post it, note it, and let it be heard, the bot included."""
        kept = self.space.post(channel, message)
        self.applied(method, channel, kept, args)
        self.tell(self.message_event(channel, kept))
        return {"channel": channel.id, "ts": kept["ts"], "message": copy.deepcopy(kept)}

    def applied(self, method: str, channel: Channel, message: dict[str, Any], args: dict[str, Any]) -> None:
        whom = kit.pings(message, names=truth(args.get("link_names")) or args.get("parse") == "full")
        about = {"channel": channel.id, "ts": message["ts"], "message": f"{channel.id}:{message['ts']}"}
        more = {"thread": message.get("thread_ts", ""), "text": kit.readable(message, self.space.names())}
        payload = (message.get("metadata") or {}).get("event_payload", {})
        self.journal.note("applied", method, **about, **more, metadata=payload, pinged=bool(whom), pings=whom)

    def message_event(self, channel: Channel, message: dict[str, Any], **more: Any) -> dict[str, Any]:
        """As it is told: without metadata, which is another subscription."""
        told = {k: v for k, v in copy.deepcopy(message).items() if k not in {"metadata", "reply_count", "reply_users"}}
        root = channel.messages.get(message.get("thread_ts", ""))
        if root is not None and root is not message and "user" in root:
            told["parent_user_id"] = root["user"]
        return told | {"channel": channel.id, "channel_type": channel.kind, "event_ts": message["ts"]} | more

    def change_event(self, channel: Channel, message: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
        """message_changed, the old and the new in it."""
        ts = self.space.ts()
        both = {"message": copy.deepcopy(message), "previous_message": before}
        where = {"channel": channel.id, "channel_type": channel.kind, "hidden": True, "ts": ts, "event_ts": ts}
        for each in both.values():
            each.pop("metadata", None)
        return {"type": "message", "subtype": "message_changed", **both, **where}

    def deleted_event(self, channel: Channel, before: dict[str, Any]) -> dict[str, Any]:
        ts = self.space.ts()
        where = {"channel": channel.id, "channel_type": channel.kind, "hidden": True, "ts": ts, "event_ts": ts}
        gone = {"deleted_ts": before["ts"], "previous_message": before}
        return {"type": "message", "subtype": "message_deleted", **gone, **where}

    def chat_postEphemeral(self, args: dict[str, Any]) -> dict[str, Any]:  # noqa: N802  # Slack's name
        channel = self.channel(args)
        if args.get("user") not in channel.members:
            raise SlackError("user_not_in_channel")
        content = self.content(args, POST_TEXT_MAX)
        message = {**content, **self.author(args), **self._thread(channel, args), "only_for": args["user"]}
        return {"message_ts": self.whisper("chat.postEphemeral", channel, message, args)["ts"]}

    def whisper(self, method: str, channel: Channel, message: dict[str, Any], args: dict[str, Any]) -> dict[str, Any]:
        """For one reader, and in nobody's history."""
        message = {"type": "message", **message, "ts": self.space.ts()}
        self.space.ephemerals[f"{channel.id}:{message['ts']}"] = message
        self.applied(method, channel, message, args)
        return message

    def _own(self, args: dict[str, Any], *, anybody: bool = False) -> tuple[Channel, dict[str, Any]]:
        channel = self.channel(args)
        message = channel.messages.get(str(args.get("ts") or args.get("message_ts") or args.get("timestamp")))
        if message is None or message.get("subtype") == "tombstone":
            raise SlackError("message_not_found")
        if not anybody and not self.is_ours(message):
            raise SlackError("cant_update_message")
        return channel, message

    def is_ours(self, message: dict[str, Any]) -> bool:
        return message.get("bot_id") == self.bot_id or message.get("user") == self.space.bot

    def chat_update(self, args: dict[str, Any]) -> dict[str, Any]:
        channel, message = self._own(args)
        content = self.content(args, UPDATE_TEXT_MAX)
        if "text" in args and "blocks" not in args:
            content["blocks"] = None  # text alone replaces what blocks there were
        if not args.get("text"):
            content.pop("text")
        self.replace("chat.update", channel, message, content | self._metadata(args), args)
        return {"channel": channel.id, "ts": message["ts"], "text": message["text"], "message": copy.deepcopy(message)}

    def replace(
        self, method: str, channel: Channel, message: dict[str, Any], content: dict[str, Any], args: dict[str, Any]
    ) -> None:
        """Edit it, note it, tell it."""
        content = {name: value if value != [] else None for name, value in content.items()}
        before = self.space.change(channel, message, content)
        self.applied(method, channel, message, args)
        self.tell(self.change_event(channel, message, before))

    def chat_delete(self, args: dict[str, Any]) -> dict[str, Any]:
        channel, message = self._own(args)
        self.remove(channel, message)
        self.journal.note("applied", "chat.delete", channel=channel.id, ts=message["ts"])
        return {"channel": channel.id, "ts": message["ts"]}

    def remove(self, channel: Channel, message: dict[str, Any]) -> None:
        before = {k: v for k, v in copy.deepcopy(message).items() if k != "metadata"}
        if self.space.delete(channel, message):
            self.tell(self.deleted_event(channel, before))
        else:
            self.tell(self.change_event(channel, message, before))

    def reactions_add(self, args: dict[str, Any]) -> dict[str, Any]:
        channel, message = self._own(args, anybody=True)
        found = message.setdefault("reactions", [])
        mine = next((r for r in found if r["name"] == args.get("name")), None)
        if mine is not None and self.space.bot in mine["users"]:
            raise SlackError("already_reacted")
        found.append({"name": args.get("name"), "users": [self.space.bot], "count": 1})
        self.journal.note("applied", "reactions.add", channel=channel.id, ts=message["ts"], name=args.get("name"))
        return {}

    def assistant_threads_setStatus(self, args: dict[str, Any]) -> dict[str, Any]:  # noqa: N802  # Slack's name
        self.channel({"channel": args.get("channel_id")})
        self.journal.note("applied", "assistant.threads.setStatus", **args)
        return {}

    # --- Modals -----------------------------------------------------------------------------------------------------

    def trigger(self) -> str:
        made = self.space.id("trigger.")
        self.triggers[made] = float("-inf") if self.is_late else time.monotonic()
        return made

    def _view(self, args: dict[str, Any]) -> dict[str, Any]:
        view = args.get("view")
        if problems := kit.view_problems(view):
            raise SlackError("invalid_arguments", response_metadata={"messages": problems})
        view = copy.deepcopy(view)
        self._identify(view["blocks"])
        return view

    def views_open(self, args: dict[str, Any]) -> dict[str, Any]:
        trigger = str(args.get("trigger_id") or "")
        if trigger not in self.triggers:
            raise SlackError("invalid_trigger_id")
        if time.monotonic() - self.triggers[trigger] > TRIGGER_SECONDS:
            raise SlackError("expired_trigger_id")
        if trigger in self.exchanged:
            raise SlackError("exchanged_trigger_id")
        name = self.space.id("V")
        defaults = {"private_metadata": "", "callback_id": "", "close": None, "submit": None}
        about = {"id": name, "team_id": self.space.team, "app_id": self.app_id, "bot_id": self.bot_id}
        self.views[name] = defaults | self._view(args) | about | {"hash": self.space.id("h"), "root_view_id": name}
        self.views[name] |= {"state": {"values": {}}, "previous_view_id": None}
        self.exchanged.add(trigger)
        self.opened[trigger] = name
        self.journal.note("applied", "views.open", view=name, trigger_id=trigger, title=args["view"]["title"]["text"])
        return {"view": copy.deepcopy(self.views[name])}

    def views_update(self, args: dict[str, Any]) -> dict[str, Any]:
        name = str(args.get("view_id") or "")
        if name not in self.views:
            raise SlackError("not_found")
        if args.get("hash") and args["hash"] != self.views[name]["hash"]:
            raise SlackError("hash_conflict")
        self.views[name] |= self._view(args) | {"hash": self.space.id("h")}
        self.journal.note("applied", "views.update", view=name)
        return {"view": copy.deepcopy(self.views[name])}

    # --- Files ------------------------------------------------------------------------------------------------------

    def files_getUploadURLExternal(self, args: dict[str, Any]) -> dict[str, Any]:  # noqa: N802  # Slack's name
        name, length = str(args.get("filename") or ""), str(args.get("length") or "")
        if not name or not length.isdecimal() or int(length) == 0:
            raise SlackError("invalid_arguments")
        made = File(id=self.space.id("F"), name=name, title=name, media="", user=self.space.bot, length=int(length))
        self.space.files[made.id] = made
        return {"upload_url": f"{self.base}/upload/v1/{made.id}", "file_id": made.id}

    def files_completeUploadExternal(self, args: dict[str, Any]) -> dict[str, Any]:  # noqa: N802  # Slack's name
        asked = args.get("files")
        files = [self.space.files.get(str(f.get("id"))) for f in asked] if isinstance(asked, list) else []
        if not files or any(f is None or not f.content for f in files):
            raise SlackError("file_not_found")
        for file, wanted in zip(files, asked, strict=True):
            file.title, file.completed = str(wanted.get("title") or file.name), True
        if args.get("channel_id"):
            channel = self.channel({"channel": args["channel_id"]})
            shown = [self.file(f) for f in files]
            text = str(args.get("initial_comment") or "")
            message = {"text": text, "files": shown, "user": self.space.bot, **self._thread(channel, args)}
            answer = self.publish("files.completeUploadExternal", channel, message, args)
            for file in files:
                file.shares.setdefault(channel.id, []).append(answer["ts"])
        return {"files": [{"id": f.id, "title": f.title} for f in files]}

    def files_info(self, args: dict[str, Any]) -> dict[str, Any]:
        file = self.space.files.get(str(args.get("file")))
        if file is None or not file.completed:
            raise SlackError("file_not_found")
        shares: dict[str, dict[str, Any]] = {}
        for name, stamps in file.shares.items():
            channel = self.space.channels[name]
            side = "public" if channel.kind == "channel" else "private"
            kept = [channel.messages[ts] for ts in stamps if ts in channel.messages]
            told = [{"ts": m["ts"], **({"thread_ts": m["thread_ts"]} if "thread_ts" in m else {})} for m in kept]
            shares.setdefault(side, {})[name] = told
        return {"file": self.file(file) | {"shares": shares}}

    def file(self, file: File) -> dict[str, Any]:
        """As messages carry it."""
        safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in file.name).lower()
        link = f"{self.base}/files-pri/{self.space.team}-{file.id}/{safe}"
        about = {"id": file.id, "name": file.name, "title": file.title, "mimetype": file.media, "user": file.user}
        kind = {"filetype": file.name.rpartition(".")[2], "mode": "hosted", "is_external": False}
        access = {"url_private": link, "url_private_download": f"{link}?download=1", "file_access": "visible"}
        return about | kind | access | {"size": len(file.content), "created": 1_700_000_000}
