"""Slack as a platform: who the bot is, when its connection is good, and what may be asked meanwhile.

Laws of this file. Whoever calls `run` gets a connection made wholly anew. One that is dead, deaf or refused raises, and
says so in one line; one that Slack itself wants renewed does not.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from bots.slack import wire, words
from bots.slack.errors import SlackPlaceError, SlackRefusedError
from bots.slack.hearing import Hearing, Memory
from bots.slack.lookback import Lookback
from bots.slack.sending import Voice
from core.model.errors import AuthenticationError, RetryableError, SignoffError, TerminalError
from core.model.events import Attachment, Conversation
from core.model.views import Post
from core.ports import Clock, Health, Ids, Intake, Platform, Sending, Shelf

if TYPE_CHECKING:
    from bots.slack.listening import Ears
    from bots.slack.web import Web

NAME: Final = "slack"
WATCH_SECONDS: Final = 15
SILENCE_MS: Final = 60_000
SHORT_MS: Final = 10_000  # a connection that Slack wants renewed sooner is trouble, not housekeeping

log = structlog.get_logger()


def configured(settings: Mapping[str, str]) -> bool:
    """There is a token to try."""
    return bool(settings.get("SLACK_BOT_TOKEN"))


class Slack(Platform):
    """One workspace. `settings` is the environment: SLACK_BOT_TOKEN, SLACK_APP_TOKEN for Socket Mode, otherwise
    SLACK_SIGNING_SECRET and SIGNOFF_SLACK_LISTEN.
    """

    def __init__(self, settings: Mapping[str, str], *, clock: Clock, ids: Ids, zone: str, shelf: Shelf) -> None:
        self._settings = settings
        self._clock = clock
        self._voice = Voice(clock=clock, shelf=shelf, zone=zone)
        self._api: Web | None = None
        self._me: wire.Me | None = None
        self._memory = Memory()
        self._connected_at_ms = self._heard_at_ms = self._sent_at_ms = self._noticed_ms = 0
        self._trouble = ""

    @property
    def name(self) -> str:
        return NAME

    @property
    def sending(self) -> Sending:
        return Sending.RECONCILABLE

    def health(self) -> Health:
        return Health(
            connected_at_ms=self._connected_at_ms,
            heard_at_ms=self._heard_at_ms,
            sent_at_ms=self._sent_at_ms,
            trouble=self._trouble,
        )

    async def _web(self) -> Web:
        """The API, whether or not a connection is open. The library is loaded beside the event loop."""
        if self._api is None:
            module = await asyncio.to_thread(importlib.import_module, "bots.slack.web")
            self._api = self._api or module.Web(self._settings)
        return self._api

    # --- Sending and asking -----------------------------------------------------------------------------------------

    def parts(self, post: Post) -> int:
        return len(self._voice.pieces(post))

    async def send(self, post: Post, edits: str, part: int = 0) -> str:
        if self._me is not None and post.conversation.account not in {self._me.team, wire.DIRECT}:
            raise TerminalError(words.OTHER_WORKSPACE)
        receipt = await self._voice.send(await self._web(), post, edits, part)
        self._sent_at_ms = self._clock.now_ms()
        return receipt

    async def find_sent(self, post: Post, edits: str, part: int = 0) -> str | None:
        return await self._voice.find(await self._web(), post, edits, part)

    async def roles(self, account: str, conversation: Conversation) -> frozenset[str]:
        """Who cannot be looked up holds none."""
        web, user = await self._web(), account.partition(":")[2]
        try:
            person = (await web.call("users.info", user=user)).get("user")
        except (SlackRefusedError, SlackPlaceError):
            return frozenset()
        except AuthenticationError as error:
            raise RetryableError(error.what, error.remedy) from error
        if not isinstance(person, dict) or person.get("deleted"):
            return frozenset()
        found = {"admin"} if person.get("is_admin") or person.get("is_owner") else set()
        try:
            groups = (await web.call("usergroups.list", include_users=True)).get("usergroups")
        except SlackRefusedError as error:  # a plan without groups, or a scope that is missing
            log.info("slack.no-groups", why=str(error))
            groups = []
        listed = [group for group in groups if isinstance(group, dict)] if isinstance(groups, list) else []
        return frozenset(found | {f"group:{group.get('id')}" for group in listed if user in (group.get("users") or ())})

    def direct(self, account: str) -> Conversation | None:
        return wire.private_chat(account)

    def is_private(self, conversation: Conversation) -> bool:
        return wire.is_private(conversation)

    async def fetch(self, file: Attachment) -> bytes:
        try:
            ref = msgspec.json.decode(file.ref, type=dict[str, str])
        except msgspec.MsgspecError as error:
            raise TerminalError(words.FILE_GONE) from error
        web = await self._web()
        url = ref.get("url", "")
        if not url:
            known = (await web.call("files.info", file=ref.get("id", ""))).get("file")
            url = str(known.get("url_private_download") or known.get("url_private")) if isinstance(known, dict) else ""
        return await web.fetch(url, file.media)

    # --- The connection ---------------------------------------------------------------------------------------------

    async def run(self, intake: Intake) -> None:
        try:
            web = await self._web()
            listening = await asyncio.to_thread(importlib.import_module, "bots.slack.listening")
            secret = self._settings.get("SLACK_SIGNING_SECRET", "")
            async with web.opened() as session:
                while True:
                    begun_ms = self._clock.monotonic_ms()
                    me = await self._identify(web)
                    lookback = Lookback(web, me, intake, self._clock)
                    await lookback.begin()
                    hearing = Hearing(web, me, intake, self._clock, self._voice, self._memory, lookback)
                    ears = listening.Ears(web, hearing.hear, self._notice, signing_secret=secret)
                    try:
                        await self._connection(web, session, ears, hearing)
                    except BaseExceptionGroup as group:
                        raise _first(group) from group
                    if self._clock.monotonic_ms() - begun_ms < SHORT_MS:
                        raise RetryableError(words.LOST)
        except SignoffError as error:
            self._trouble = str(error)
            raise

    async def _connection(self, web: Web, session: Any, ears: Ears, hearing: Hearing) -> None:
        """One connection: returns when Slack wants another one."""
        connected = asyncio.Event()

        def note() -> None:
            self._connected()
            connected.set()

        app_token = self._settings.get("SLACK_APP_TOKEN", "")
        async with asyncio.TaskGroup() as group:
            beside = group.create_task(self._watch(web, hearing, connected, socket=bool(app_token)))
            if app_token:
                await ears.listen(session, await web.connections_url(), note)
            else:
                await ears.serve(*self._address(), note)
            beside.cancel()

    def _address(self) -> tuple[str, int]:
        """Where HTTP mode listens; without a secret there is none, because anybody could speak for Slack."""
        if not self._settings.get("SLACK_SIGNING_SECRET"):
            raise AuthenticationError(words.NO_SECRET, words.SET_SECRET)
        host, colon, port = self._settings.get("SIGNOFF_SLACK_LISTEN", "").rpartition(":")
        if not colon or not port.isdecimal() or not 0 < int(port) < 65_536:
            raise AuthenticationError(words.NO_ADDRESS, words.SET_ADDRESS)
        return host.strip("[]") or "127.0.0.1", int(port)

    async def _identify(self, web: Web) -> wire.Me:
        answer = await web.call("auth.test")
        team, user = answer.get("team_id"), answer.get("user_id")
        if not isinstance(team, str) or not isinstance(user, str):
            raise RetryableError(words.NO_ANSWER)
        self._me = wire.Me(team=team, user=user, bot=str(answer.get("bot_id") or ""))
        return self._me

    def _connected(self) -> None:
        self._connected_at_ms = self._clock.now_ms()
        self._trouble = ""
        self._notice()
        log.info("slack.connected", team=self._me.team if self._me else "")

    def _notice(self) -> None:
        self._heard_at_ms = self._clock.now_ms()
        self._noticed_ms = self._clock.monotonic_ms()

    async def _watch(self, web: Web, hearing: Hearing, connected: asyncio.Event, *, socket: bool) -> None:
        """Read back what was missed, then see to it that the connection is alive, and not deaf. Raises RetryableError,
        AuthenticationError.
        """
        await connected.wait()  # history that is read before could end before the connection begins
        await hearing.lookback.catch_up(hearing.again)
        hearing.settled.set()
        while True:
            await self._clock.sleep(WATCH_SECONDS)
            if socket and self._clock.monotonic_ms() - self._noticed_ms > SILENCE_MS:
                await web.call("auth.test")  # says it if the token is the reason
                raise RetryableError(words.LOST)
            if await hearing.lookback.keep(hearing.again):
                raise RetryableError(words.DEAF)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What went wrong first, without the groups around it; an error of ours before one of the library's."""
    leaves = list(_leaves(group))
    return next((error for error in leaves if isinstance(error, SignoffError)), leaves[0])


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
