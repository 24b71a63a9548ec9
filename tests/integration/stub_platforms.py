"""Adapters without a library or a network, in the place of the real ones: how the program treats platforms is tested
with these, what the real ones do elsewhere. `STUB_TELEGRAM` and so on say how one behaves.

As a program: `python -m tests.integration.stub_platforms WORDS...` is `signoff WORDS...` with them.
"""

import asyncio
import sys
from types import ModuleType

from bots import cli, platforms
from core.model.errors import AuthenticationError, ConfigError, RetryableError
from core.ports import Health, Platform, Sending

GOOD = {
    "TELEGRAM_BOT_TOKEN": "123456:good-and-secret",
    "DISCORD_BOT_TOKEN": "MTIzNDU2Nzg5MDEyMzQ1Njc4.good.secret",
    "SLACK_BOT_TOKEN": "xoxb-good-and-secret",
    "SLACK_APP_TOKEN": "xapp-good-and-secret",
}


class Stub(Platform):
    sending = Sending.KEYED

    def __init__(self, name, settings, clock):
        self._name, self._clock = name, clock
        self._how = settings.get(f"STUB_{name.upper()}", "well")
        self._token = settings[platforms.named(name).asks[0]]
        self._health = Health()
        self._runs_n = 0
        if self._how == "misconfigured":
            raise ConfigError(f"a port is no {self._token}", file=name)

    @property
    def name(self):
        return self._name

    async def run(self, intake):
        self._runs_n += 1
        if self._how == "refused":
            raise AuthenticationError(f"the token {self._token} is refused", "mend it in .env")
        now_ms = self._clock.now_ms()
        self._health = Health(connected_at_ms=now_ms, heard_at_ms=now_ms)
        if self._how == "shaky" and self._runs_n == 1:
            await self._clock.sleep(0.5)
            raise RetryableError("the connection was lost")
        await self._clock.sleep(3600)

    async def send(self, post, edits, part=0):
        return "1"

    async def find_sent(self, post, edits, part=0):
        return None

    def health(self):
        return self._health


async def _examine(name, settings):
    known = platforms.named(name)
    match settings.get(f"STUB_{name.upper()}"):
        case "slow":
            await asyncio.sleep(3600)
        case "broken":
            raise ValueError(f"https://example.org/bot{settings[known.asks[0]]}/getMe")
        case "half":
            return (True, "the token is good"), (False, "an intent is missing: switch it on")
    if any("good" not in settings.get(variable, "") for variable in known.asks):
        raise AuthenticationError(f"{known.asks[0]} is refused", "copy it again")
    return ((True, "the token is good"),)


def modules():
    """What goes into `sys.modules`."""
    made = {}
    for known in platforms.KNOWN:
        client, checks = (ModuleType(f"bots.{known.name}.{part}") for part in ("client", "checks"))
        setattr(client, known.kind, lambda settings, clock, name=known.name, **_: Stub(name, settings, clock))
        checks.examine = lambda settings, name=known.name: _examine(name, settings)
        made |= {client.__name__: client, checks.__name__: checks}
    return made


if __name__ == "__main__":
    sys.modules.update(modules())
    sys.exit(cli.main(sys.argv[1:]))
