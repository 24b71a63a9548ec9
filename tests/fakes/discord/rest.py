"""REST v10: every request is journalled, meets its fault if one is planned, keeps to the rate limits, and is answered.

Method names, for faults and the journal: gateway.bot, users.me, users.get, users.guilds, users.dm, applications.me,
guilds.get, guilds.channels, guilds.roles, guilds.member, guilds.threads, channels.get, channels.change,
messages.create, messages.edit, messages.delete, messages.get, messages.history, reactions, typing, threads.create,
threads.join, threads.archived, commands.list, commands.overwrite, commands.create, interactions.callback,
webhooks.followup, webhooks.get, webhooks.edit, webhooks.delete, attachments.get, unknown.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from tests.fakes.discord.gateway import MESSAGE_CONTENT, Gateway, application_flags, blind
from tests.fakes.discord.http import answer_json, limited, read
from tests.fakes.discord.interactions import Interactions
from tests.fakes.discord.limits import HAS_THREAD, command_errors
from tests.fakes.discord.world import DM, Channel, File, Message, World
from tests.fakes.discord.writing import UNKNOWN_CHANNEL, UNKNOWN_MESSAGE, Refused, Said, Writing, form_error
from tests.fakes.service import Fault, Faults, Journal

NONCE_S: Final = 180.0
EARLY_S: Final = 0.02  # timers are not exact: a retry this much too soon is on time
OPEN: Final = frozenset({"interactions.callback", "attachments.get"})  # no bot token needed
MALFORMED: Final = frozenset({50035, 50006, 40005})  # what a careful bot never sends
Answer = tuple[int, Any]


@dataclass(slots=True, kw_only=True)
class Call:
    """One request, read."""

    ids: dict[str, str]
    query: dict[str, str]
    said: Said = field(default_factory=Said)

    @property
    def body(self) -> dict[str, Any]:
        return self.said.body


Handler = Callable[[Call], Answer]


class Rest:
    """The routes of one bot's API."""

    def __init__(self, world: World, gateway: Gateway, journal: Journal, faults: Faults) -> None:
        self.world = world
        self.gateway = gateway
        self.journal = journal
        self.faults = faults
        self.writing = Writing(world, gateway, journal)
        self.interactions = Interactions(world, gateway, self.writing, journal)
        self.rate = (1000, 1.0)  # requests a route and channel, in seconds
        self.gateway_url = ""
        self.blocked: set[str] = set()  # people who do not take messages of the bot's
        self._closed_until: dict[str, float] = {}
        self._windows: dict[str, tuple[float, int]] = {}
        self._nonces: dict[str, tuple[float, str]] = {}

    def routes(self, base: str) -> list[web.RouteDef]:
        c, m, g, w = "/channels/{c}", "/channels/{c}/messages", "/guilds/{g}", "/webhooks/{a}/{t}"
        table: list[tuple[str, str, str, Handler]] = [
            ("GET", "/gateway/bot", "gateway.bot", self.gateway_bot),
            ("GET", "/gateway", "gateway.bot", self.gateway_bot),
            ("GET", "/users/@me", "users.me", self.me),
            ("GET", "/users/@me/guilds", "users.guilds", self.my_guilds),
            ("POST", "/users/@me/channels", "users.dm", self.direct),
            ("GET", "/users/{u}", "users.get", self.user),
            ("GET", "/applications/@me", "applications.me", self.application),
            ("GET", "/oauth2/applications/@me", "applications.me", self.application),
            ("GET", g, "guilds.get", self.guild),
            ("GET", g + "/channels", "guilds.channels", self.guild_channels),
            ("GET", g + "/roles", "guilds.roles", self.roles),
            ("GET", g + "/members/{u}", "guilds.member", self.member),
            ("GET", g + "/threads/active", "guilds.threads", self.active),
            ("GET", c, "channels.get", self.channel),
            ("PATCH", c, "channels.change", self.change_channel),
            ("POST", m, "messages.create", self.create),
            ("GET", m, "messages.history", self.history),
            ("GET", m + "/{m}", "messages.get", self.get),
            ("PATCH", m + "/{m}", "messages.edit", self.edit),
            ("DELETE", m + "/{m}", "messages.delete", self.delete),
            ("PUT", m + "/{m}/reactions/{e}/@me", "reactions", self.react),
            ("DELETE", m + "/{m}/reactions/{e}/@me", "reactions", self.react),
            ("POST", c + "/typing", "typing", self.typing),
            ("POST", m + "/{m}/threads", "threads.create", self.create_thread),
            ("POST", c + "/threads", "threads.create", self.create_thread),
            ("PUT", c + "/thread-members/@me", "threads.join", self.join),
            ("GET", c + "/threads/archived/public", "threads.archived", self.archived),
            ("POST", "/interactions/{i}/{t}/callback", "interactions.callback", self.callback),
            ("POST", w, "webhooks.followup", self.follow),
            ("GET", w + "/messages/{m}", "webhooks.get", self.followed),
            ("PATCH", w + "/messages/{m}", "webhooks.edit", self.edit_followed),
            ("DELETE", w + "/messages/{m}", "webhooks.delete", self.delete_followed),
        ]
        for scope in ("/applications/{a}", "/applications/{a}/guilds/{g}"):
            table += [
                ("GET", scope + "/commands", "commands.list", self.list_commands),
                ("PUT", scope + "/commands", "commands.overwrite", self.overwrite),
                ("POST", scope + "/commands", "commands.create", self.create_command),
            ]
        found = [web.route(verb, base + path, self._answering(name, run)) for verb, path, name, run in table]
        found.append(web.get("/attachments/{c}/{f}/{name:.*}", self._answering("attachments.get", self.attachment)))
        found.append(web.route("*", base + "/{path:.*}", self._answering("unknown", self.unknown)))
        return found

    # --- Every request ----------------------------------------------------------------------------------------------

    def _answering(self, name: str, run: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            fault = self.faults.take(name)
            if fault is not None and fault.seconds:
                await asyncio.sleep(fault.seconds)
            if fault is not None and fault.hook is not None and not fault.applied:
                await fault.hook()  # before the body is read: the bot may be in the middle of writing it
            ids = dict(request.match_info)
            call = Call(ids=ids, query=dict(request.query))
            try:
                call.said = await read(request)
            except Refused as refused:
                self.journal.note("request", name, path=request.path, body={}, met=fault is not None)
                return answer_json(refused.status, refused.body)
            self.journal.note("request", name, path=request.path, body=call.body, met=fault is not None)
            token_needed = name not in OPEN and not name.startswith("webhooks.")
            if token_needed and request.headers.get("Authorization") != f"Bot {self.gateway.token}":
                return answer_json(401, {"message": "401: Unauthorized", "code": 0})
            key = f"{name}:{ids.get('c') or ids.get('g') or ids.get('t') or ''}"
            early = self._early(key)
            if early is not None:
                self.journal.note("fault", name, how="early", seconds=early[0])
                return limited(*early)
            failing = fault is not None and fault.how in {"status", "cut", "garbage"}
            reply = self._run(run, call, key) if fault is None or fault.applied or not failing else None
            if fault is not None and fault.hook is not None and fault.applied:
                await fault.hook()
            if fault is not None and (failing or reply is None):
                return self._fail(fault, name, key, request)
            assert reply is not None
            return reply

        return answer

    def _run(self, run: Handler, call: Call, key: str) -> web.Response:
        try:
            status, payload = run(call)
        except Refused as refused:
            status, payload = refused.status, refused.body
            if payload["code"] in MALFORMED:
                self.journal.note("refused", key.partition(":")[0], **payload)
        except Exception as error:  # a request that Discord would have refused, and we do not know how
            self.journal.note("broken", key, error=repr(error))
            raise
        if isinstance(payload, File):
            return web.Response(body=payload.content, headers={"Content-Type": payload.media})
        limit, seconds = self.rate
        began, used = self._windows.get(key, (0.0, 0))
        reset = max(began + seconds - asyncio.get_running_loop().time(), 0.001)
        headers = {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(max(limit - used, 0)),
            "X-RateLimit-Reset-After": f"{reset:.3f}",
            "X-RateLimit-Reset": f"{reset:.3f}",
            "X-RateLimit-Bucket": key.partition(":")[0],
        }
        return answer_json(status, payload, headers)

    def _early(self, key: str) -> tuple[float, bool] | None:
        """How long this request should have waited, and whether everything must."""
        now = asyncio.get_running_loop().time()
        for scope in ("", key):
            left = self._closed_until.get(scope, 0.0) - now
            if left > EARLY_S and not (scope == "" and key.startswith(("interactions.", "attachments."))):
                return left, scope == ""
        limit, seconds = self.rate
        began, used = self._windows.get(key, (0.0, 0))
        if now >= began + seconds:
            began, used = now, 0
        if used >= limit:
            return began + seconds - now, False
        self._windows[key] = (began, used + 1)
        return None

    def _fail(self, fault: Fault, name: str, key: str, request: web.Request) -> web.StreamResponse:
        self.journal.note("fault", name, how=fault.how, status=fault.status, applied=fault.applied)
        if fault.how == "cut":
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        if fault.how == "garbage":
            return web.Response(body=b'{"id": "1', content_type="application/json")
        if fault.status == 429:
            scope = "" if fault.everywhere else key
            self._closed_until[scope] = asyncio.get_running_loop().time() + fault.retry_after
            return limited(fault.retry_after, fault.everywhere)
        return answer_json(fault.status, {"message": f"{fault.status}: Planned", "code": 0})

    # --- Looking ----------------------------------------------------------------------------------------------------

    def _channel(self, channel: str) -> Channel:
        some = self.world.channels.get(channel)
        if some is None:
            raise Refused(*UNKNOWN_CHANNEL)
        if self.world.is_hidden(some):
            raise Refused(403, 50001, "Missing Access")
        return some

    def _message(self, call: Call) -> Message:
        channel = self._channel(call.ids["c"])
        some = self.world.messages.get(call.ids["m"])
        if some is None or some.native["channel_id"] != channel.id or some.only_for:
            raise Refused(*UNKNOWN_MESSAGE)
        return some

    def _guild(self, call: Call) -> str:
        some = self.world.guilds.get(call.ids["g"])
        if some is None or not some.joined:
            raise Refused(*((404, 10004, "Unknown Guild") if some is None else (403, 50001, "Missing Access")))
        return some.id

    def _seen(self, message: Message) -> dict[str, Any]:
        whole = self.gateway.allowed & MESSAGE_CONTENT or self.world.channels[message.native["channel_id"]].kind == DM
        return message.native if whole else blind(message.native, self.world.bot.id)

    def gateway_bot(self, _: Call) -> Answer:
        limits = {"total": 1000, "remaining": 999, "reset_after": 1, "max_concurrency": 1}
        return 200, {"url": self.gateway_url, "shards": 1, "session_start_limit": limits}

    def me(self, _: Call) -> Answer:
        return 200, self.world.user(self.world.bot.id) | {"verified": True, "mfa_enabled": True, "email": None}

    def my_guilds(self, _: Call) -> Answer:
        joined = [guild for guild in self.world.guilds.values() if guild.joined]
        rights = [str(self.world.permissions(self.world.bot.id, guild.id)) for guild in joined]
        return 200, [
            {"id": some.id, "name": some.name, "icon": None, "owner": False, "permissions": may, "features": []}
            for some, may in zip(joined, rights, strict=True)
        ]

    def user(self, call: Call) -> Answer:
        if call.ids["u"] not in self.world.people:
            raise Refused(404, 10013, "Unknown User")
        return 200, self.world.user(call.ids["u"])

    def application(self, _: Call) -> Answer:
        bot = self.world.bot
        owner = next(iter(self.world.guilds.values())).owner
        return 200, {
            "id": bot.id,
            "name": bot.name,
            "icon": None,
            "description": "",
            "summary": "",
            "bot_public": True,
            "bot_require_code_grant": False,
            "verify_key": "00",
            "flags": application_flags(self.gateway.allowed),
            "owner": self.world.user(owner),
            "bot": self.world.user(bot.id),
            "team": None,
            "approximate_guild_count": len(self.world.guilds),
            "interactions_endpoint_url": None,
        }

    def guild(self, call: Call) -> Answer:
        return 200, self.world.guild(self._guild(call))

    def guild_channels(self, call: Call) -> Answer:
        guild = self._guild(call)
        every = [some for some in self.world.channels.values() if some.guild == guild and not some.is_thread]
        return 200, [self.world.channel(some.id) for some in every if not some.hidden]

    def roles(self, call: Call) -> Answer:
        guild = self._guild(call)
        return 200, [self.world.role(guild, role) for role in self.world.guilds[guild].roles]

    def member(self, call: Call) -> Answer:
        guild, who = self._guild(call), call.ids["u"].replace("@me", self.world.bot.id)
        if who not in self.world.people:
            raise Refused(404, 10007, "Unknown Member")
        return 200, self.world.member(who, guild) | {"user": self.world.user(who)}

    def active(self, call: Call) -> Answer:
        threads = [self.world.channel(some.id) for some in self.world.threads(self._guild(call))]
        for some in threads:
            some.pop("member", None)
        members = [
            {"id": t["id"], "user_id": self.world.bot.id, "join_timestamp": "2024-01-02T03:04:05+00:00", "flags": 1}
            for t in threads
        ]
        return 200, {"threads": threads, "members": members}

    def archived(self, call: Call) -> Answer:
        parent = self._channel(call.ids["c"])
        every = [some for some in self.world.channels.values() if some.parent == parent.id and some.archived]
        return 200, {"threads": [self.world.channel(some.id) for some in every], "members": [], "has_more": False}

    def channel(self, call: Call) -> Answer:
        return 200, self.world.channel(self._channel(call.ids["c"]).id)

    def get(self, call: Call) -> Answer:
        return 200, self._seen(self._message(call))

    def history(self, call: Call) -> Answer:
        channel, query = self._channel(call.ids["c"]), call.query
        try:
            limit = int(query.get("limit", "50"))
            ends = [str(int(query[name])) if query.get(name) else "" for name in ("before", "after", "around")]
        except ValueError:
            raise form_error({"limit": "Value is not int."}) from None
        if not 1 <= limit <= 100:
            raise form_error({"limit": "int value should be between 1 and 100."})
        return 200, [self._seen(some) for some in self.world.history(channel, limit, *ends)]

    def attachment(self, call: Call) -> Answer:
        for message in self.world.messages.values():
            if call.ids["f"] in message.files and message.native["channel_id"] == call.ids["c"]:
                return 200, message.files[call.ids["f"]]
        return 404, {"message": "This content is no longer available."}

    def unknown(self, _: Call) -> Answer:
        return 404, {"message": "404: Not Found", "code": 0}

    # --- Doing ------------------------------------------------------------------------------------------------------

    def direct(self, call: Call) -> Answer:
        who = str(call.body.get("recipient_id"))
        if who not in self.world.people or who == self.world.bot.id:
            raise Refused(400, 50033, "Invalid Recipient(s)")
        return 200, self.world.channel(self.world.open_direct(who).id)

    def create(self, call: Call) -> Answer:
        channel, body = self._channel(call.ids["c"]), call.body
        if channel.kind == DM and channel.recipient in self.blocked:
            raise Refused(403, 50007, "Cannot send messages to this user")
        nonce, now = str(body.get("nonce") or ""), asyncio.get_running_loop().time()
        if nonce and body.get("enforce_nonce"):
            made, message_id = self._nonces.get(nonce, (-math.inf, ""))
            first = self.world.messages.get(message_id)
            if first is not None and now - made < NONCE_S:
                self.journal.note("repeated", "messages.create", id=first.id, nonce=nonce)
                return 200, first.native | {"nonce": nonce}
        message = self.writing.create("messages.create", channel, call.said)
        if nonce:
            self._nonces[nonce] = (now, message.id)
        channel.archived = False
        return 200, message.native | ({"nonce": nonce} if nonce else {})

    def edit(self, call: Call) -> Answer:
        message = self._message(call)
        if message.native["author"]["id"] != self.world.bot.id:
            raise Refused(403, 50005, "Cannot edit a message authored by another user")
        if self.world.channels[message.native["channel_id"]].archived:
            raise Refused(400, 50083, "Thread is archived")
        self.writing.change("messages.edit", message, call.said)
        return 200, message.native

    def delete(self, call: Call) -> Answer:
        message = self._message(call)
        if message.native["author"]["id"] != self.world.bot.id:
            raise Refused(403, 50013, "Missing Permissions")
        self.writing.remove("messages.delete", message)
        return 204, None

    def react(self, call: Call) -> Answer:
        self.journal.note("applied", "reactions", id=self._message(call).id, emoji=call.ids["e"])
        return 204, None

    def typing(self, call: Call) -> Answer:
        place = self._channel(call.ids["c"]).place
        self.journal.note("applied", "typing", channel=place.channel, thread=place.thread)
        return 204, None

    def create_thread(self, call: Call) -> Answer:
        channel, name = self._channel(call.ids["c"]), call.body.get("name")
        if channel.kind == DM or channel.is_thread:
            raise Refused(400, 50024, "Cannot execute action on this channel type")
        source = self._message(call) if "m" in call.ids else None
        if source is not None and source.native["flags"] & HAS_THREAD:
            raise Refused(400, 160004, "A thread has already been created for this message")
        if not isinstance(name, str) or not name.strip() or len(name) > 100:
            raise form_error({"name": "Must be between 1 and 100 in length."})
        if call.body.get("auto_archive_duration") not in {None, 60, 1440, 4320, 10080}:
            raise form_error({"auto_archive_duration": "Value must be one of (60, 1440, 4320, 10080)."})
        thread = self.start_thread(channel, name, self.world.bot.id, source)
        self.journal.note("applied", "threads.create", id=thread.id, channel=channel.id, name=name)
        return 201, self.world.channel(thread.id)

    def start_thread(self, channel: Channel, name: str, owner: str, source: Message | None) -> Channel:
        """And tell of it as Discord does: the source changes too, and the thread begins with a message of its own."""
        thread = self.world.open_thread(channel, name, owner, source.id if source else "")
        self.gateway.dispatch("THREAD_CREATE", self.world.channel(thread.id) | {"newly_created": True})
        if source is not None:
            self.gateway.dispatch("MESSAGE_UPDATE", self.world.event(source))
            self.gateway.dispatch("MESSAGE_CREATE", self.world.event(self.world.messages[thread.messages[0]]))
        return thread

    def change_channel(self, call: Call) -> Answer:
        channel = self._channel(call.ids["c"])
        channel.archived = bool(call.body.get("archived", channel.archived))
        channel.name = call.body.get("name", channel.name)
        return 200, self.world.channel(channel.id)

    def join(self, call: Call) -> Answer:
        self._channel(call.ids["c"])
        return 204, None

    def list_commands(self, call: Call) -> Answer:
        return 200, self.world.commands.get(call.ids.get("g", ""), [])

    def overwrite(self, call: Call) -> Answer:
        wanted = call.body.get("", [])
        errors = command_errors(wanted)
        if errors:
            raise form_error(errors)
        guild = call.ids.get("g", "")
        known = {some["name"]: some["id"] for some in self.world.commands.get(guild, [])}
        rest = {
            "application_id": self.world.bot.id,
            "default_member_permissions": None,
            "version": self.world.snowflake(),
        }
        defaults = {"type": 1, "options": [], "description": "", "nsfw": False}
        self.world.commands[guild] = [
            defaults | some | rest | {"id": known.get(some["name"]) or self.world.snowflake()} for some in wanted
        ]
        self.journal.note("applied", "commands.overwrite", names=tuple(some["name"] for some in wanted), guild=guild)
        return 200, self.world.commands[guild]

    def create_command(self, call: Call) -> Answer:
        others = [
            some for some in self.world.commands.get(call.ids.get("g", ""), []) if some["name"] != call.body["name"]
        ]
        call.said = Said(body={"": [*others, call.body]})
        status, every = self.overwrite(call)
        return status, every[-1]

    def callback(self, call: Call) -> Answer:
        made = self.interactions.callback(call.ids["i"], call.ids["t"], call.said)
        return (200, made) if call.query.get("with_response") in {"1", "true"} else (204, None)

    def follow(self, call: Call) -> Answer:
        return 200, self.interactions.follow(call.ids["t"], call.said).native

    def followed(self, call: Call) -> Answer:
        return 200, self.interactions.find(call.ids["t"], call.ids["m"]).native

    def edit_followed(self, call: Call) -> Answer:
        message = self.interactions.find(call.ids["t"], call.ids["m"])
        self.writing.change("webhooks.edit", message, call.said)
        return 200, message.native

    def delete_followed(self, call: Call) -> Answer:
        self.writing.remove("webhooks.delete", self.interactions.find(call.ids["t"], call.ids["m"]))
        return 204, None
