"""What people send is read by agents: as text, as a PDF's text, as a picture; and as data, whatever it says."""

from __future__ import annotations

import asyncio
import base64
import io
import resource
import signal
import subprocess
import sys
import threading
import zlib

import pytest

from agents.tools import child, pdf, pictures
from agents.tools.file_tools import SPECS
from agents.tools.files import version_of
from bots.shelf import WorkspaceShelf
from core.rules import words
from tests import papers
from tests.integration.test_file_tools import Desk


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def sent(desk, name, body):
    """A person's file, put where the shelf puts it. Returns the path that the request names."""
    path = WorkspaceShelf(desk.root / "files").keep(name, f"chat:1:{name}", body)
    line = words.file_kept(name, path, "", len(body))
    assert f" is at {path} (" in line
    return path


@pytest.fixture
def read(desk):
    async def read(name, body, **more):
        return await desk.call("read_file", path=sent(desk, name, body), **more)

    return read


# --- Paths and trust ------------------------------------------------------------------------------------------------

NAMES = ["report.pdf", "../../etc/passwd", "my report (1).pdf", "ключ 報告.txt", ".signoff-0123456789abcdef", "-rf", ""]


@pytest.mark.parametrize("name", [*NAMES, "a" * 500 + ".txt", "\u202egnp.exe", "файл" * 60])
async def test_what_the_request_names_is_what_the_tool_takes(read, name):
    result = await read(name, b"hello")
    assert result.failure is None
    assert result.text.endswith("\nhello")
    assert result.untrusted


@pytest.mark.parametrize("tool", ["read_file", "write_file"])
async def test_a_file_has_one_name(desk, tool):
    """A rule about `file:shared/plan.md` must not be passed by under another name."""
    more = {"content": "x"} if tool == "write_file" else {}
    refused = await desk.call(tool, path="files/shared/plan.md", **more)
    assert "leave out files/" in refused.failure.recovery
    await desk.call("write_file", path="files/mine.md", content="a folder of one's own")
    assert (await desk.call("read_file", path="files/mine.md")).text.endswith("own")


async def test_only_what_people_sent_is_from_outside(desk):
    for path, outside in (("shared/inbox/a/x.md", True), ("shared/inbox.md", False), ("inbox/x.md", False)):
        await desk.call("write_file", path=path, content="x")
        assert (await desk.call("read_file", path=path)).untrusted is outside
    (desk.root / "files/shared/INBOX").mkdir(exist_ok=True)
    (desk.root / "files/shared/INBOX/y.md").write_text("where names are the same in large letters")
    assert (await desk.call("read_file", path="shared/INBOX/y.md")).untrusted
    assert not (await desk.call("read_file", path="shared/inbox/none.md")).untrusted


# --- PDFs -----------------------------------------------------------------------------------------------------------


async def test_a_pdf_is_read_page_by_page(read):
    body = papers.pdf("Invoice\n42 EUR", "", "Terms")
    result = await read("invoice.pdf", body)
    head, text = result.text.split("\n", 1)
    assert head.startswith("shared/inbox/")
    assert head.endswith(f"/invoice.pdf: a PDF, {len(body)} bytes, version {version_of(body)}, pages 1-3 of 3")
    assert text == "[page 1 of 3]\nInvoice\n42 EUR\n[page 2 of 3]\n(no text on this page)\n[page 3 of 3]\nTerms"
    assert result.untrusted
    assert result.picture is None


async def test_it_goes_on_at_a_page(read):
    body = papers.pdf(*(f"page {n} " + "word " * 200 for n in range(1, 13)))
    first = await read("book.pdf", body, limit=3_000)
    assert "pages 1-2 of 12; go on with offset 3\n" in first.text
    third = await read("book.pdf", body, offset=3, limit=1)
    assert "pages 3-3 of 12; go on with offset 4\n" in third.text
    assert third.text.endswith("[page 3 of 12]\np\n(this page goes on; it is cut here)")
    last = await read("book.pdf", body, offset=12)
    assert "pages 12-12 of 12\n" in last.text
    beyond = await read("book.pdf", body, offset=13)
    assert (beyond.failure.why, beyond.failure.recovery) == (
        "it has 12 pages, and no page 13",
        "name a page from 1 to 12 as offset",
    )
    assert not beyond.untrusted
    assert len((await read("book.pdf", body, limit=65_536)).text.encode()) <= SPECS["read_file"].output_bytes_max


async def test_a_long_one_is_read_a_hundred_pages_at_a_time(read):
    body = papers.pdf(*(str(n) for n in range(1, 121)))
    assert "pages 1-100 of 120; go on with offset 101" in (await read("long.pdf", body)).text


async def test_one_without_text_says_so(read):
    assert "they may be scanned" in (await read("scan.pdf", papers.pdf("", ""))).text


async def test_its_kind_is_in_its_bytes_and_not_in_its_name(read):
    assert "[page 1 of 1]\nhi" in (await read("notes.txt", papers.pdf("hi"))).text
    assert "[page 1 of 1]\nhi" in (await read("late.pdf", b"\r\n" + papers.pdf("hi"))).text
    assert (await read("plain.pdf", b"only text")).text.endswith("\nonly text")


LOCK = b"/Encrypt << /Filter /Standard /V 1 /R 2 /O (%s) /U (%s) /P -4 >> /ID [(a) (b)]" % (b"o" * 32, b"u" * 32)
CIPHER = b"/Encrypt << /Filter /Other /V 1 >> /ID [(a) (b)]"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"%PDF-1.7\nnothing more", "damaged"),
        (papers.pdf("a" * 100)[:150], "damaged"),
        (papers.pdf("secret", trailer=LOCK), "locked"),
        (papers.pdf("secret", trailer=CIPHER), "damaged"),
    ],
)
async def test_one_that_cannot_be_read_says_why(read, body, why):
    result = await read("odd.pdf", body)
    assert why in result.failure.why
    assert result.failure.recovery


def bomb(repeats):
    """Some hundred kilobytes that become `repeats` times 64 KB of drawing orders."""
    packer, orders = zlib.compressobj(9), b"BT /F1 10 Tf (%s) Tj ET\n" % (b"a" * 44) * 1_000
    return b"".join(packer.compress(orders) for _ in range(repeats)) + packer.flush()


async def test_a_page_that_grows_without_bound_is_left_out(read):
    result = await read("bomb.pdf", papers.pdf("before", bomb(3_000), "after"))
    assert "[page 2 of 3]\n(this page cannot be read)" in result.text
    assert "before" in result.text
    assert "[page 3 of 3]\nafter" in result.text
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 1024 * 1024 * (
        1024 if sys.platform == "darwin" else 1
    )


def test_a_page_that_never_ends_is_stopped_and_the_others_are_told(monkeypatch):
    started = []
    popen = subprocess.Popen
    monkeypatch.setattr(child.subprocess, "Popen", lambda *a, **more: started.append(popen(*a, **more)) or started[-1])
    found = pdf.read(papers.pdf("before", bomb(700), "after"), 1, 1_000, seconds_max=2)
    assert (found.first, found.last, found.pages_n) == (1, 2, 3)
    assert found.text == "[page 1 of 3]\nbefore\n[page 2 of 3]\n(this page cannot be read)"
    assert pdf.read(papers.pdf("before", bomb(1), "after"), 3, 1_000).text == "[page 3 of 3]\nafter"
    assert [process.returncode for process in started] == [-signal.SIGKILL, 0]  # and none is left


def test_one_that_cannot_even_be_opened_in_time_says_so():
    with pytest.raises(pdf.PdfError, match="too long"):
        pdf.read(papers.pdf("a"), 1, 1_000, seconds_max=0)


def test_the_child_knows_no_secret_and_has_limits(monkeypatch):
    """What it is started with, seen by a program in its place."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret")
    started = {}
    popen = subprocess.Popen

    def look(argv, **more):
        started.update(argv=argv, **more)
        return popen(argv, **more)

    monkeypatch.setattr(child.subprocess, "Popen", look)
    assert pdf.read(papers.pdf("a"), 1, 1_000).pages_n == 1
    assert started["env"] == {"PATH": ""}
    code = (
        "import runpy, resource, sys; m = runpy.run_path(sys.argv[1], run_name='pdf'); m['_limit']();"
        "print([resource.getrlimit(k) for k in (resource.RLIMIT_CPU, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE)])"
    )
    limits = subprocess.run([sys.executable, "-c", code, pdf.__file__], capture_output=True, text=True, check=True)
    assert limits.stdout.strip() == f"[(10, 10), ({4 * 1024 * 1024}, {4 * 1024 * 1024}), (0, 0)]"


def records(body, first=1, bytes_max=1_000):
    """What the child would write, here."""
    found = []
    pdf.extract(io.BytesIO(body), first, bytes_max, found.append)
    return found


def test_the_childs_records(monkeypatch):
    assert records(papers.pdf("a", "b")) == [{"pages": 2}, {"text": "a"}, {"text": "b"}, {"end": True}]
    assert records(papers.pdf("a", "b"), bytes_max=1) == [{"pages": 2}, {"text": "a"}, {"end": True}]
    cut = {"text": "ab\n(this page goes on; it is cut here)"}
    assert records(papers.pdf("abc", "d"), bytes_max=2) == [{"pages": 2}, cut, {"end": True}]
    assert records(papers.pdf("a"), first=7) == [{"pages": 1}, {"end": True}]
    assert records(papers.pdf("a", b"no deflate")) in (
        [{"pages": 2}, {"text": "a"}, {"text": None}, {"end": True}],
        [{"pages": 2}, {"text": "a"}, {"text": ""}, {"end": True}],
    )
    assert records(b"%PDF-") == [{"trouble": "broken"}]
    assert records(papers.pdf("a", trailer=LOCK)) == [{"trouble": "locked"}]
    monkeypatch.setattr(pdf, "_PAUSE_SECONDS", -1.0)
    assert records(papers.pdf("a", "b")) == [{"pages": 2}, {"text": "a"}, {"end": True}]
    monkeypatch.setitem(sys.modules, "pypdf", None)
    assert records(papers.pdf("a")) == [{"trouble": "missing"}]


@pytest.mark.parametrize(("raised", "trouble"), [(MemoryError, "heavy"), (RecursionError, "broken")])
def test_whatever_the_library_raises_is_a_trouble_in_words(monkeypatch, raised, trouble):
    import pypdf

    def broken(*_):
        raise raised

    monkeypatch.setattr(pypdf, "PdfReader", broken)
    (record,) = records(papers.pdf("a"))
    assert record == {"trouble": trouble}
    with pytest.raises(pdf.PdfError):
        pdf.told([record], 1)


def test_a_cipher_that_needs_more_than_the_library_is_a_lock(monkeypatch):
    import pypdf

    def needs(*_):
        raise pypdf.errors.DependencyError("cryptography is needed")

    monkeypatch.setattr(pypdf, "PdfReader", needs)
    assert records(papers.pdf("a")) == [{"trouble": "locked"}]


def test_a_page_that_breaks_the_library_leaves_the_others(monkeypatch):
    import pypdf

    whole = pypdf.PageObject.extract_text

    def broken(page):
        text = whole(page)
        if "b" in text:
            raise MemoryError
        return f"{text.strip()}\x00 \ud800"

    monkeypatch.setattr(pypdf.PageObject, "extract_text", broken)
    assert records(papers.pdf("a", "b", "c"))[1:] == [{"text": "a ?"}, {"text": None}, {"text": "c ?"}, {"end": True}]


def test_what_a_kill_cut_off_is_no_record():
    written = io.BytesIO(b'{"pages": 2}\n{"text": "a"}\n{"text": "ha')
    assert pdf.told(list(pdf._records(written)), 1).text.endswith("a\n[page 2 of 2]\n(this page cannot be read)")


async def test_not_more_than_two_are_read_at_once(desk, monkeypatch):
    paths = [sent(desk, f"{n}.pdf", papers.pdf(str(n))) for n in range(5)]
    now, most = 0, 0
    one = asyncio.Event()
    loop = asyncio.get_running_loop()
    gate, real = threading.Event(), pdf.read

    def counted(*arguments):
        nonlocal now, most
        now += 1
        most = max(most, now)
        loop.call_soon_threadsafe(one.set)
        gate.wait(5)
        now -= 1
        return real(*arguments)

    monkeypatch.setattr(pdf, "read", counted)
    async with asyncio.TaskGroup() as group:
        reading = [group.create_task(desk.call("read_file", path=path)) for path in paths]
        await one.wait()
        gate.set()
    assert all(task.result().failure is None for task in reading)
    assert most <= 2


# --- Pictures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("a.png", papers.png(3, 2), "image/png, 3 x 2 pixels"),
        ("b.txt", papers.jpeg(640, 480), "image/jpeg, 640 x 480 pixels"),
        ("c.gif", papers.gif(8_000, 1), "image/gif, 8000 x 1 pixels"),
        ("d.webp", papers.webp("VP8L", 5, 6), "image/webp, 5 x 6 pixels"),
    ],
)
async def test_a_picture_is_shown(read, name, body, said):
    result = await read(name, body)
    assert f"{name}: a picture, {said}, {len(body)} bytes, version " in result.text
    assert result.picture.body == body
    assert said.startswith(result.picture.media)
    assert result.untrusted


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (papers.png(8_001, 1), "8001 x 1 pixels"),
        (papers.png(padding=pictures.BYTES_MAX), f"at most {pictures.BYTES_MAX} bytes"),
        (papers.png()[:20], "it is no whole image/png"),
        (b"\xff\xd8\xff", "it is no whole image/jpeg"),
    ],
)
async def test_one_that_vendors_would_not_take_is_refused_in_words(read, body, why):
    result = await read("big.png", body)
    assert why in result.failure.why
    assert result.picture is None


def test_the_largest_is_what_vendors_take_in_base64():
    assert len(base64.b64encode(b"x" * pictures.BYTES_MAX)) <= 5 * 1024 * 1024
