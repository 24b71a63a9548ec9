"""Values as people see and type them: a text form that reads back as the same value, and what of it is secret."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from core.model.inquiries import Action
from core.model.team import Json
from core.rules import words

SECRET_HINT_MIN: Final = 4  # a shorter secret would blot out ordinary words


def text_form(value: Json, *, indent: int) -> str:
    """Strings bare, unless they would read as something else (`"5"`, `""`); all the rest as JSON."""
    if isinstance(value, str):
        return msgspec.json.encode(value).decode() if _reads_as_json(value) else value
    return msgspec.json.format(msgspec.json.encode(value), indent=indent).decode()


def _reads_as_json(text: str) -> bool:
    if not text or text != text.strip():
        return True
    try:
        msgspec.json.decode(text.encode("utf-8", "replace"))
    except msgspec.DecodeError:
        return False
    return True


def is_secret(path: str, secrets: tuple[str, ...]) -> bool:
    """A secret is named by its own name or by its path (`auth.token`)."""
    return path in secrets or path.rpartition(".")[2] in secrets


def holds_secret(value: Json, path: str, secrets: tuple[str, ...]) -> bool:
    """Whether the value at this path is a secret, or has one anywhere in it."""
    return is_secret(path, secrets) or any(True for _ in _leaves(value, path, secrets))


def secret_texts(action: Action | None) -> tuple[str, ...]:
    """Values of secrets as a template may have put them into a sentence, longest first."""
    found = _leaves(action.arguments, "", action.secrets) if action else ()
    return tuple(sorted({text for text in found if len(text) >= SECRET_HINT_MIN}, key=len, reverse=True))


def _leaves(value: Json, path: str, secrets: tuple[str, ...], *, within: bool = False) -> Iterator[str]:
    """The texts that secrets consist of: what is within a secret is secret too."""
    within = within or is_secret(path, secrets)
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else name, secrets, within=within)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, path, secrets, within=within)
    elif within:
        yield str(value)


def masked(text: str, secrets: tuple[str, ...]) -> str:
    """The text with every secret in it named as one."""
    for secret in secrets:
        text = text.replace(secret, words.REDACTED)
    return text
