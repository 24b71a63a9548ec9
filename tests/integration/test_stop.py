"""SIGTERM in the middle of something: out within two seconds and with 0, and the next start goes on from there.

A second engine on the same workspace is refused in one line.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agents import workspace

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 20
EXIT_SECONDS_MAX = 5
"""Promised are two. A machine that does other things besides may take a while to say so."""

SLOW = """#!/bin/sh
echo "$SIGNOFF_ATTEMPT $1" >>"{executions}"
sleep {seconds}
echo "$1 is live"
"""

pytestmark = [pytest.mark.proof, pytest.mark.timeout(90)]


class Place:
    """A workspace and the program in it."""

    def __init__(self, root: Path) -> None:
        self.root = root / "workspace"
        self.executions = root / "executions"
        self.environ = {"PATH": os.environ["PATH"], "HOME": str(root)}
        self.running: list[subprocess.Popen[str]] = []
        workspace.init(self.root)

    def engine(self, **more) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "bots", "run", "--workspace", str(self.root)]
        process = subprocess.Popen(
            words,
            cwd=ROOT,
            env=self.environ,
            text=True,
            **{"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE} | more,
        )
        self.running.append(process)
        return process

    def do(self, *words: str) -> str:
        """One command, which must succeed."""
        done = subprocess.run(
            [sys.executable, "-m", "bots", *words, "--workspace", str(self.root)],
            cwd=ROOT,
            env=self.environ,
            text=True,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def rows(self, *words: str) -> list[dict]:
        return [json.loads(line) for line in self.do(*words, "--json").splitlines()]

    def runs(self) -> list[str]:
        return self.executions.read_text().splitlines() if self.executions.exists() else []


@pytest.fixture
def place(tmp_path):
    yield (made := Place(tmp_path))
    for process in made.running:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stderr):
            if stream is not None:
                stream.close()


def until(what, seconds=PATIENCE_SECONDS):
    """The first true answer."""
    deadline = time.monotonic() + seconds
    while not (answer := what()):
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.02)
    return answer


def stop(process: subprocess.Popen[str]) -> float:
    """SIGTERM; how many seconds it took to be gone, with 0 and without a word of complaint."""
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    code = process.wait(EXIT_SECONDS_MAX)
    seconds = time.monotonic() - began
    assert (code, process.stderr.read()) == (0, "")
    return seconds


def finish(place: Place) -> None:
    """The next start, with nothing to read: it goes on, and ends when all is done."""
    process = place.engine(stdin=subprocess.DEVNULL)
    assert (process.wait(PATIENCE_SECONDS), process.stderr.read()) == (0, "")


def test_while_a_command_runs(place, record_property):
    script = place.root / "deploy.sh"
    script.write_text(SLOW.format(executions=place.executions, seconds=4))
    engine = place.engine()
    engine.stdin.write("deploy the landing page\n")
    engine.stdin.flush()
    asked = until(lambda: place.rows("inbox"))[0]
    place.do("approve", asked["id"])
    until(place.runs)

    record_property("seconds", seconds := stop(engine))
    print(f"SIGTERM to exit while a command runs: {seconds:.2f} s")
    assert [task["state"] for task in place.rows("tasks")].count("finished") == 0

    finish(place)

    assert len(place.runs()) == 1
    assert {task["state"] for task in place.rows("tasks")} == {"finished"}
    assert "is live" in json.dumps(place.rows("tasks"))
    assert place.rows("inbox") == []


class Vendor(ThreadingHTTPServer):
    """A model's server that keeps everybody waiting until it is let go."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Asked)
        self.asked = threading.Event()
        self.answers = threading.Event()


class _Asked(BaseHTTPRequestHandler):
    server: Vendor

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.server.asked.set()
        self.server.answers.wait(PATIENCE_SECONDS)
        body = json.dumps(
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": "m",
                "content": [{"type": "text", "text": "Good morning."}],
                "stop_reason": "end_turn",
                "usage": {"input_tokens": 10, "output_tokens": 3},
            }
        ).encode()
        try:
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            pass  # whoever asked was stopped meanwhile: that is the test

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        pass


@pytest.fixture
def vendor():
    with Vendor() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.answers.set()
        server.shutdown()
        thread.join()


def test_while_a_model_thinks(place, vendor, record_property):
    url = f"http://127.0.0.1:{vendor.server_address[1]}"
    place.environ |= {"ANTHROPIC_API_KEY": "sk-none", "ANTHROPIC_BASE_URL": url}
    engine = place.engine()
    engine.stdin.write("hello\n")
    engine.stdin.flush()
    assert vendor.asked.wait(PATIENCE_SECONDS)

    record_property("seconds", seconds := stop(engine))
    print(f"SIGTERM to exit while a model thinks: {seconds:.2f} s")
    vendor.answers.set()
    finish(place)

    (task,) = place.rows("tasks")
    assert task["state"] == "finished"
    assert "Good morning." in json.dumps(task)


def test_a_second_engine_is_refused_in_one_line(place):
    first = place.engine()
    lock = place.root / ".signoff" / "engine.lock"
    until(lambda: lock.exists() and lock.read_text().strip() == str(first.pid))
    second = place.engine(stdin=subprocess.DEVNULL)
    assert second.wait(PATIENCE_SECONDS) == 3
    line = second.stderr.read()
    assert line.count("\n") == 1
    assert f"already running here (pid {first.pid})" in line
    stop(first)
