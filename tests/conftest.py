"""What holds for every test: it speaks to nobody but this machine, chance is the same for everybody in CI, and what a
proof has counted is printed at the end.
"""

import ipaddress
import os
import signal
import socket

import pytest
from hypothesis import settings

# A slow machine is no failure; pytest's own timeout ends what hangs.
settings.register_profile("home", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "home")

# A shell starts what runs in the background with Ctrl+C ignored, and children inherit that: ours are to be interrupted.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


class NetworkError(RuntimeError):
    """A test reached for the world. No OSError: what is tested may take that for bad weather, and try again."""


def _is_here(address):
    """A path, or a host that is this machine. Names other than localhost are not looked up to find out."""
    if not isinstance(address, tuple):
        return True
    host = address[0]
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _guarded(connect):
    def only_here(self, address):
        if not _is_here(address):
            raise NetworkError(f"a test connects to {address}")
        return connect(self, address)

    return only_here


def _resolve(getaddrinfo):
    def only_here(host, *rest, **named):
        if host is not None and not _is_here((host.decode() if isinstance(host, bytes) else host,)):
            raise NetworkError(f"a test looks up {host}")
        return getaddrinfo(host, *rest, **named)

    return only_here


@pytest.fixture(scope="session", autouse=True)
def _no_network_but_loopback():
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
        patch.setattr(socket, "getaddrinfo", _resolve(socket.getaddrinfo))
        yield


PROVED = "proved"


@pytest.fixture
def proved(record_property):
    """Say what a proof has counted; it is printed at the end, also from a worker."""
    return lambda text: record_property(PROVED, text)


def pytest_terminal_summary(terminalreporter):
    reports = [r for outcome in ("passed", "failed") for r in terminalreporter.stats.get(outcome, ())]
    told = [str(v) for r in reports for name, v in getattr(r, "user_properties", ()) if name == PROVED]
    if told:
        terminalreporter.section("proved")
        for text in told:
            terminalreporter.write_line(text)


@pytest.fixture
def unlogged(monkeypatch):
    """The program runs in this process: its log is for a whole process, and would outlive the test."""
    from bots.commands import mcp, place

    for module in (mcp, place):
        monkeypatch.setattr(module, "set_up_log", lambda *_, **__: None)
