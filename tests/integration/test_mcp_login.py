"""MCP servers that ask who we are: a login by a person, tokens that are renewed, and one line when they are not."""

import asyncio
import contextlib
import json
import sys

import httpx
import pytest

from agents.servers import Server
from agents.tools.mcp import hub
from agents.tools.mcp.speech import EndedError
from core.adapters.system import SystemClock
from core.model.team import ToolSpec
from tests.integration.mcp_kit import FAKES, Bench, listening


@contextlib.asynccontextmanager
async def behind_a_login(seconds):
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(FAKES / "mcp_oauth.py"), str(seconds), stdout=asyncio.subprocess.PIPE
    )
    try:
        port = int(await process.stdout.readline())
        yield Server(name="docs", file="f", url=f"http://127.0.0.1:{port}/mcp")
    finally:
        process.kill()
        await process.wait()


async def log_in(bench, server, *, extra="", shown=None):
    """A person with a browser."""
    browsing = []

    async def browse(url):
        async with httpx.AsyncClient(follow_redirects=True) as browser:
            return (await browser.get(url + extra)).text

    def show(url):
        browsing.append(asyncio.ensure_future(browse(url)))

    try:
        return await hub.log_in(server, bench.places, SystemClock(), show), await browsing[0] if browsing else ""
    finally:
        for one in browsing:
            page = await one
            if shown is not None:
                shown.append(page)


async def counts(server):
    async with httpx.AsyncClient() as client:
        return (await client.get(server.url.replace("/mcp", "/counts"))).json()


async def test_a_person_logs_in_and_the_token_is_used(tmp_path):
    async with behind_a_login(3600) as server, Bench(tmp_path, server) as bench:
        await bench.until(lambda: bench.told)
        assert bench.told[0] == "docs: it asks for a login: `signoff mcp login docs`"
        assert (await counts(server))["clients"] == 0  # nothing was begun without a person
        asked, page = await log_in(bench, server)
        assert asked
        assert "You are logged in" in page
        tokens = bench.places.tokens("docs")
        assert tokens.stat().st_mode & 0o777 == 0o600
        assert not tokens.with_name("docs.tokens.new").exists()
        await bench.up("docs")
        assert (await bench.call("docs", "echo", text="hi")).text == "hi"
        assert (await counts(server)) == {"clients": 1, "tokens": 1}


async def test_a_token_that_has_expired_is_renewed_after_a_restart(tmp_path):
    async with behind_a_login(1) as server:
        async with Bench(tmp_path, server) as bench:
            await log_in(bench, server)
            await bench.up("docs")
        async with Bench(tmp_path, server) as bench:
            await bench.up("docs")
            assert (await counts(server))["tokens"] >= 2
            assert (await counts(server))["clients"] == 1


async def test_a_token_that_is_refused_asks_for_a_person(tmp_path):
    async with behind_a_login(3600) as server:
        bench = Bench(tmp_path, server)
        await log_in(bench, server)
        tokens = bench.places.tokens("docs")
        kept = json.loads(tokens.read_text())
        kept["tokens"] = {"access_token": "stolen", "refresh_token": "void"}
        tokens.write_text(json.dumps(kept))
        async with bench:
            await bench.until(lambda: bench.told)
            assert "`signoff mcp login docs`" in bench.told[0]
            seen = ToolSpec(name="docs__echo", about="", parameters={}, verb="echo")
            failure = await bench.hub.call(seen, {"text": "x"}, 5)
            assert "a person has to do that" in failure.recovery


async def test_a_login_that_is_refused_changes_nothing(tmp_path):
    async with behind_a_login(3600) as server:
        bench, shown = Bench(tmp_path, server), []
        with pytest.raises(EndedError, match="the login was refused"):
            await log_in(bench, server, extra="&no=1", shown=shown)
        assert "The login was refused" in shown[0]
        assert not bench.places.tokens("docs").exists()


async def test_a_server_that_asks_for_no_login_says_so(tmp_path):
    async with listening() as (_process, url):
        server = Server(name="docs", file="f", url=url)
        assert await log_in(Bench(tmp_path, server), server) == (False, "")


async def test_the_callback_is_for_the_browser_alone():
    from agents.tools.mcp.login import listening as callback

    async with callback() as (url, wait), httpx.AsyncClient() as browser:
        assert "not the place" in (await browser.get(url.replace("/callback", "/other"))).text
        assert "logged in" in (await browser.get(f"{url}?code=1&state=2")).text
        assert "already" in (await browser.get(f"{url}?code=1&state=2")).text
        result = await wait()
        assert (result.code, result.state) == ("1", "2")


async def test_nobody_waits_for_a_person_for_ever(monkeypatch):
    from agents.tools.mcp import login

    monkeypatch.setattr(login, "LOGIN_SECONDS", 0.05)
    async with login.listening() as (_url, wait):
        with pytest.raises(EndedError, match="nobody came back"):
            await wait()
