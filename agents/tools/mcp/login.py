"""OAuth for MCP servers that ask for it: the SDK's flow, tokens in a file, a person at a browser.

Law: only `signoff mcp login` ever begins a flow. A running engine uses and renews what is there; when that is refused
it says which command a person has to run. Tokens are in no log, no pin and no definition.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.shared.auth import (
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthMetadata,
    OAuthToken,
    ProtectedResourceMetadata,
)
from pydantic import AnyUrl, ValidationError

from agents.servers import Server, Start
from agents.tools.mcp import session
from agents.tools.mcp.pins import write_private
from agents.tools.mcp.speech import LoginNeededError

LOGIN_SECONDS: Final = 300.0
EARLY_MS: Final = 30_000
"""A token that is about to expire is renewed before it is used."""
_NOWHERE: Final = "http://127.0.0.1/callback"
_PAGE: Final = "<!doctype html><title>Signoff</title><p>{}</p>"


class TokenFile:
    """The SDK's TokenStorage, and what else it forgets between two runs: when a token expires, and where it is renewed.
    Kept as JSON, mode 600.
    """

    def __init__(self, path: Path, now_ms: Callable[[], int]) -> None:
        self._path = path
        self._now_ms = now_ms

    def _read(self) -> dict[str, Any]:
        try:
            found = msgspec.json.decode(self._path.read_bytes())
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return {}
        return found if isinstance(found, dict) else {}

    def _keep(self, **more: Any) -> None:
        write_private(self._path, msgspec.json.format(msgspec.json.encode({**self._read(), **more}), indent=1))

    async def get_tokens(self) -> OAuthToken | None:
        """An expired one without its access token, so that it is renewed first."""
        kept = self._read()
        tokens: OAuthToken | None = _model(OAuthToken, kept.get("tokens"))
        expires_ms = kept.get("expires_ms")
        if tokens is not None and isinstance(expires_ms, int) and self._now_ms() > expires_ms - EARLY_MS:
            tokens.access_token = ""
        return tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Kept at once: a renewed token's forerunner may be void."""
        expires_ms = None if tokens.expires_in is None else self._now_ms() + tokens.expires_in * 1000
        self._keep(tokens=tokens.model_dump(mode="json", exclude_none=True), expires_ms=expires_ms)

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """What the server calls us."""
        client: OAuthClientInformationFull | None = _model(OAuthClientInformationFull, self._read().get("client"))
        return client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """The same."""
        self._keep(client=client_info.model_dump(mode="json", exclude_none=True))

    def keep_places(self, provider: OAuthClientProvider) -> None:
        """Where tokens are renewed, as the flow has found out."""
        context = provider.context
        found = {"server": context.oauth_metadata, "resource": context.protected_resource_metadata}
        self._keep(**{name: one.model_dump(mode="json", exclude_none=True) for name, one in found.items() if one})

    def recall_places(self, provider: OAuthClientProvider) -> None:
        """The opposite."""
        kept, context = self._read(), provider.context
        context.oauth_metadata = _model(OAuthMetadata, kept.get("server"))
        context.protected_resource_metadata = _model(ProtectedResourceMetadata, kept.get("resource"))


def _model(kind: Any, value: object) -> Any:
    try:
        return None if value is None else kind.model_validate(value)
    except ValidationError:
        return None


def provider(
    url: str,
    tokens: TokenFile,
    *,
    callback: str = _NOWHERE,
    show: Callable[[str], Awaitable[None]] | None = None,
    wait: Callable[[], Awaitable[AuthorizationCodeResult]] | None = None,
) -> OAuthClientProvider:
    """Without `show` and `wait` it renews tokens and begins nothing: LoginNeededError instead."""
    made = OAuthClientProvider(
        server_url=url,
        client_metadata=OAuthClientMetadata(client_name="Signoff", redirect_uris=[AnyUrl(callback)]),
        storage=tokens,
        redirect_handler=show or _refuse,
        callback_handler=wait or _never,
    )
    if show is None:
        tokens.recall_places(made)
    return made


async def _refuse(_url: str) -> None:
    raise LoginNeededError("its login has expired")


async def _never() -> AuthorizationCodeResult:
    raise LoginNeededError("its login has expired")


async def log_in(
    server: Server, start: Start, path: Path, now_ms: Callable[[], int], show: Callable[[str], None]
) -> bool:
    """A login from the beginning; what was kept before is replaced once it is done. False: the server asks for none.
    Raises EndedError.
    """
    new = path.with_name(f"{path.name}.new")
    tokens = TokenFile(new, now_ms)
    shown: list[str] = []

    async def ask(url: str) -> None:
        shown.append(url)
        show(url)

    try:
        async with listening() as (callback, wait):
            auth = provider(start.url, tokens, callback=callback, show=ask, wait=wait)
            opened = session.connect(
                server, start, {}, path, lambda _line: None, now_ms, auth=auth, seconds=LOGIN_SECONDS + 60
            )
            async with opened as live:
                await live.tools()
            if shown:
                tokens.keep_places(auth)
                await asyncio.to_thread(new.replace, path)
            return bool(shown)
    finally:
        await asyncio.to_thread(new.unlink, missing_ok=True)


# --- The callback ---------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[tuple[str, Callable[[], Awaitable[AuthorizationCodeResult]]]]:
    """A URL on this machine's loopback that a browser is sent back to, and how to wait for it (LOGIN_SECONDS). Raises
    LoginNeededError when the person says no, or nothing.
    """
    answer: asyncio.Future[AuthorizationCodeResult] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError, TimeoutError):
            async with asyncio.timeout(10):
                said = _callback(await reader.readline(), answer)
                body = _PAGE.format(said).encode()
                head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n"
                writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
                await writer.drain()
        writer.close()

    async def wait() -> AuthorizationCodeResult:
        try:
            async with asyncio.timeout(LOGIN_SECONDS):
                return await answer
        except TimeoutError:
            raise LoginNeededError("nobody came back from the browser") from None

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/callback", wait
    if not answer.done():
        answer.cancel()


def _callback(line: bytes, answer: asyncio.Future[AuthorizationCodeResult]) -> str:
    """What the browser shows; the state is the SDK's to compare."""
    target = urlsplit(line.decode("latin-1").split(" ")[1] if line.count(b" ") > 1 else "")
    if target.path != "/callback":
        return "This is not the place."
    query = {name: values[0] for name, values in parse_qs(target.query).items()}
    if answer.done():
        return "This has been answered already."
    if "code" not in query:
        answer.set_exception(LoginNeededError("the login was refused"))
        return "The login was refused."
    answer.set_result(AuthorizationCodeResult(code=query["code"], state=query.get("state"), iss=query.get("iss")))
    return "You are logged in. You can close this window."
