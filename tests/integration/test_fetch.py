"""fetch_url against a real server on this machine, which counts as public here alone, and against what attackers do."""

import asyncio
import contextlib
import gzip
import io
import ipaddress
import socket
import ssl
import subprocess
import sys
import zlib

import pytest
from aiohttp import web

from agents.tools import addresses, child, fetching, webpage
from agents.tools.fetching import SPEC, FetchUrl
from agents.tools.web import BYTES_MAX, Gates, Web, resolve_by_system
from core.model.team import EffectClass, Reach, Tier
from core.ports import Workplace
from core.rules.schema import check_arguments
from tests import papers

PAGE = """<!doctype html><html><head><title>Hello</title><style>p {}</style></head><body>
<nav>Menu</nav><h1>Bread</h1><p>Flour and <a href="/water?x=1">water</a>.</p></body></html>"""


def vet(address):
    """As always, but for the one address the test's own server is at."""
    return "" if address == ipaddress.ip_address("127.0.0.1") else addresses.trouble_of(address)


class Names:
    """A resolver that knows what it is told; a list of answers is given one by one."""

    def __init__(self):
        self.known = {}
        self.asked = []

    async def __call__(self, host):
        self.asked.append(host)
        answer = self.known.get(host, ["127.0.0.1"])
        if answer and isinstance(answer[0], list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if not answer:
            raise socket.gaierror("no such name")
        return answer


class Outside:
    """A web server, the names that lead to it, and a role that may reach them."""

    def __init__(self):
        self.names = Names()
        self.app = web.Application()
        self.seen = []
        self.raw = {}
        self.app.router.add_get("/{path:.*}", self._answer)
        self.fetch = FetchUrl(web=self.web())
        self.port = 0

    def web(self, **more):
        gates = more.pop("gates", None) or Gates(gap_seconds=0)
        return Web(**{"agent": "Signoff/9", "resolve": self.names, "vet": vet, "gates": gates, **more})

    def page(self, path, body=b"", *, status=200, wait=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.raw[path] = (status, headers, body if isinstance(body, bytes) else body.encode(), wait)

    async def _answer(self, request):
        self.seen.append(request)
        status, headers, body, wait = self.raw[request.path]
        if wait is not None:
            return await wait(request)
        return web.Response(status=status, headers=headers, body=body)

    def url(self, path="/", host="docs.test", scheme="http"):
        return f"{scheme}://{host}:{self.port}{path}"

    async def get(self, url, *, egress=None, task="t-1", attempt="t-1:0:e0", seconds_max=30, **more):
        checked = check_arguments(SPEC.parameters, {"url": url, **more})
        assert isinstance(checked, dict), checked
        reach = Reach(egress=("docs.test", f"*:{self.port}") if egress is None else egress)
        place = Workplace(role="dev", task=task, attempt=attempt, seconds_max=seconds_max, reach=reach)
        result = await self.fetch.run(checked, place)
        assert result.untrusted
        return result

    async def why(self, url, **more):
        result = await self.get(url, **more)
        assert result.failure is not None, result.text[:200]
        assert result.failure.recovery
        return result.failure.why


@contextlib.asynccontextmanager
async def served(outside, tls=None):
    runner = web.AppRunner(outside.app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    outside.port = site._server.sockets[0].getsockname()[1]
    try:
        yield outside
    finally:
        await runner.cleanup()


@pytest.fixture
async def outside():
    async with served(Outside()) as there:
        yield there


@contextlib.asynccontextmanager
async def raw(outside, *chunks, then_hang=False, endless=None):
    """A server that says these bytes, whatever they are."""
    hold, over = asyncio.Event(), []

    async def answer(reader, writer):
        over.append(asyncio.current_task())
        with contextlib.suppress(OSError):
            await reader.readuntil(b"\r\n\r\n")
            for chunk in chunks:
                writer.write(chunk)
                await writer.drain()
            while endless is not None and not hold.is_set():
                writer.write(endless)
                await writer.drain()
                await asyncio.sleep(0.005)
            if then_hang:
                await hold.wait()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    before, outside.port = outside.port, server.sockets[0].getsockname()[1]
    try:
        yield
    finally:
        hold.set()
        outside.port = before
        server.close()
        if over:
            await asyncio.wait(over, timeout=5)


# --- What comes back ------------------------------------------------------------------------------------------------


async def test_a_page_comes_back_as_text(outside):
    outside.page("/bread", PAGE, Content_Type="text/html; charset=utf-8")
    result = await outside.get(outside.url("/bread"))
    assert result.failure is None
    head, _, text = result.text.partition("\n")
    assert head.startswith(f"http://docs.test:{outside.port}/bread: text/html, ")
    assert text == f"Title: Hello\n\n# Bread\n\nFlour and [water](http://docs.test:{outside.port}/water?x=1)."
    request = outside.seen[0]
    assert request.method == "GET"
    assert request.headers["User-Agent"] == "Signoff/9"
    assert request.headers["Host"] == f"docs.test:{outside.port}"
    assert not {"Cookie", "Authorization", "Referer", "Proxy-Authorization"} & set(request.headers)


def test_the_spec_says_what_it_is():
    assert (SPEC.tier, SPEC.effect, SPEC.untrusted, SPEC.on_demand) == (Tier.READ, EffectClass.READ, True, False)
    assert FetchUrl().spec is SPEC
    assert not FetchUrl().remembers


KINDS = (
    ("text/plain", b"plain", "plain"),
    ("text/markdown; charset=utf-8", "# Brötchen".encode(), "# Brötchen"),
    ("application/json", b'{"a": 1}', '{"a": 1}'),
    ("application/ld+json", b"{}", "{}"),
    ("application/atom+xml", b"<feed/>", "<feed/>"),
    ("application/xhtml+xml", b"<html><body><p>x</p></body></html>", "x"),
    ("text/plain; charset=iso-8859-1", b"Br\xf6tchen", "Brötchen"),
    ("text/plain; charset='KOI8-R'", "хлеб".encode("koi8-r"), "хлеб"),
    ("text/plain; charset=utf-16", "хлеб".encode("utf-16-le"), "хлеб"),
    ("text/plain; charset=base64", b"eA==", "eA=="),
    ("text/plain; charset=utf-7", b"+ADw-", "+ADw-"),
    ("text/plain", "хлеб".encode("utf-16"), "хлеб"),
    ("text/plain", b"\xef\xbb\xbfx", "x"),
    ("text/plain", b"Br\xf6tchen \x93", "Brötchen “"),
    ("text/html", '<meta charset="windows-1251"><p>хлеб'.encode("windows-1251"), "хлеб"),
    ("text/plain", "a\u202eb\u200bc\U000e0041d\x1b[0m\r\ne".encode(), "abcd[0m\ne"),
)


@pytest.mark.parametrize(("kind", "body", "text"), KINDS)
async def test_text_is_read_in_the_charset_it_is_in(outside, kind, body, text):
    outside.page("/x", body, Content_Type=kind)
    assert (await outside.get(outside.url("/x"))).text.partition("\n")[2] == text


@pytest.mark.parametrize("kind", ["image/png", "application/zip", "application/octet-stream", "video/mp4", "x"])
async def test_other_kinds_are_refused(outside, kind):
    outside.page("/x", b"text, really", Content_Type=kind)
    assert "only HTML, text, JSON and PDF" in await outside.why(outside.url("/x"))


async def test_what_says_nothing_of_itself_is_looked_at(outside):
    for body, said in ((b"<!DOCTYPE html><p>x", "\nx"), (b"<b>x", "\n<b>x"), (b"", "\n")):
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
        async with raw(outside, head + body):
            assert (await outside.get(outside.url())).text.endswith(said)
    async with raw(outside, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\0\1"):
        assert "'no text'" in await outside.why(outside.url())


async def test_a_pdf_is_read_from_the_page_asked_for(outside):
    outside.page("/p", papers.pdf("one", "two", "three"), Content_Type="application/pdf")
    result = await outside.get(outside.url("/p#page=2"))
    assert "pages 2-3 of 3" in result.text
    assert "two" in result.text
    assert "one" not in result.text.partition("\n")[2]
    outside.page("/q", b"%PDF-1.7 broken", Content_Type="application/octet-stream")
    assert "damaged" in await outside.why(outside.url("/q"))


async def test_a_long_text_goes_on_without_another_request(outside):
    outside.page("/x", "ä" * 30_000, Content_Type="text/plain; charset=utf-8")
    first = await outside.get(outside.url("/x"), limit=1001)
    assert "bytes 0-1000; go on with offset 1000\n" in first.text
    second = await outside.get(outside.url("/x"), offset=1000, limit=65_536)
    assert second.text.endswith("bytes 1000-60000\n" + second.text.partition("\n")[2])
    assert len(outside.seen) == 1
    assert len(second.text.encode()) <= SPEC.output_bytes_max
    assert "bytes 60000-60000\n" in (await outside.get(outside.url("/x"), offset=99_999)).text
    await outside.get(outside.url("/x"))  # from the start is anew
    await outside.get(outside.url("/x"), offset=1, task="t-2")  # and each task has its own
    assert len(outside.seen) == 3
    for n in range(4):
        outside.page(f"/{n}", b"x", Content_Type="text/plain")
        await outside.get(outside.url(f"/{n}"))
    await outside.get(outside.url("/x"), offset=1)
    assert len(outside.seen) == 8


async def test_what_is_kept_is_bounded(outside):
    outside.page("/x", b"x" * 1_900_000, Content_Type="text/plain")
    for n in range(12):
        await outside.get(outside.url("/x"), task=f"t-{n}")
    assert sum(len(page.text) for page in outside.fetch._kept._pages.values()) <= fetching._KEPT_BYTES_MAX


# --- Whom it asks ---------------------------------------------------------------------------------------------------


async def test_without_egress_nothing_is_reached(outside):
    result = await outside.get(outside.url(), egress=())
    assert result.failure.why == "dev may reach no host"
    assert f"add docs.test:{outside.port} to reach.egress of dev in agents/team.yaml" in result.failure.recovery
    result = await outside.get("https://a.org/", egress=("docs.test",))
    assert result.failure.why == "dev reaches only docs.test"
    assert "add a.org to reach.egress" in result.failure.recovery
    assert outside.names.asked == []


async def test_an_odd_url_is_refused_before_anything_is_asked(outside):
    assert "user name" in await outside.why("http://u:p@docs.test/")
    assert outside.names.asked == []


BAD_ANSWERS = (
    ["10.0.0.1"],
    ["::1"],
    ["127.0.0.1", "10.0.0.1"],
    ["8.8.8.8", "fe80::1%eth0"],
    ["::ffff:169.254.169.254"],
)


@pytest.mark.parametrize("answer", BAD_ANSWERS)
async def test_one_private_answer_is_enough_to_refuse(outside, answer):
    outside.page("/", b"x", Content_Type="text/plain")
    outside.names.known["docs.test"] = answer
    assert "no public address" in await outside.why(outside.url())
    assert outside.seen == []


@pytest.mark.parametrize(
    "host", ["127.0.0.2", "10.0.0.1", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "①②⑦.⓪.⓪.②"]
)
async def test_private_addresses_are_refused_in_every_dress(outside, host):
    assert "no public address" in await outside.why(f"http://{host}:{outside.port}/")


async def test_nothing_is_loopback_but_for_the_tests_switch(outside):
    outside.page("/", b"x", Content_Type="text/plain")
    outside.fetch = FetchUrl(web=Web(resolve=outside.names))
    assert "no public address (this machine)" in await outside.why(outside.url())
    assert outside.seen == []


async def test_the_address_that_was_vetted_is_the_one_that_is_asked(outside):
    """A name that is public at first and private when it is asked again (DNS rebinding) is asked once."""
    outside.page("/", b"x", Content_Type="text/plain")
    outside.names.known["docs.test"] = [["127.0.0.1"], ["10.0.0.1"]]
    assert (await outside.get(outside.url())).failure is None
    assert outside.names.asked == ["docs.test"]
    assert "10.0.0.1" in await outside.why(outside.url())


async def test_names_that_do_not_resolve_are_said_not_to(outside):
    outside.names.known["docs.test"] = []
    assert "was not resolved" in await outside.why(outside.url())

    async def nothing(host):
        return ["nonsense"] if host == "odd.test" else []

    outside.fetch = FetchUrl(web=outside.web(resolve=nothing))
    assert "has no address" in await outside.why(outside.url())
    assert "was not resolved" in await outside.why(outside.url(host="odd.test"))


async def test_the_system_resolves_no_name_below_its_own_domains(monkeypatch):
    asked = []

    async def getaddrinfo(host, port, **more):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    assert await resolve_by_system("docs.test") == ["192.0.2.1"]
    assert asked == ["docs.test."]


async def test_the_next_address_is_tried(outside):
    outside.page("/", b"x", Content_Type="text/plain")
    closed = socket.socket()
    closed.bind(("127.0.0.2", outside.port))  # nobody listens
    outside.names.known["docs.test"] = ["127.0.0.2", "127.0.0.1"]
    outside.fetch = FetchUrl(web=outside.web(vet=lambda address: ""))
    assert (await outside.get(outside.url())).failure is None
    outside.names.known["docs.test"] = ["127.0.0.2"]
    assert "connect" in await outside.why(outside.url())
    closed.close()


async def test_no_proxy_of_the_environment_is_used(outside, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    outside.page("/", b"x", Content_Type="text/plain")
    assert (await outside.get(outside.url())).failure is None


# --- Redirects ------------------------------------------------------------------------------------------------------


async def test_redirects_are_followed_and_shown(outside):
    outside.page("/a", status=302, Location="/b?x=ä", Set_Cookie="a=b")
    outside.page("/b", status=308, Location=outside.url("/c", host="more.test"))
    outside.page("/c", b"x", Content_Type="text/plain")
    result = await outside.get(outside.url("/a"))
    here = f"docs.test:{outside.port}"
    assert result.text.startswith(f"http://more.test:{outside.port}/c (redirected by {here}, then {here}): text/plain")
    assert outside.names.asked == ["docs.test", "docs.test", "more.test"]
    assert all("Cookie" not in request.headers for request in outside.seen)


BAD_PLACES = (
    ("http://10.0.0.1:{port}/", "no public address"),
    ("http://[::1]:{port}/", "no public address"),
    ("http://inner.test:{port}/", "no public address"),
    ("http://2130706433:{port}/", "odd way"),
    ("http://docs.test:22/", "reaches only"),
    ("//a.org:22/", "reaches only"),
    ("file:///etc/passwd", "only http"),
    ("http://u:p@docs.test/", "user name"),
    ("http://docs.test/ x", "blanks"),
)


@pytest.mark.parametrize(("place", "why"), BAD_PLACES)
async def test_a_redirect_is_looked_at_like_any_url(outside, place, why):
    outside.names.known["inner.test"] = ["192.168.0.1"]
    outside.page("/", status=301, Location=place.format(port=outside.port))
    result = await outside.get(outside.url())
    assert why in result.failure.why
    assert "team.yaml" not in result.failure.recovery
    assert len(outside.seen) == 1


async def test_redirects_end(outside):
    outside.page("/", status=302, Location="/")
    assert "redirects more than 5 times" in await outside.why(outside.url())
    assert len(outside.seen) == 6
    outside.page("/x", status=302)
    assert await outside.why(outside.url("/x")) == "HTTP 302"


# --- Bounds ---------------------------------------------------------------------------------------------------------


async def test_a_large_page_is_not_read(outside):
    outside.page("/", b"x" * 10_000_000, Content_Type="text/plain")
    assert f"larger than {BYTES_MAX}" in await outside.why(outside.url())
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with raw(outside, head, endless=b"10000\r\n" + b"x" * 65_536 + b"\r\n"):
        assert f"larger than {BYTES_MAX}" in await outside.why(outside.url())


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_bomb_stops_early(outside, coding):
    zeros = b"0" * 100_000_000
    bomb = gzip.compress(zeros, 9) if coding == "gzip" else zlib.compress(zeros, 9)
    assert len(bomb) < BYTES_MAX
    outside.page("/", bomb, Content_Type="text/plain", Content_Encoding=coding)
    assert f"larger than {BYTES_MAX}" in await outside.why(outside.url())


async def test_what_is_packed_is_unpacked(outside):
    for coding, body in (
        ("gzip", gzip.compress(b"bread")),
        ("deflate", zlib.compress(b"bread")),
        ("identity", b"bread"),
    ):
        outside.page("/", body, Content_Type="text/plain", Content_Encoding=coding)
        assert (await outside.get(outside.url())).text.endswith("\nbread")
    outside.page("/", b"bread", Content_Type="text/plain", Content_Encoding="gzip")
    assert "cannot be unpacked" in await outside.why(outside.url())
    for coding in ("br", "gzip, gzip", "zstd"):
        outside.page("/", b"bread", Content_Type="text/plain", Content_Encoding=coding)
        assert "not asked for" in await outside.why(outside.url())


async def test_slow_servers_are_left(outside):
    outside.fetch = FetchUrl(web=outside.web(), seconds_max=0.3)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000000\r\n\r\n"
    for drip in ({"then_hang": True}, {"endless": b"x"}):
        async with raw(outside, head, **drip):
            assert "took more than 0 s" in await outside.why(outside.url())
    async with raw(outside, then_hang=True):
        assert "took more than 0 s" in await outside.why(outside.url())
    async with raw(outside, endless=b"HTTP/1.1 102 Processing\r\n\r\n"):
        assert "took more than 0 s" in await outside.why(outside.url())


async def test_a_server_that_says_nothing_for_long_is_left(outside, monkeypatch):
    monkeypatch.setattr("agents.tools.web._LIMITS", {"timeout": {"connect": 5, "read": 0.1}})
    async with raw(outside, then_hang=True):
        assert "did not answer in time" in await outside.why(outside.url())


NO_HTTP = (
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"x" * 200_000 + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(40_000)) + b"\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"",
)


@pytest.mark.parametrize("answer", NO_HTTP)
async def test_what_is_no_http_is_refused(outside, answer):
    async with raw(outside, answer):
        assert await outside.why(outside.url())


STATUSES = ((404, "no such page"), (403, "login"), (500, "HTTP 500"), (304, "HTTP 304"), (429, "HTTP 429"), (206, ""))


@pytest.mark.parametrize(("status", "why"), STATUSES)
async def test_what_went_wrong_is_said(outside, status, why):
    outside.page("/", b"", status=status, Content_Type="text/plain")
    if why:
        assert why in await outside.why(outside.url())
    else:
        assert (await outside.get(outside.url())).failure is None


async def test_a_stop_is_at_once(outside):
    started, hold = asyncio.Event(), asyncio.Event()

    async def hang(request):
        started.set()
        await hold.wait()
        return web.Response()

    outside.page("/", wait=hang)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(outside.get(outside.url(), attempt="a"))
        await started.wait()
        await outside.fetch.cancel("another")
        await outside.fetch.cancel("a")
    hold.set()
    assert "was stopped" in running.result().failure.why


# --- Manners --------------------------------------------------------------------------------------------------------


async def test_one_request_at_a_time_for_each_host(outside):
    now = {"docs.test": 0, "more.test": 0}
    most = dict(now)
    both = asyncio.Event()

    async def busy(request):
        host = request.host.partition(":")[0]
        now[host] += 1
        most[host] = max(most[host], now[host])
        if sum(now.values()) == 2:
            both.set()
        await asyncio.wait_for(both.wait(), 5)
        now[host] -= 1
        return web.Response(text="x")

    outside.page("/", wait=busy)
    async with asyncio.TaskGroup() as tasks:
        for n in range(3):
            for host in most:
                tasks.create_task(outside.get(outside.url(host=host), attempt=f"{host}{n}"))
    assert most == {"docs.test": 1, "more.test": 1}


async def test_a_pause_lies_between_two_requests(outside):
    outside.page("/", b"x", Content_Type="text/plain")
    loop = asyncio.get_running_loop()
    outside.fetch = FetchUrl(web=outside.web(gates=Gates(gap_seconds=0.2)))
    await outside.get(outside.url())
    began = loop.time()
    await outside.get(outside.url())
    assert loop.time() - began >= 0.19


async def test_who_would_wait_too_long_is_told_when(outside):
    outside.page("/", b"x", Content_Type="text/plain")
    outside.fetch = FetchUrl(web=outside.web(gates=Gates(gap_seconds=60, wait_seconds_max=1)))
    await outside.get(outside.url())
    result = await outside.get(outside.url())
    assert result.failure.recovery.startswith(("try again in 60 s", "try again in 59 s"))
    assert len(outside.seen) == 1


async def test_who_waits_for_others_too_long_is_told_when(outside):
    started, hold = asyncio.Event(), asyncio.Event()

    async def hang(request):
        started.set()
        await hold.wait()
        return web.Response(text="x")

    outside.page("/", wait=hang)
    outside.fetch = FetchUrl(web=outside.web(gates=Gates(gap_seconds=0, wait_seconds_max=0.1)))
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(outside.get(outside.url(), attempt="a"))
        await started.wait()
        result = await outside.get(outside.url(), attempt="b")
        hold.set()
    assert "under way" in result.failure.why
    assert first.result().failure is None


async def test_a_host_that_asks_for_rest_gets_it(outside):
    outside.page("/", status=429, Retry_After="120")
    assert "busy" in await outside.why(outside.url())
    result = await outside.get(outside.url())
    assert "try again in 120 s" in result.failure.recovery or "try again in 119 s" in result.failure.recovery
    assert len(outside.seen) == 1


async def test_hosts_are_forgotten(monkeypatch):
    monkeypatch.setattr("agents.tools.web._GATES_MAX", 3)
    gates = Gates(gap_seconds=0)
    for n in range(10):
        async with gates.turn(f"h{n}"):
            pass
    assert len(gates._gates) <= 4


# --- TLS ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def paper(tmp_path_factory):
    """A certificate for docs.test, made here."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=docs.test"),
            *("-addext", "subjectAltName=DNS:docs.test", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"),
        ],
        check=True,
        capture_output=True,
    )
    return folder


async def test_the_certificate_must_be_the_names(paper):
    asked = []
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(paper / "cert.pem", paper / "key.pem")
    server.sni_callback = lambda sock, name, context: asked.append(name)
    outside = Outside()
    outside.page("/", b"x", Content_Type="text/plain")
    outside.page("/down", status=302, Location="http://docs.test/")

    def trusting():
        return ssl.create_default_context(cafile=paper / "cert.pem")

    async with served(outside, server):
        outside.fetch = FetchUrl(web=outside.web(tls=trusting))
        assert (await outside.get(outside.url(scheme="https"))).text.endswith("\nx")
        assert asked == ["docs.test"]
        assert "from https to http" in await outside.why(outside.url("/down", scheme="https"))
        assert "certificate" in (await outside.why(outside.url(host="evil.test", scheme="https"))).lower()
        outside.fetch = FetchUrl(web=outside.web())  # the world's own certificates
        assert "certificate" in (await outside.why(outside.url(scheme="https"))).lower()


async def test_it_makes_its_own_way_out_when_it_is_first_needed():
    fetch = FetchUrl(agent="Signoff/1")
    place = Workplace(role="dev", task="t", attempt="a", seconds_max=30, reach=Reach(egress=("*",)))
    result = await fetch.run({"url": "http://127.0.0.1/"}, place)
    assert "no public address" in result.failure.why


# --- Pages ----------------------------------------------------------------------------------------------------------

SEEN = (
    ("<p>a<p>b", "a\n\nb"),
    ("<h2>T<em>w</em>o</h2>x", "## Two\n\nx"),
    ("a <b>b</b>\n\t c<br>d", "a b c\nd"),
    ("<ul><li>a<li>b</ul><ol><li>c<li>d</ol>", "- a\n- b\n\n1. c\n2. d"),
    ("<table><tr><th>A<th>B<tr><td>1<td><p>2<p>3</table>", "A | B\n1 | 2 3"),
    ("<pre>def f():\n    return 1\n</pre>", "def f():\n    return 1"),
    ("<a href='/x'>a</a> <a href='#y'>b</a> <a href='javascript:z()'>c</a>", "[a](http://h.test/x) b c"),
    ("<a href='/x'><div>a</div><div>b</div></a>", "[ a b ](http://h.test/x)"),
    ("<a href='/x'></a>", "<http://h.test/x>"),
    ("<a>a</a><a href='http://[x'>b</a>", "ab"),
    ("<img alt='a cat' src=x><img src=y>", "[image: a cat]"),
    ("a<hr>b", "a\n---\nb"),
    ("<details><summary>a</summary>b</details><dialog>no</dialog><dialog open>c</dialog>", "a\nb\n\nc"),
    ("&lt;b&gt; &amp;", "<b> &"),
    ("<svg><text>no</text></svg><noscript>no</noscript><template>no</template><button>no</button>", ""),
    ("<base href='http://o.test/d/'><a href=x>a</a>", "[a](http://o.test/d/x)"),
)


@pytest.mark.parametrize(("html", "text"), SEEN)
def test_a_page_reads_as_it_looks(html, text):
    assert webpage.extract(html.encode(), "http://h.test/") == {"title": "", "text": text}


HIDDEN = (
    "<p hidden>EVIL</p>",
    "<p hidden=until-found>EVIL</p>",
    "<p aria-hidden='TRUE'>EVIL</p>",
    "<div role=navigation>EVIL</div>",
    "<!-- EVIL -->",
    "<script>EVIL</script><style>EVIL</style>",
    "<div hidden><p><b>EVIL</b></p></div>",
    "<input value=EVIL><textarea>EVIL</textarea>",
    *(
        f"<p style='{style}'>EVIL</p>"
        for style in (
            "display:none",
            "color:red; DISPLAY : None !important",
            "display:/**/none",
            "visibility:hidden",
            "visibility: collapse",
            "opacity:0",
            "opacity: 0.0;",
            "font-size:0",
            "font-size: 0px",
            "font-size: .5px",
            "font-size:1pt;",
            "height:0;overflow:hidden",
            "max-width:0",
            "position:absolute;left:-9999px",
            "text-indent:-999em",
            "clip:rect(0,0,0,0)",
            "clip-path: inset(100%)",
            "transform: scale(0)",
            "color:transparent",
            "content-visibility:hidden",
            "d\\69splay:none",
        )
    ),
    "<p>E\u200bV\u00adIL</p>".replace("EV", "")[:0] + "<iframe>EVIL</iframe>",
    "".join(chr(0xE0000 + ord(char)) for char in "EVIL"),
)


@pytest.mark.parametrize("html", HIDDEN)
def test_what_nobody_sees_is_not_told(html):
    assert webpage.extract(f"a{html}".encode(), "http://h.test/")["text"] == "a"


SHOWN = (
    "font-size:10px",
    "font-size:0.9em",
    "line-height:0",
    "min-height:0",
    "opacity:0.5",
    "margin-left:-2px",
    "left:0",
)


@pytest.mark.parametrize("style", SHOWN)
def test_what_one_sees_is_told(style):
    assert webpage.extract(f"<p style='{style}'>a".encode(), "http://h.test/")["text"] == "a"


def test_a_page_that_is_too_much_is_refused():
    with pytest.raises(webpage.PageError, match="too long"):
        webpage.read("<p>x", "http://h.test/", seconds_max=0)
    with pytest.raises(webpage.PageError, match="selectolax"):
        webpage.told(b'{"trouble": "this installation lacks the library selectolax"}\n')


async def test_a_page_that_cannot_be_read_is_a_failure(outside, monkeypatch):
    outside.page("/", b"x", Content_Type="text/html")
    read = webpage.read
    monkeypatch.setattr(webpage, "read", lambda html, base: read(html, base, seconds_max=0))
    assert "too long" in await outside.why(outside.url())


def test_the_child_has_no_secrets(monkeypatch):
    given = []
    popen = subprocess.Popen
    monkeypatch.setenv("SECRET", "s")
    monkeypatch.setattr(child.subprocess, "Popen", lambda *a, **more: given.append(more) or popen(*a, **more))
    assert webpage.read("<title>T</title><body>x", "http://h.test/") == "Title: T\n\nx"
    assert given[0]["env"] == {"PATH": ""}


def test_the_child_has_limits():
    code = (
        "import runpy, resource, sys; m = runpy.run_path(sys.argv[1], run_name='webpage'); m['_limit']();"
        "print([resource.getrlimit(k)[0] for k in (resource.RLIMIT_CPU, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE)])"
    )
    limits = subprocess.run([sys.executable, "-c", code, webpage.__file__], capture_output=True, text=True, check=True)
    assert limits.stdout.strip() == f"[6, {8 * 1024 * 1024}, 0]"


def test_the_child_says_what_it_read():
    written = io.StringIO()
    with contextlib.redirect_stdout(written), pytest.MonkeyPatch.context() as patch:
        patch.setattr(webpage, "_limit", lambda: None)
        patch.setattr(sys, "argv", ["webpage.py", "http://h.test/"])
        webpage.main(io.BytesIO("<p>häl".encode()))
    assert webpage.told(written.getvalue().encode()) == "häl"


def test_deep_pages_end():
    html = "<div>" * 3_000 + "deep"
    assert webpage.extract(html.encode(), "http://h.test/")["text"] == "deep"


def test_no_library_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "selectolax.lexbor", None)
    assert "selectolax" in webpage.extract(b"x", "")["trouble"]
