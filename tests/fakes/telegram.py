"""A fake Telegram: its people, its chats and what they see. The Bot API itself is in telegram_api.

`home` is a supergroup; `topic` is a topic of another one, which is a forum. As in the real one, a form is a ForceReply,
a callback query is answered or it is not, and nobody gets an update twice once its successor was asked for.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from tests.fakes.service import Place, Pressed, Service, Shown, Someone
from tests.fakes.telegram_api import BotApi, Chat, Message, user_of
from tests.fakes.telegram_text import TEXT_MAX, units

HOME = -1001000000001
FORUM = -1001000000002
TOPIC = 7
FORM_SECONDS = 1.5
"""How long somebody looks for the question after pressing a button that opens one."""


class Telegram(Service):
    name = "telegram"
    owner = Someone(id="1001", name="You", roles=("admin",))
    second = Someone(id="1002", name="Ana")
    stranger = Someone(id="1003", name="Mallory")
    other_bot = Someone(id="700000002", name="Other", is_bot=True)
    home = Place(channel=str(HOME))
    topic = Place(channel=str(FORUM), thread=str(TOPIC))
    text_max = TEXT_MAX
    patience_seconds = 3.0
    forms = frozenset({"Deny", "Edit", "Ask back", "Answer"})

    def __init__(self) -> None:
        super().__init__()
        self.api = BotApi(self.journal, self.faults)
        everybody = {int(one.id): one for one in (self.owner, self.second, self.stranger, self.other_bot)}
        self.api.chats[HOME] = Chat(id=HOME, kind="supergroup", title="Home", members=everybody)
        topics = {TOPIC: "Deployments"}
        self.api.chats[FORUM] = Chat(id=FORUM, kind="supergroup", title="Forum", members=everybody, topics=topics)
        for one in (self.owner, self.second, self.stranger):
            # Nobody can be written to by a bot whom they have not written to first.
            there = one is not self.stranger
            self.api.chats[int(one.id)] = Chat(id=int(one.id), members={int(one.id): one}, bot_here=there)
        self._query = itertools.count(880_001)
        self._last: dict[str, Any] = {}
        self._expired = False

    # --- Life -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        await self.api.start()

    async def stop(self) -> None:
        await self.api.stop()

    def environ(self) -> dict[str, str]:
        return {
            "TELEGRAM_BOT_TOKEN": self.api.token,
            "SIGNOFF_TELEGRAM_API_URL": f"http://127.0.0.1:{self.api.port}",
        }

    async def connected(self) -> None:
        await _until(lambda: self.api.polled and not self.api.down, float("inf"))

    async def disconnect(self, how: Literal["close", "invalid", "silent", "conflict"]) -> None:
        self.journal.note("fault", "disconnect", how=how)
        self.api.down = how

    async def reconnectable(self) -> None:
        self.api.down = ""
        self._expired = False

    # --- People -----------------------------------------------------------------------------------------------------

    def direct(self, who: Someone) -> Place:
        return Place(channel=who.id, private=True)

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
        """Long texts are sent in pieces, several files as an album, as Telegram's own apps do."""
        chat = self._chat(place)
        if chat.kind == "private":
            chat.bot_here = True
        reply = self._message(reply_to) if reply_to else None
        if mention:
            text = f"@{self.api.username} {text}"
        if not files:
            sent = [self._heard(who, piece, place, reply=reply) for piece in _pieces(text)]
            return sent[0]
        album = {"media_group_id": f"album{next(self._numbers)}"} if len(files) > 1 else {}
        sent = []
        for n, (name, media, content) in enumerate(files):
            fields = self.api.keep("photo" if media == "image/jpeg" else "document", name, media, content) | album
            sent.append(self._heard(who, "" if n else text, place, reply=reply, content=fields))
        return sent[0]

    def _heard(
        self,
        who: Someone,
        text: str,
        place: Place,
        *,
        reply: Message | None = None,
        content: dict[str, Any] | None = None,
    ) -> str:
        chat = self._chat(place)
        marks = _marks(text)
        message = self.api.add(chat, int(place.thread or 0), who, text, marks, content or {}, (), reply)
        mine = chat.kind == "private" or bool(marks) or (reply is not None and reply.author.id == self.api.me.id)
        # A bot never hears other bots; in a group that keeps its privacy it hears what is meant for it.
        if not (who.is_bot or (self.api.privacy and not mine) or not chat.bot_here):
            self._happen("message", self.api.native(message))
        return f"{chat.id}:{message.id}"

    async def edit(self, who: Someone, message: str, text: str) -> None:
        edited = self._message(message)
        edited.text, edited.entities = text, _marks(text)
        edited.edits_n += 1
        self._happen("edited_message", self.api.native(edited))

    async def order(self, who: Someone, name: str, arguments: str, place: Place) -> Pressed:
        """There is nothing to acknowledge: a command is a message."""
        at = "" if self._chat(place).kind == "private" else f"@{self.api.username}"
        await self.say(who, f"/{name}{at} {arguments}".strip(), place)
        return Pressed(acknowledged=True)

    async def press(self, who: Someone, message: str, label: str, *, place: Place | None = None) -> Pressed:
        """Waits for the answer of the query as long as an app shows its spinner, and for the question of a form."""
        pressed = self._message(message)
        rows = pressed.markup.get("inline_keyboard", [])
        data = next((b.get("callback_data") for row in rows for b in row if b["text"] == label), None)
        if data is None:
            raise AssertionError(f"no button {label!r} on {pressed.text!r}: {rows}")
        query = self._queried(who, pressed, str(data))
        await _until(lambda: query in self.api.answers, self.patience_seconds)
        answer = self.api.answers.get(query)
        newest = pressed.chat.last_id if label not in self.forms else 0
        asked = await self._question(pressed.chat, newest or pressed.id, label in self.forms)
        return Pressed(
            acknowledged=answer is not None,
            note=str((answer or {}).get("text", "")),
            form=f"{asked.chat.id}:{asked.id}" if asked else "",
            inputs=(str(asked.markup.get("input_field_placeholder") or asked.text),) if asked else (),
        )

    def tap(self, who: Someone, message: str, label: str) -> str:
        """Press and look away. The query's id, whose answer will be in `api.answers`."""
        pressed = self._message(message)
        rows = pressed.markup.get("inline_keyboard", [])
        data = next(b.get("callback_data") for row in rows for b in row if b["text"] == label)
        return self._queried(who, pressed, str(data))

    def _queried(self, who: Someone, pressed: Message, data: str) -> str:
        query = str(next(self._query))
        self.api.queries[query] = float("-inf") if self._expired else time.monotonic()
        body = {"id": query, "from": user_of(who), "chat_instance": f"i{pressed.chat.id}", "data": data}
        self._happen("callback_query", {**body, "message": self.api.native(pressed)})
        return query

    async def _question(self, chat: Chat, after: int, expected: bool) -> Message | None:
        """The ForceReply that came after a message of that chat."""
        deadline = time.monotonic() + (FORM_SECONDS if expected else 0.0)
        while True:
            for (channel, number), message in reversed(self.api.messages.items()):
                unanswered = "force_reply" in message.markup and not message.gone and not message.native.get("answered")
                if channel == chat.id and number > after and unanswered:
                    return message
            if time.monotonic() > deadline:
                return None
            await asyncio.sleep(0.01)

    async def submit(self, who: Someone, form: str, values: tuple[str, ...]) -> Pressed:
        """One reply a question; the next question follows it."""
        asked: Message | None = self._message(form)
        for n, value in enumerate(values):
            if asked is None:
                raise AssertionError(f"nothing asks for {values[n:]}")
            asked.native["answered"] = True
            place = Place(channel=str(asked.chat.id), thread=str(asked.thread or ""))
            said = self._heard(who, value, place, reply=asked)
            if n + 1 < len(values):
                asked = await self._question(asked.chat, self._message(said).id, expected=True)
        return Pressed(acknowledged=True)

    async def redeliver(self, times: int = 1) -> None:
        """The same update once more, whatever was confirmed."""
        self.api.again.extend([self._last] * times)

    async def delete(self, message: str) -> None:
        self._message(message).gone = True

    async def remove_bot(self, place: Place) -> None:
        await self._member(place, here=False)

    async def add_bot(self, place: Place) -> None:
        await self._member(place, here=True)

    async def _member(self, place: Place, *, here: bool) -> None:
        chat = self._chat(place)
        was, now = ("left", "member") if here else ("member", "kicked")
        bot = {**user_of(self.api.me), "username": self.api.username}
        until = {} if here else {"until_date": 0}
        chat.bot_here = here
        body = {
            "chat": chat.native(),
            "from": user_of(self.owner),
            "date": int(time.time()),
            "old_chat_member": {"user": bot, "status": was},
            "new_chat_member": {"user": bot, "status": now, **until},
        }
        self._happen("my_chat_member", body)

    # --- What only some tests need ----------------------------------------------------------------------------------

    async def odd(self) -> None:
        self._happen("telepathy_received", {"id": 1, "from": user_of(self.owner)})
        self._happen("poll", {"id": "5", "question": "?", "options": [], "total_voter_count": 0})
        self._happen("message", {"message_id": 999_999, "date": 1, "chat": {"id": HOME, "type": "galaxy"}, "aura": {}})
        self._happen("callback_query", {"id": "no", "from": user_of(self.owner), "chat_instance": "x"})
        self._happen("edited_message", {"message_id": 999_998, "date": 1, "chat": {"id": HOME, "type": "supergroup"}})

    def expire(self) -> None:
        self._expired = True
        self.api.queries = dict.fromkeys(self.api.queries, float("-inf"))

    async def swapped(self, first: Callable[[], Awaitable[Any]], second: Callable[[], Awaitable[Any]]) -> None:
        was, self.api.down = self.api.down, "silent"
        before_n = len(self.api.updates)
        await first()
        middle_n = len(self.api.updates)
        await second()
        kept = self.api.updates
        kept[before_n:] = kept[middle_n:] + kept[before_n:middle_n]
        self.api.down = was

    def fresh(self) -> Place:
        """A group of its own: in a group, everything is one conversation."""
        number = HOME - 100 - next(self._numbers)
        members = self.api.chats[HOME].members
        self.api.chats[number] = Chat(id=number, kind="supergroup", title=f"Group {-number % 1000}", members=members)
        return Place(channel=str(number))

    def visitor(self) -> Someone:
        """Somebody more, with a private chat."""
        number = 5_000 + next(self._numbers)
        one = Someone(id=str(number), name=f"Visitor {number}")
        self.api.chats[number] = Chat(id=number, members={number: one}, bot_here=True)
        return one

    def unacknowledged(self) -> int:
        return len(self.api.updates)

    def _happen(self, kind: str, body: dict[str, Any]) -> None:
        self._last = self.api.update(kind, body)

    # --- The screen -------------------------------------------------------------------------------------------------

    def screen(self, place: Place | None = None) -> tuple[Shown, ...]:
        return tuple(
            self._shown(message)
            for message in self.api.messages.values()
            if message.author.id == self.api.me.id and not message.gone and _within(message, place)
        )

    def _shown(self, message: Message) -> Shown:
        rows = message.markup.get("inline_keyboard", [])
        private = message.chat.kind == "private"
        return Shown(
            id=f"{message.chat.id}:{message.id}",
            place=Place(channel=str(message.chat.id), thread=str(message.thread or ""), private=private),
            author=self.api.me.name,
            text=message.text,
            buttons=tuple(button["text"] for row in rows for button in row),
            files=message.files,
            edits_n=message.edits_n,
            native=message.native,
        )

    def _chat(self, place: Place) -> Chat:
        return self.api.chats[int(place.channel)]

    def _message(self, message: str) -> Message:
        chat, _, number = message.rpartition(":")
        return self.api.messages[int(chat), int(number)]


async def _until(there: Callable[[], bool], seconds: float) -> None:
    """Until it is, or for so long."""
    give_up = time.monotonic() + seconds
    while True:
        if there() or time.monotonic() > give_up:
            return
        await asyncio.sleep(0.01)


def _within(message: Message, place: Place | None) -> bool:
    if place is None:
        return True
    there = not place.thread or place.thread == str(message.thread)
    return str(message.chat.id) == place.channel and there


def _marks(text: str) -> list[dict[str, Any]]:
    """What Telegram's apps mark by themselves: a leading command, and names."""
    found = [("bot_command", match) for match in re.finditer(r"^/[A-Za-z0-9_]{1,32}(@\w+)?", text)]
    found += [("mention", match) for match in re.finditer(r"(?<![\w/])@[A-Za-z]\w{3,31}", text)]
    return [
        {"type": kind, "offset": units(text[: match.start()]), "length": units(match[0])}
        for kind, match in found
        if kind != "mention" or not (text.startswith("/") and match.start() == 0)
    ]


def _pieces(text: str) -> list[str]:
    """At most as long as a message may be."""
    pieces, piece, size = [], "", 0
    for character in text:
        width = 2 if ord(character) > 0xFFFF else 1
        if size + width > TEXT_MAX:
            pieces.append(piece)
            piece, size = "", 0
        piece += character
        size += width
    return [*pieces, piece]


TelegramService = Telegram
"""Its name among the fakes."""
