"""Slack's Web API: one method that calls, and errors that say who must act. Client side; loaded when it is needed.

Laws of this file. Nothing that is said is tried again here: the outbox waits, and knows how long. The bot's token goes
to the API's own host and to Slack's, never elsewhere. What was cut off after it was written is `AmbiguousError`.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bots.slack import words
from bots.slack.errors import SlackPlaceError, SlackRefusedError, SlackUnreadError
from core.model.errors import AmbiguousError, AuthenticationError, RateLimitedError, RetryableError, TerminalError

API_URL: Final = "https://slack.com/api/"
CALL_SECONDS: Final = 15
CONNECT_SECONDS: Final = 10
FILE_SECONDS: Final = 60
FILE_BYTES_MAX: Final = 20 * 1024 * 1024
RETRY_SECONDS: Final = 30
PAGES_MAX: Final = 50
WAITS_MAX: Final = 5

_GET: Final = frozenset({"conversations.history", "conversations.replies", "users.conversations", "usergroups.list"})
_FORM: Final = frozenset(
    {
        *("auth.test", "apps.connections.open", "users.info", "usergroups.users.list", "files.info"),
        *("files.getUploadURLExternal", "files.completeUploadExternal", "conversations.open"),
    }
)
_HARMLESS: Final = (_GET | _FORM) - {"files.completeUploadExternal"}
_TOKEN: Final = frozenset(
    {
        *("invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired"),
        *("not_allowed_token_type", "ekm_access_denied", "org_login_required"),
    }
)
_PLACE: Final = frozenset(
    {
        *("channel_not_found", "not_in_channel", "is_archived", "thread_not_found", "invalid_thread_ts"),
        *("cannot_reply_to_message", "restricted_action", "restricted_action_read_only_channel"),
        *("restricted_action_thread_only_channel", "restricted_action_non_threadable_channel", "user_not_found"),
        *("cannot_dm_bot", "user_disabled", "message_limit_exceeded", "posting_to_channel_denied"),
    }
)
_TROUBLE: Final = frozenset({"internal_error", "fatal_error", "service_unavailable", "team_added_to_org", "timeout"})
_WAIT: Final = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded_temporarily"})


class Web:
    """The API with one token. While it is `opened` its calls share connections; otherwise each makes its own."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        logger = logging.getLogger("signoff.slack")
        logger.setLevel(logging.CRITICAL)  # its lines hold message text, and its errors reach us as errors
        self.logger = logger
        self.base_url = settings.get("SIGNOFF_SLACK_API_URL") or API_URL
        self._app_token = settings.get("SLACK_APP_TOKEN", "")
        self.client = AsyncWebClient(
            token=settings.get("SLACK_BOT_TOKEN", ""),
            base_url=self.base_url,
            timeout=CALL_SECONDS,
            retry_handlers=[],
            logger=logger,
        )
        self.scopes: frozenset[str] | None = None  # what the last answer said the bot may do
        self._session: aiohttp.ClientSession | None = None
        self._users: dict[aiohttp.ClientSession, int] = {}

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[aiohttp.ClientSession]:
        """Keep connections until the end; the last call that uses them closes them."""
        session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS),
            connector=aiohttp.TCPConnector(limit=0),
        )
        self._session = session
        try:
            async with self._using(session):
                yield session
        finally:
            self._session = None

    @asynccontextmanager
    async def _using(self, session: aiohttp.ClientSession) -> AsyncIterator[None]:
        self._users[session] = self._users.get(session, 0) + 1
        try:
            yield
        finally:
            self._users[session] -= 1
            if not self._users[session]:
                del self._users[session]
                await session.close()

    @asynccontextmanager
    async def _connections(self) -> AsyncIterator[aiohttp.ClientSession]:
        if self._session is not None:
            async with self._using(self._session):
                yield self._session
        else:
            async with aiohttp.ClientSession() as session:
                yield session

    # --- Calling ----------------------------------------------------------------------------------------------------

    async def call(self, method: str, /, *, again: bool = False, seconds: float = CALL_SECONDS, **given: Any) -> Any:
        """One answer of Slack's, as a dict. `again`: doing it twice does no harm, so nothing about it is ambiguous.
        Raises RateLimitedError, RetryableError, AmbiguousError, AuthenticationError, SlackPlaceError,
        SlackRefusedError.
        """
        arguments = {name: value for name, value in given.items() if value is not None}
        try:
            return await self._call(method, arguments, seconds)
        except AmbiguousError as error:
            if again or method in _HARMLESS:
                raise RetryableError(error.what) from error
            raise

    async def connections_url(self) -> str:
        """Where Socket Mode's next socket is."""
        answer = await self.call("apps.connections.open", token=self._app_token)
        url = answer.get("url")
        if not isinstance(url, str) or not url.startswith(("ws://", "wss://")):
            raise RetryableError(words.NO_ANSWER)
        return url

    async def _call(self, method: str, arguments: dict[str, Any], seconds: float) -> Any:
        async with self._connections() as session:
            client = self._on(session)
            try:
                async with asyncio.timeout(seconds):
                    if method in _GET:
                        answer = await client.api_call(method, http_verb="GET", params=arguments)
                    elif method in _FORM:
                        answer = await client.api_call(method, params=arguments)
                    else:
                        answer = await client.api_call(method, json=arguments)
            except SlackApiError as error:
                raise _refusal(error.response, method) from error
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
                raise RetryableError(f"{words.UNREACHABLE} ({type(error).__name__})") from error
            except (aiohttp.ClientError, TimeoutError, OSError, SlackClientError, ValueError) as error:
                raise AmbiguousError(f"{words.NO_ANSWER} ({type(error).__name__})") from error
        scopes = answer.headers.get("x-oauth-scopes")
        if isinstance(scopes, str) and method == "auth.test":
            self.scopes = frozenset(filter(None, (scope.strip() for scope in scopes.split(","))))
        return answer.data

    def _on(self, session: aiohttp.ClientSession) -> AsyncWebClient:
        """The same client on these connections."""
        client = copy.copy(self.client)
        client.session = session
        return client

    async def pages(
        self, method: str, name: str, *, patient: bool = False, whole: bool = False, **given: Any
    ) -> AsyncIterator[list[Any]]:
        """Lists called `name`, page by page. `patient`: wait and ask again. `whole`: to the end, however far that is;
        otherwise raises SlackUnreadError after some pages if there are more.
        """
        cursor, left = None, PAGES_MAX
        while whole or left:
            left -= 1
            answer = await self._patiently(patient, method, cursor=cursor, **given)
            found = answer.get(name)
            yield found if isinstance(found, list) else []
            after = answer.get("response_metadata")
            before, cursor = cursor, after.get("next_cursor") if isinstance(after, dict) else None
            if not cursor or cursor == before:  # one that stays where it is leads nowhere
                return
        raise SlackUnreadError

    async def _patiently(self, patient: bool, method: str, **given: Any) -> Any:  # noqa: FBT001  # as it is given
        for n in range(WAITS_MAX if patient else 0):
            try:
                return await self.call(method, **given)
            except RetryableError as error:
                await asyncio.sleep(
                    min(2**n, RETRY_SECONDS) if error.retry_after_ms is None else error.retry_after_ms / 1000
                )
        return await self.call(method, **given)

    # --- Files and hooks --------------------------------------------------------------------------------------------

    async def fetch(self, url: str, media: str = "") -> bytes:
        """A file, with the bot's token, from Slack only. Raises RetryableError, TerminalError."""
        if not self._is_slack(url):
            raise TerminalError(words.FILE_ELSEWHERE)
        headers = {"Authorization": f"Bearer {self.client.token}"}
        try:
            async with (
                self._connections() as session,
                asyncio.timeout(FILE_SECONDS),
                session.get(url, headers=headers, allow_redirects=False, proxy=self.client.proxy) as response,
            ):
                return await _read_file(response, page="html" in media)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise RetryableError(f"{words.NO_ANSWER} ({type(error).__name__})") from error

    async def put(self, url: str, body: bytes) -> None:
        """The bytes of an upload, without a token. Nobody sees them before the upload is completed."""
        await self._post(url, data=body)

    async def respond(self, url: str, payload: dict[str, Any]) -> None:
        """A response_url, without a token."""
        await self._post(url, json=payload)

    async def _post(self, url: str, **given: Any) -> None:
        try:
            async with (
                self._connections() as session,
                asyncio.timeout(FILE_SECONDS),
                session.post(url, allow_redirects=False, proxy=self.client.proxy, **given) as response,
            ):
                status, wait = response.status, _seconds(response.headers)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise RetryableError(f"{words.NO_ANSWER} ({type(error).__name__})") from error
        if status == 429:
            raise RateLimitedError(words.SLOW_DOWN, retry_after_ms=wait, scope="conversation")
        if status >= 500:
            raise RetryableError(words.out_of_order(str(status)))
        if status != 200:
            raise SlackRefusedError(str(status))

    def _is_slack(self, url: str) -> bool:
        """The API's own host and port, or one of Slack's over TLS."""
        try:
            asked, own = urlsplit(url), urlsplit(self.base_url)
            if asked.username or asked.password:
                return False
            host = asked.hostname or ""
            if (asked.scheme, host, asked.port) == (own.scheme, own.hostname, own.port):
                return True
            return asked.scheme == "https" and asked.port in {None, 443} and (f".{host}").endswith(".slack.com")
        except ValueError:
            return False


async def _read_file(response: aiohttp.ClientResponse, *, page: bool) -> bytes:
    """Slack shows its sign-in page to who may not read, as a redirect or in place of the file."""
    if response.status == 429:
        raise RateLimitedError(words.SLOW_DOWN, retry_after_ms=_seconds(response.headers), scope="account")
    if response.status >= 500:
        raise RetryableError(words.out_of_order(str(response.status)))
    signing_in = response.content_type == "text/html" and not page
    if 300 <= response.status < 400 or response.status in {401, 403} or (response.status == 200 and signing_in):
        raise TerminalError(words.FILE_SCOPE, words.ADD_FILE_SCOPE)
    if response.status != 200:
        raise TerminalError(words.FILE_GONE)
    body = bytearray()
    async for chunk in response.content.iter_chunked(65_536):
        body += chunk
        if len(body) > FILE_BYTES_MAX:
            raise TerminalError(words.FILE_TOO_LARGE)
    return bytes(body)


def _seconds(headers: Mapping[str, str]) -> int:
    """Retry-After, as milliseconds."""
    value = headers.get("Retry-After", "")
    try:
        return max(0, int(float(value) * 1000))
    except (ValueError, OverflowError):
        return RETRY_SECONDS * 1000


def _refusal(response: Any, method: str) -> Exception:
    """What an answer that is not ok means. The response is the library's own, or aiohttp's for one that is no JSON."""
    status = int(getattr(response, "status_code", 0) or getattr(response, "status", 0))
    data = getattr(response, "data", None)
    data = data if isinstance(data, dict) else {}
    code = data.get("error")
    code = code if isinstance(code, str) else ""
    if status == 429 or code in _WAIT:
        scope = "conversation" if method.startswith("chat.") else "account"
        return RateLimitedError(words.SLOW_DOWN, retry_after_ms=_seconds(response.headers), scope=scope)
    if code in _TOKEN:
        mine = method == "apps.connections.open"
        what, remedy = (words.NO_APP_TOKEN, words.NEW_APP_TOKEN) if mine else (words.NO_BOT_TOKEN, words.NEW_BOT_TOKEN)
        return AuthenticationError(f"{what} ({code})", remedy)
    if not code or status >= 500 or code in _TROUBLE:
        return AmbiguousError(words.out_of_order(code or str(status)))
    if code in _PLACE:
        return SlackPlaceError(code)
    needed = data.get("needed")
    return SlackRefusedError(code, needed if code == "missing_scope" and isinstance(needed, str) else "")
