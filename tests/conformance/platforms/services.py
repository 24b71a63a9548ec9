"""Which adapters there are to prove, and by what names their fakes know what a bot does."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass
from importlib.util import find_spec

from tests.fakes.service import Service

ADAPTERS = ("telegram", "discord", "slack")
GROUPS = {
    1: "kill -9 in six windows",
    2: "again, reordered, retry first",
    3: "said while down",
    4: "buttons",
    5: "acknowledged in time",
    6: "limits and errors of the service",
    7: "connections that break",
    8: "lengths and hostile text",
    9: "edits",
    10: "forms and slash commands",
    11: "files",
    12: "no loops",
    13: "two workspaces",
    14: "unknown events",
    15: "unknown people",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Natives:
    """Globs over a fake's method names. `deliver`: a request whose loss makes the service deliver again, "" for none.
    `blind`: nobody can know what became of a message whose sending was cut off.
    """

    send: str
    edit: str
    upload: str
    deliver: str = ""
    download: str = "download"
    blind: bool = False


NATIVES = {
    "telegram": Natives(
        send="sendMessage", edit="editMessageText", upload="sendDocument", deliver="getUpdates", blind=True
    ),
    "discord": Natives(
        send="messages.create", edit="messages.edit", upload="messages.create", download="attachments.get"
    ),
    "slack": Natives(
        send="chat.postMessage", edit="chat.update", upload="files.*", deliver="ack.*", download="download"
    ),
}


def available() -> tuple[str, ...]:
    """Those whose adapter and fake are both there."""
    needed = ("bots.{}.client", "tests.fakes.{}")
    return tuple(name for name in ADAPTERS if all(find_spec(module.format(name)) for module in needed))


def service_of(name: str) -> Service:
    """A fake service, not started."""
    for module in (f"tests.fakes.{name}", f"tests.fakes.{name}.service"):
        if find_spec(module) is None:
            continue
        for _, made in inspect.getmembers(importlib.import_module(module), inspect.isclass):
            if issubclass(made, Service) and not inspect.isabstract(made):
                return made()
    raise LookupError(f"tests.fakes.{name} has no Service")
