"""When a conversation goes to a person, whatever a model would say (CONSTITUTION.md, Escalation Triggers). Pure.

Three kinds: a word, the same question again and again, somebody who wants an account deleted. They are looked for in
what people say to a role and in what roles hand on to it, never in what a model answers.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from core.model.team import Triggers
from core.rules import words

_DELETE: Final = r"delet\w*|clos(?:e|ing)|remov\w*|eras\w*|cancel\w*|deactivat\w*|terminat\w*"
_ACCOUNT: Final = r"accounts?|profiles?|my data|all (?:my|our) data|personal data|user data"
_DELETION: Final = re.compile(
    rf"\b(?:{_DELETE})\b\W+(?:\w+\W+){{0,4}}(?:{_ACCOUNT})\b|\baccount deletion\b", re.IGNORECASE
)
_NOT_A_WORD: Final = re.compile(r"[^\w\s]|_")


def fired(triggers: Triggers, text: str, said_before: Iterable[str]) -> str:
    """Why this goes to a person, in words; "" if it need not. `said_before`: what people said there earlier."""
    plain = _plain(text)
    for word in triggers.words:
        if re.search(rf"(?<!\w){re.escape(_plain(word))}(?!\w)", plain):
            return words.trigger_word(word)
    if triggers.deletion and _DELETION.search(text):
        return words.TRIGGER_DELETION
    if triggers.repeats and plain and sum(_plain(one) == plain for one in said_before) + 1 >= triggers.repeats:
        return words.trigger_repeats(triggers.repeats)
    return ""


def _plain(text: str) -> str:
    """Case, accents' encoding, punctuation and spacing make no difference."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(_NOT_A_WORD.sub(" ", folded).split())
