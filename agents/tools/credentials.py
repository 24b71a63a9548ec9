"""The environment of what a role's tools run: clean, with the credentials its manifest names, and nothing else.

Law: a credential is looked up when it is needed and goes to the program alone. Before anything that the program said
leaves the tool, its credentials are taken out of it, in the ways values are commonly written down. What the engine
itself lives on is never a role's.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote, quote_plus

from agents.tools import programs
from agents.tools.files import RefusedError
from core.ports import Workplace

OURS = frozenset(
    {"ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "OPENAI_API_KEY", "OPENAI_BASE_URL", "TELEGRAM_BOT_TOKEN"}
    | {"DISCORD_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET"}
)
"""What the engine talks to models and people with."""
_SYSTEM = ("PATH", "HOME", "LANG", "SHELL", "IFS", "ENV", "BASH_ENV", "TMPDIR")
_SYSTEM_PREFIXES = ("LD_", "DYLD_", "PYTHON", "GIT_", "LC_")
_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_CUT = re.compile(r"\n\[\.\.\. \d+ bytes left out \.\.\.\]\n")
_PART_MIN = 4
"""So much of a credential's beginning or end, where its middle was cut away, is still a part of it."""


def why_not(name: str) -> str:
    """Why a role cannot have a credential of this name; "" if it can."""
    if not _NAME.fullmatch(name):
        return "a credential is named like SITE_TOKEN: capitals, digits and _"
    if name in OURS or name.startswith("SIGNOFF_"):
        return "it is the engine's own: what runs for an agent never gets it"
    if name in _SYSTEM or name.startswith(_SYSTEM_PREFIXES):
        return "it changes how programs run; it is no credential"
    return ""


def environment(home: str, place: Workplace, environ: Mapping[str, str]) -> dict[str, str]:
    """What a program is given. Raises RefusedError for a credential that is not set."""
    ours = [name for name in place.reach.credentials if why_not(name)]
    if ours:
        raise RefusedError(f"no credential {ours[0]}", why_not(ours[0]), "hand this off: a person must mend team.yaml")
    values = {name: environ.get(name, "") for name in place.reach.credentials}
    missing = [name for name, value in values.items() if not value]
    if missing:
        names = ", ".join(missing)
        why = f"{names}: not set in the workspace's .env"
        raise RefusedError(f"missing credential: {names}", why, "hand this off: a person must set it")
    clean = {"PATH": programs.SYSTEM_PATH, "HOME": home, "LANG": "C.UTF-8", "SIGNOFF_KEY": place.attempt}
    return {**values, **clean}


def mask_of(place: Workplace, environ: Mapping[str, str]) -> Mask:
    """The mask for what a program says. What is no longer set, as after a rotation, cannot be looked for."""
    return Mask({name: environ.get(name, "") for name in place.reach.credentials if not why_not(name)})


class Mask:
    """Takes credentials out of text."""

    def __init__(self, values: Mapping[str, str]) -> None:
        written = [(form, name) for name, value in values.items() if value for form in _forms(value)]
        self._written = sorted(set(written), key=lambda pair: -len(pair[0]))  # the longest first: one may hold another

    def hide(self, text: str) -> str:
        """The text with `[NAME]` in place of each credential, whole or cut in two by what was left out."""
        if cut := _CUT.search(text):
            text = self._beside(text[: cut.start()], cut[0], text[cut.end() :])
        for form, name in self._written:
            text = text.replace(form, f"[{name}]")
        return text

    def _beside(self, head: str, cut: str, tail: str) -> str:
        for form, name in self._written:
            parts = range(len(form) - 1, _PART_MIN - 1, -1)
            head = next((head[:-n] + f"[{name}]" for n in parts if head.endswith(form[:n])), head)
            tail = next((f"[{name}]" + tail[n:] for n in parts if tail.startswith(form[-n:])), tail)
        return head + cut + tail


def _forms(value: str) -> Iterator[str]:
    yield value
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield quote(value, safe="")
    yield quote_plus(value)
    raw = value.encode()
    yield raw.hex()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(raw).decode()
        yield encode(raw).decode().rstrip("=")
