"""The chat platforms there are, and what has to be there before one can be used.

Law: nothing of a platform is imported before its token is there, and nothing here imports a vendor's library: whether
that is installed is looked up. A secret never leaves in a line: what a platform says about itself is redacted first.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final, TypeAlias

from core.model.errors import ConfigError, SignoffError
from core.ports import Clock, Ids, Platform, Shelf
from core.rules.text import one_line

Finding: TypeAlias = tuple[bool, str]
EXAMINE_SECONDS: Final = 10
LINE_MAX: Final = 300
OTHER_SECRETS: Final = ("SIGNOFF_TELEGRAM_WEBHOOK_SECRET", "ANTHROPIC_API_KEY", "OPENAI_API_KEY")
SECRET_MIN: Final = 6
"""Shorter values are no secrets, and taking them out would make nonsense of a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A platform. `needs`: of each group one variable must be set. `asks`: what a person is asked for by `setup`."""

    name: str
    title: str
    kind: str  # the class in bots.<name>.client
    libraries: tuple[str, ...]  # what the extra of the same name installs, as it is imported
    needs: tuple[tuple[str, ...], ...]
    asks: tuple[str, ...]
    pair: str  # what is sent, before the code

    @property
    def install(self) -> str:
        """What installs its library where this program would find it: whose `pip` is on the path nobody knows."""
        return f'{sys.executable} -m pip install "signoff[{self.name}]"'

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every variable that must never be shown."""
        return tuple(name for group in self.needs for name in group)


KNOWN: Final = (
    Known(
        name="telegram",
        title="Telegram",
        kind="Telegram",
        libraries=("telegram", "aiolimiter"),
        needs=(("TELEGRAM_BOT_TOKEN",),),
        asks=("TELEGRAM_BOT_TOKEN",),
        pair="/pair",
    ),
    Known(
        name="discord",
        title="Discord",
        kind="Discord",
        libraries=("discord",),
        needs=(("DISCORD_BOT_TOKEN",),),
        asks=("DISCORD_BOT_TOKEN",),
        pair="/pair",
    ),
    Known(
        name="slack",
        title="Slack",
        kind="Slack",
        libraries=("slack_bolt", "aiohttp"),
        needs=(("SLACK_BOT_TOKEN",), ("SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET")),
        asks=("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN"),
        pair="/signoff pair",
    ),
)


class NotReadyError(ConfigError):
    """A platform that a person set up, and that cannot be used as things are."""

    def __init__(self, known: Known, what: str, remedy: str) -> None:
        super().__init__(what, file=known.title, expected=remedy)
        self.said = f"{what}: {remedy}"  # where the platform has been named already


def named(name: str) -> Known:
    """By its name. Raises KeyError."""
    return {known.name: known for known in KNOWN}[name]


def chosen(settings: Mapping[str, str]) -> tuple[Known, ...]:
    """Those of which any token is set."""
    return tuple(known for known in KNOWN if any(settings.get(name) for name in known.secrets))


def require(known: Known, settings: Mapping[str, str]) -> None:
    """Raises NotReadyError where a library or a setting is missing."""
    require_library(known)
    for group in known.needs:
        if not any(settings.get(name) for name in group):
            raise NotReadyError(known, f"{' or '.join(group)} is not set", f"signoff setup {known.name}")


def require_library(known: Known) -> None:
    """Raises NotReadyError. Importing the library to find out would cost seconds and megabytes."""
    missing = [library for library in known.libraries if find_spec(library) is None]
    if missing:
        raise NotReadyError(known, f"its library is not installed ({missing[0]})", known.install)


def build(
    settings: Mapping[str, str], *, clock: Clock, ids: Ids, zone: str, shelf: Shelf
) -> tuple[dict[str, Platform], tuple[str, ...]]:
    """Every platform that is set up and usable, by its name; and a line for each that is set up and is not."""
    built: dict[str, Platform] = {}
    lines: list[str] = []
    for known in chosen(settings):
        try:
            built[known.name] = _build(known, settings, clock=clock, ids=ids, zone=zone, shelf=shelf)
        except SignoffError as error:
            lines.append(redacted(str(error), settings))
    return built, tuple(lines)


def _build(known: Known, settings: Mapping[str, str], *, clock: Clock, ids: Ids, zone: str, shelf: Shelf) -> Platform:
    require(known, settings)
    try:
        client = importlib.import_module(f"bots.{known.name}.client")
    except ImportError as error:
        if (error.name or "").startswith("bots"):
            raise
        raise NotReadyError(known, f"its library cannot be loaded ({error})", known.install) from error
    adapter: Platform = getattr(client, known.kind)(settings, clock=clock, ids=ids, zone=zone, shelf=shelf)
    return adapter


async def examine(known: Known, settings: Mapping[str, str]) -> tuple[Finding, ...]:
    """What the platform itself says about our tokens and rights, in at most `EXAMINE_SECONDS`. Never raises: that it
    cannot be asked is a finding.
    """
    try:
        require(known, settings)
        checks = importlib.import_module(f"bots.{known.name}.checks")
        async with asyncio.timeout(EXAMINE_SECONDS):
            findings: tuple[Finding, ...] = tuple(await checks.examine(settings))
    except TimeoutError:
        findings = ((False, f"no answer within {EXAMINE_SECONDS} s: is there a network?"),)
    except NotReadyError as error:
        findings = ((False, error.said),)
    except SignoffError as error:
        findings = ((False, str(error)),)
    except Exception as error:  # noqa: BLE001 - every library has errors of its own, and whoever asks wants one line
        findings = ((False, f"it could not be asked ({type(error).__name__}: {error})"),)
    return tuple((good, redacted(line, settings)) for good, line in findings)


def redacted(line: str, settings: Mapping[str, str]) -> str:
    """One line without a secret in it: a library's errors name addresses, and Telegram's addresses hold the token."""
    return one_line(without_secrets(line, settings), LINE_MAX)


def without_secrets(text: str, settings: Mapping[str, str]) -> str:
    """The text, with the name of a setting wherever its secret stood."""
    for name in (*OTHER_SECRETS, *(name for known in KNOWN for name in known.secrets)):
        if len(secret := settings.get(name, "").strip()) >= SECRET_MIN:
            text = text.replace(secret, f"<{name}>")
    return text
