"""The house's own guards work."""

import asyncio
import socket

import pytest

from tests.conftest import NetworkError

ELSEWHERE = "192.0.2.1"  # RFC 5737: nobody lives there


@pytest.mark.parametrize("connect", ["connect", "connect_ex"])
def test_no_test_reaches_the_world(connect):
    with socket.socket() as one, pytest.raises(NetworkError):
        getattr(one, connect)((ELSEWHERE, 80))


@pytest.mark.parametrize("host", [ELSEWHERE, "example.invalid", b"example.invalid"])
def test_no_test_looks_anybody_up(host):
    with pytest.raises(NetworkError):
        socket.getaddrinfo(host, 80)


async def test_nor_does_the_event_loop():
    with pytest.raises(NetworkError):
        await asyncio.open_connection("example.invalid", 80)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_this_machine_is_reached(host):
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(host, server.sockets[0].getsockname()[1])
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
