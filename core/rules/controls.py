"""The opaque ids of buttons. A control is a keyed hash of the showing it belongs to: it names nothing, and nobody can
guess it. Its meaning, and who may press it, live on our side.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from core.model.ids import digest_of
from core.model.inquiries import Verb

CONTROL_BYTES_MAX: Final = 32
LETTERS: Final[dict[Verb, str]] = {
    Verb.APPROVE: "a",
    Verb.DENY: "d",
    Verb.EDIT: "e",
    Verb.ASK_BACK: "b",
    Verb.VIEW: "v",
    Verb.ANSWER: "n",
    Verb.DISMISS: "x",
    Verb.WITHDRAW: "w",
    Verb.HAPPENED: "h",
    Verb.RERUN: "r",
    Verb.GIVE_UP: "g",
    Verb.COMMENT: "c",
    Verb.SNOOZE: "s",
    Verb.EXTEND: "t",
    Verb.OVERRIDE: "o",
}
_VERBS: Final = {letter: verb for verb, letter in LETTERS.items()}
_CONTROL: Final = re.compile(r"([0-9a-f]{16})\.([a-z])(0|[1-9][0-9]{0,3})?", re.ASCII)


def control_nonce(secret: str, delivery_id: str) -> str:
    """Sixteen hex digits for one showing: the same each time, and nobody's to guess without the workspace's secret."""
    key = hashlib.sha256(secret.encode()).digest()
    return hashlib.blake2b(delivery_id.encode(), key=key, digest_size=8).hexdigest()


def nonce_hash(nonce: str) -> str:
    """What a showing is found by: looking one up does not need the nonce to be stored beside it."""
    return digest_of("nonce", nonce)


def control(nonce: str, verb: Verb, option: int | None = None) -> str:
    """The opaque id of a button; `option` counts an inquiry's options from 0. At most 32 ASCII bytes."""
    return f"{nonce}.{LETTERS[verb]}{'' if option is None else option}"


def parse_control(some_control: str) -> tuple[str, Verb, int | None] | None:
    """The nonce, verb and option of a control; None for anything that `control` cannot have made."""
    found = _CONTROL.fullmatch(some_control)
    if found is None or found[2] not in _VERBS:
        return None
    return found[1], _VERBS[found[2]], None if found[3] is None else int(found[3])
