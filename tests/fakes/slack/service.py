"""Slack, for tests: people who act, a screen, and everything an app may ask of Slack, on one port of this machine.

Law of this file: people act as Slack's clients let them. A custom slash command is not possible in a thread, a shared
message has no buttons, a form is not submitted without what it requires; what happened is told to the bot exactly once
by people, and as often as Slack likes by Slack.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal
from urllib.parse import urlsplit

from tests.fakes.service import Place, Pressed, Service, Shown, Someone
from tests.fakes.slack import blocks as kit
from tests.fakes.slack import forms
from tests.fakes.slack.server import Server
from tests.fakes.slack.sockets import Deliveries, Link, Parcel
from tests.fakes.slack.web import Web
from tests.fakes.slack.workspace import Channel, File, Workspace

BOT = "U0SIGNOFF"
INFRA = "S0INFRA"


class SlackService(Service):
    """One workspace. `http`: it sends signed requests to this URL, and there is no Socket Mode."""

    name = "slack"
    owner = Someone(id="U0OWNER", name="Olive Owner", roles=("admin",))
    second = Someone(id="U0ANA", name="Ana Second", roles=(f"group:{INFRA}",))
    stranger = Someone(id="U0NOBODY", name="Stranger")
    other_bot = Someone(id="U0OTHERBOT", name="Other Bot", is_bot=True)
    home = Place(channel="C0HOME")
    secret_home = Place(channel="G0SECRET")  # a private channel with the same people
    text_max = 3_000  # a section's: what the least of all messages holds

    def __init__(self, *, team: str = "T0FAKE", http: str = "") -> None:
        super().__init__()
        self.space = Workspace(team, BOT)
        self.api = Web(self.space, self.journal, self.tell)
        self.deliveries = Deliveries(self.journal, self.faults, self.api.app_id, self.space.id)
        self.server = Server(self.api, self.deliveries, self.journal, self.faults)
        self.server.bot_token, self.server.app_token = f"xoxb-{team}-fake", f"xapp-1-{team}-fake"
        self.deliveries.http_url, self.deliveries.signing_secret = http, "8f742231b10e8888abcd99yyyzzz85a5"
        self._last: list[dict[str, Any]] = []  # the events of people's last act
        self._phantom: Link | None = None
        self._held: list[dict[str, Any]] | None = None  # what is not told yet
        self._drawn: dict[str, tuple[int, Shown]] = {}
        bot = Someone(id=BOT, name="signoff", is_bot=True)
        for someone in (self.owner, self.second, self.stranger, self.other_bot, bot):
            self.space.people[someone.id] = someone
        self.space.groups[INFRA] = "infra"
        for place, kind in ((self.home, "channel"), (self.secret_home, "group")):
            everybody = set(self.space.people)
            self.space.channels[place.channel] = Channel(
                id=place.channel, name=place.channel[2:].lower(), kind=kind, members=everybody
            )

    # --- Life -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        await self.server.start()

    async def stop(self) -> None:
        await self.deliveries.stop()
        await self.server.stop()

    def environ(self) -> dict[str, str]:
        common = {"SLACK_BOT_TOKEN": self.server.bot_token, "SIGNOFF_SLACK_API_URL": f"{self.api.base}/api/"}
        if self.deliveries.http_url:
            listen = urlsplit(self.deliveries.http_url).netloc
            return common | {"SLACK_SIGNING_SECRET": self.deliveries.signing_secret, "SIGNOFF_SLACK_LISTEN": listen}
        return common | {"SLACK_APP_TOKEN": self.server.app_token}

    async def connected(self) -> None:
        await self.deliveries.live()

    async def disconnect(self, how: Literal["close", "invalid", "silent", "conflict"]) -> None:
        match how:
            case "close":
                self.server.refused = "internal_error"
                self._part("refresh_requested", close=True)
            case "invalid":
                self.server.refused = "internal_error"
                self.deliveries.say(None, close=True)  # without a word of why
                self.server.void_tickets()
            case "silent":
                self.deliveries.silent = True
                self.deliveries.hush()
            case "conflict":
                self._phantom = Link()
                self.deliveries.links.append(self._phantom)

    async def reconnectable(self) -> None:
        self.server.refused = ""
        self.api.is_late = False
        self.deliveries.silent = False
        if self._phantom is not None:
            self.deliveries.ended(self._phantom)
            self._phantom = None

    def refresh(self, *, warning: bool = False) -> None:
        """Slack wants its sockets to be opened anew, which works: soon (they stay open), or now."""
        self._part("warning" if warning else "refresh_requested", close=not warning)

    def _part(self, reason: str, *, close: bool) -> None:
        self.deliveries.say({"type": "disconnect", "reason": reason, "debug_info": {"host": "fake"}}, close=close)

    def deafen(self) -> None:
        """The sockets there are answer pings, and nothing is put on them any more."""
        for link in self.deliveries.links:
            link.deaf = True

    def switch_off(self) -> None:
        """Somebody turned Socket Mode off in the app's settings."""
        self.server.refused = "internal_error"
        self._part("link_disabled", close=True)

    def revoke(self) -> None:
        """From now on the bot's tokens are nobody's."""
        self.server.bot_token, self.server.app_token = "xoxb-revoked", "xapp-revoked"
        self._part("link_disabled", close=True)

    # --- Telling the bot --------------------------------------------------------------------------------------------

    def tell(self, event: dict[str, Any]) -> None:
        """Any event, known or not, if the bot is where it happened."""
        self._send(self._callback(event))

    def _callback(self, event: dict[str, Any]) -> dict[str, Any]:
        team, stamp = self.space.team, int(time.time())
        who = {"enterprise_id": None, "team_id": team, "user_id": BOT, "is_bot": True, "is_enterprise_install": False}
        about = {"token": "fake", "team_id": team, "api_app_id": self.api.app_id, "type": "event_callback"}
        name = {"event_id": self.space.id("Ev"), "event_time": stamp, "event_context": "4-fake"}
        return {**about, "event": event, **name, "authorizations": [who], "is_ext_shared_channel": False}

    def _send(self, callback: dict[str, Any]) -> Parcel | None:
        channel = self.space.channels.get(str(callback["event"].get("channel")))
        if channel is not None and BOT not in channel.members and callback["event"]["type"] == "message":
            return None
        return self.deliveries.send("events_api", callback)

    def _act(self, *events: dict[str, Any]) -> None:
        """What people did. Each event has an id of its own."""
        self._last = [self._callback(event) for event in events]
        for callback in self._last:
            if self._held is None:
                self._send(callback)
            else:
                self._held.append(callback)

    async def swapped(self, first: Callable[[], Awaitable[Any]], second: Callable[[], Awaitable[Any]]) -> None:
        held: list[list[dict[str, Any]]] = []
        for act in (first, second):
            self._held = []
            held.append(self._held)
            await act()
        self._held = None
        for callback in [*held[1], *held[0]]:
            self._send(callback)

    async def odd(self) -> None:
        here = self.home.channel
        self.tell({"type": "aura_changed", "channel": here, "aura": {"of": [None]}})
        self.tell({"type": "message", "channel": here, "subtype": "telepathy", "ts": self.space.ts()})
        self.tell({"type": "message", "channel": here})
        self.tell({"type": "app_mention"})
        self.deliveries.send("interactive", {"type": "seance", "trigger_id": self.api.trigger()})
        self.deliveries.send("interactive", {"type": "block_actions", "actions": [{"type": "pendulum"}]})

    def expire(self) -> None:
        self.api.is_late = True

    def unacknowledged(self) -> int:
        sent = (parcel for link in self.deliveries.links if link.ws for parcel in link.envelopes.values())
        return sum(not parcel.answer.done() for parcel in sent)

    async def redeliver(self, times: int = 1) -> None:
        for i in range(times):
            for callback in self._last:
                self.deliveries.send("events_api", callback, attempt=min(i + 1, 3), reason="timeout")

    # --- People -----------------------------------------------------------------------------------------------------

    def channel(self, name: str) -> Place:
        """One more channel that everybody is in, the bot too."""
        made = Channel(id=f"C{name.upper().replace('-', '')}", name=name, members=set(self.space.people))
        self.space.channels[made.id] = made
        return Place(channel=made.id)

    def direct(self, who: Someone) -> Place:
        return Place(channel=self.space.direct(who.id).id, private=True)

    async def say(
        self,
        who: Someone,
        text: str,
        place: Place,
        *,
        mention: bool = False,
        reply_to: str = "",
        files: tuple[tuple[str, str, bytes], ...] = (),
    ) -> str:
        channel = self.space.channels[place.channel]
        thread = place.thread
        if reply_to:
            answered = self.space.find(reply_to)[1]
            thread = answered.get("thread_ts", answered["ts"])
        written = (f"<@{BOT}> " if mention else "") + kit.escape(text)
        message: dict[str, Any] = {"text": written, "user": who.id}
        if who.is_bot:
            message |= {"subtype": "bot_message", "bot_id": f"B{who.id[1:]}", "username": who.name}
            del message["user"]
        else:
            message |= {"client_msg_id": self.space.id("client-"), "blocks": forms.rich(text, BOT if mention else "")}
            message["blocks"][0]["block_id"] = self.space.id("b")
        if thread:
            message["thread_ts"] = thread
        if files:
            message["files"] = [self.api.file(self._keep(who, channel, *each)) for each in files]
        kept = self.space.post(channel, message)
        for each in kept.get("files", ()):
            self.space.files[each["id"]].shares[channel.id] = [kept["ts"]]
        more = {"subtype": "file_share", "upload": False} if files else {}
        event = self.api.message_event(channel, kept, **more)
        if mention and channel.kind != "im":
            told = {k: v for k, v in event.items() if k not in {"channel_type", "subtype", "upload"}}
            self._act(told | {"type": "app_mention"}, event)
        else:
            self._act(event)
        return f"{channel.id}:{kept['ts']}"

    def _keep(self, who: Someone, channel: Channel, name: str, media: str, content: bytes) -> File:
        made = File(id=self.space.id("F"), name=name, title=name, media=media, user=who.id, content=content)
        made.length, made.completed = len(content), True
        self.space.files[made.id] = made
        return made

    async def edit(self, who: Someone, message: str, text: str) -> None:
        channel, kept = self.space.find(message)
        named = kept["text"].startswith(f"<@{BOT}> ")
        written = (f"<@{BOT}> " if named else "") + kit.escape(text)
        edited = {"user": who.id, "ts": self.space.ts()}
        blocks = forms.rich(text, BOT if named else "")
        before = self.space.change(channel, kept, {"text": written, "edited": edited, "blocks": blocks})
        self._act(self.api.change_event(channel, kept, before))

    async def unfurl(self, message: str) -> None:
        """A link gets its preview: a message_changed that nobody made."""
        channel, kept = self.space.find(message)
        before = self.space.change(channel, kept, {"attachments": [{"id": 1, "fallback": "a page"}]})
        self._act(self.api.change_event(channel, kept, before))

    async def order(self, who: Someone, name: str, arguments: str, place: Place) -> Pressed:
        if place.thread:
            return Pressed(acknowledged=False, note="/signoff is not supported in threads. Sorry!")
        channel = self.space.channels[place.channel]
        trigger = self.api.trigger()
        where = {
            "channel_id": channel.id,
            "channel_name": channel.name or "directmessage",
            "api_app_id": self.api.app_id,
        }
        by = {"user_id": who.id, "user_name": who.name, "team_id": self.space.team, "team_domain": "fake"}
        more = {"token": "fake", "is_enterprise_install": "false", "trigger_id": trigger}
        more["response_url"] = self.server.response_url(channel.id, who.id)
        payload = {"command": "/signoff", "text": f"{name} {arguments}".strip(), **where, **by, **more}
        answer = await self._interact("slash_commands", payload)
        if answer is None:
            return Pressed(acknowledged=False, note="/signoff failed with the error: operation_timeout")
        if answer.get("text") or answer.get("blocks"):
            self.server.respond({"channel": channel.id, "user": who.id, "message": ""}, answer)
        return self._opened(trigger, note=kit.unescape(str(answer.get("text", ""))))

    async def press(self, who: Someone, message: str, label: str, *, place: Place | None = None) -> Pressed:
        if place is not None:
            return Pressed(acknowledged=False, note="A shared message has no buttons")
        channel, kept = self.space.find(message)
        shapes = [kept, *reversed(self.space.versions.get(message, []))]  # what a slow client may still show
        found = [(m, c) for m in shapes for c in kit.controls(m) if c.answers_to(label)]
        if not found:
            raise LookupError(f"{message} has no {label}: {[c.label for c in kit.controls(kept)]}")
        shown, control = found[0]
        trigger = self.api.trigger()
        payload = self._common(who, "block_actions", trigger)
        payload |= forms.pressed(control, shown, channel.id, self.space.ts())
        payload["channel"] = {"id": channel.id, "name": channel.name or "directmessage"}
        payload["response_url"] = self.server.response_url(channel.id, who.id, message)
        answer = await self._interact("interactive", payload)
        if answer is None:
            return Pressed(acknowledged=False, note="This app is not responding")
        return self._opened(trigger)

    async def submit(self, who: Someone, form: str, values: tuple[str, ...]) -> Pressed:
        view = self.api.views[form]
        filled, missing = forms.filled(view, values)
        if missing:
            return Pressed(acknowledged=False, note=missing, form=form, inputs=forms.labels(view))
        trigger = self.api.trigger()
        sent = copy.deepcopy(view) | {"state": {"values": filled}}
        payload = self._common(who, "view_submission", trigger) | {"view": sent, "response_urls": []}
        answer = await self._interact("interactive", payload)
        if answer is None:
            note = "We had some trouble connecting. Try again?"
            return Pressed(acknowledged=False, note=note, form=form, inputs=forms.labels(view))
        match answer.get("response_action"):
            case "errors":
                note = "; ".join(answer["errors"].values())
                return Pressed(acknowledged=True, note=note, form=form, inputs=forms.labels(view))
            case "update":
                self.api.views_update({"view_id": form, "view": answer["view"]})
                return Pressed(acknowledged=True, form=form, inputs=forms.labels(self.api.views[form]))
            case None if answer:  # Slack takes no other answer to a form
                note = "We had some trouble connecting. Try again?"
                return Pressed(acknowledged=False, note=note, form=form, inputs=forms.labels(view))
        del self.api.views[form]
        return self._opened(trigger)

    def _common(self, who: Someone, kind: str, trigger: str) -> dict[str, Any]:
        user = {"id": who.id, "username": who.name, "name": who.name, "team_id": self.space.team}
        team = {"id": self.space.team, "domain": "fake"}
        about = {"type": kind, "user": user, "team": team, "api_app_id": self.api.app_id, "token": "fake"}
        return about | {"trigger_id": trigger, "enterprise": None, "is_enterprise_install": False}

    async def _interact(self, kind: str, payload: dict[str, Any]) -> dict[str, Any] | None:
        self._last = []  # never sent again
        return await self.deliveries.send(kind, payload).answer

    def _opened(self, trigger: str, note: str = "") -> Pressed:
        form = self.api.opened.get(trigger, "")
        labels = forms.labels(self.api.views[form]) if form else ()
        return Pressed(acknowledged=True, note=note, form=form, inputs=labels)

    async def delete(self, message: str) -> None:
        channel, kept = self.space.find(message)
        self.api.remove(channel, kept)

    async def remove_bot(self, place: Place) -> None:
        self.space.channels[place.channel].members.discard(BOT)
        event = {
            "type": "channel_left",
            "channel": place.channel,
            "actor_id": self.owner.id,
            "event_ts": self.space.ts(),
        }
        self._act(event)

    async def add_bot(self, who: Someone, place: Place) -> None:
        """Somebody invites the bot; a channel that is not there yet is made."""
        channel = self.space.channels.setdefault(
            place.channel, Channel(id=place.channel, name=place.channel.lower(), members=set(self.space.people) - {BOT})
        )
        channel.members.add(BOT)
        where = {"channel": channel.id, "channel_type": channel.id[0], "team": self.space.team}
        by = {"user": BOT, "inviter": who.id, "event_ts": self.space.ts()}
        self._act({"type": "member_joined_channel", **where, **by})

    def set_roles(self, who: Someone, roles: tuple[str, ...]) -> None:
        """From now on, as somebody in Slack's administration decided."""
        self.space.people[who.id] = Someone(id=who.id, name=who.name, is_bot=who.is_bot, roles=roles)

    def rename(self, who: Someone, name: str) -> Someone:
        self.space.people[who.id] = Someone(id=who.id, name=name, is_bot=who.is_bot, roles=who.roles)
        return self.space.people[who.id]

    def deactivate(self, who: Someone) -> None:
        self.space.gone.add(who.id)

    # --- The screen -------------------------------------------------------------------------------------------------

    def screen(self, place: Place | None = None) -> tuple[Shown, ...]:
        found = []
        for channel in self.space.channels.values():
            if place is None or channel.id == place.channel:
                found += [(m, channel) for m in channel.messages.values() if self.api.is_ours(m)]
        for name, message in self.space.ephemerals.items():
            channel = self.space.channels[name.partition(":")[0]]
            if place is None or channel.id == place.channel:
                found.append((message, channel))
        if place is not None and place.thread:
            found = [each for each in found if place.thread in {each[0].get("thread_ts"), each[0]["ts"]}]
        found.sort(key=lambda each: each[0]["ts"])
        return tuple(self._shown(message, channel) for message, channel in found)

    def _shown(self, message: dict[str, Any], channel: Channel) -> Shown:
        name = f"{channel.id}:{message['ts']}"
        edits_n = len(self.space.versions.get(name, ()))
        drawn = self._drawn.get(name)
        if drawn is not None and drawn[0] == edits_n:
            return drawn[1]
        files = [self.space.files[f["id"]] for f in message.get("files", ())]
        shown = Shown(
            id=name,
            place=Place(channel=channel.id, thread=message.get("thread_ts", ""), private=channel.kind == "im"),
            author=message.get("username", "signoff"),
            text=kit.readable(message, self.space.names()),
            buttons=tuple(control.label for control in kit.controls(message)),
            files=tuple((f.name, f.content) for f in files),
            edits_n=edits_n,
            only_for=message.get("only_for", ""),
            native=copy.deepcopy(message),
        )
        self._drawn[name] = (edits_n, shown)
        return shown
