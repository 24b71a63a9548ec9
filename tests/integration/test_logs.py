"""What libraries say: in our log, without secrets and people's words, and never on the terminal."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bots.logs import own_words

ROOT = Path(__file__).parents[2]
TOKEN = "123456:not-a-secret-of-anybodys"
PROGRAM = """
import asyncio, logging, sys
from pathlib import Path
import structlog
from bots.app import Workspace, set_up_log

for _ in range(2):  # as commands do that open one workspace after another
    set_up_log(Workspace(Path(sys.argv[1])))
logging.getLogger("discord.http").warning("We are being rate limited. %s %s", "POST", "https://x/bot" + sys.argv[2])
logging.getLogger("slack_bolt.AsyncApp").warning("Unhandled request ({'text': 'fire Ana'})")
logging.getLogger("httpx").info("HTTP Request: POST https://api.telegram.org/bot" + sys.argv[2])
try:
    raise ValueError("fire Ana " + sys.argv[2])
except ValueError as error:
    logging.getLogger("telegram.ext").exception(error)
    structlog.get_logger().error("ours", exc_info=True)


async def main():
    task = asyncio.ensure_future(asyncio.sleep(0, 1 / 2))
    del task
    asyncio.get_running_loop().call_exception_handler({"message": "Task exception", "exception": KeyError(sys.argv[2])})


asyncio.run(main())
"""


def test_libraries_complain_in_our_log_only(tmp_path):
    (tmp_path / ".env").write_text(f"TELEGRAM_BOT_TOKEN={TOKEN}\n")
    logs = tmp_path / ".signoff" / "logs"
    logs.mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), TOKEN], cwd=ROOT, capture_output=True, text=True, timeout=15
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    written = (logs / "signoff.jsonl").read_text()
    assert TOKEN not in written
    discord, slack, telegram, ours, loop = map(json.loads, written.splitlines())
    assert (discord["event"], discord["level"], discord["library"]) == (
        "library.complained",
        "warning",
        "discord.http",
    )
    assert discord["what"] == "We are being rate limited. %s %s"
    assert slack["what"] == "Unhandled request"
    assert (telegram["what"], telegram["error"]) == ("ValueError", "ValueError")
    assert "fire Ana" not in json.dumps([discord, slack, telegram])
    assert "<TELEGRAM_BOT_TOKEN>" in ours["exception"]
    assert (loop["event"], loop["level"], loop["library"]) == ("asyncio.complained", "error", "asyncio")
    assert "<TELEGRAM_BOT_TOKEN>" in loop["exception"]


@pytest.mark.parametrize(
    ("template", "arguments", "words"),
    [
        ("a %s b", ("x",), "a %s b"),
        ("Failed to receive: fire Ana", (), "Failed to receive"),
        ("line one\nline two", (), "line one"),
        (ValueError("fire Ana"), (), "ValueError"),
        ("word " * 100, (), ("word " * 24).strip()),
    ],
)
def test_only_their_own_words_are_kept(template, arguments, words):
    import logging

    record = logging.LogRecord("some", logging.WARNING, "some.py", 1, template, arguments, None)
    assert own_words(record) == words
