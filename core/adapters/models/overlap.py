"""Choosing by words: which of some described things shares the most words with a request. Always the same way.

Words are lower-cased and crudely stemmed; stop words never count; a tie goes to the first listed, so the order in which
a manifest lists things is the order of preference.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_WORD = re.compile(r"[^\W_]+")
_STOP = frozenset(
    _WORD.findall(
        """a about again all also am an and any anything are args argument arguments as ask at be been but by can
        command commands could default did do does done for from give go good had has have hello help here hey hi
        how i if in into is it its just kind kinds let like make me my need no not now of ok on one or our out
        please reach reaches really run runs say should so some something tell than thank thanks that the their
        them then there these they thing this to too up us use very want was we were what when where whether
        which who why will with without would yes you your"""
    )
)
_ALIKE = (
    ("deploi", "deployment", "publish", "ship", "releas", "launch", "rollout"),
    ("build", "implement", "implementation", "develop", "cod", "writ", "fix", "architectur", "technical"),
)
"""Stems of words that mean the same where no description has the very word."""
_ENDINGS = ("ing", "ed", "er")
_STEM_MIN = 3
_ASKS = re.compile(r"\s*;\s*|,?\s+and(?:\s+then|\s+also)?\s+|,\s*then\s+|\n\s*[-*]\s+", re.IGNORECASE)
_CONTINUES = frozenset(_WORD.findall("a an the it its this that these those my our your their his her them"))
_CLAUSES = re.compile(r"[;.\n]")
_ARGUMENT = re.compile(r"([A-Za-z_]\w*)\s*=\s*([^\s|();,]+(?:\s*\|\s*[^\s|();,]+)+|[^\s|();,]+)\s*(?:\(([^)]*)\))?")


def stem(word: str) -> str:
    """`publishing`, `published` and `publisher` are `publish`; what is left has at least three letters."""
    word = word.lower()
    if word.endswith("s") and len(word) > _STEM_MIN:
        word = word[:-1]
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _STEM_MIN:
            word = word[: -len(ending)]
            break
    if word.endswith("e") and len(word) > _STEM_MIN:
        word = word[:-1]
    if len(word) > _STEM_MIN and word[-1] == word[-2]:
        word = word[:-1]
    return word[:-1] + "i" if word.endswith("y") else word


def telling(text: str) -> list[str]:
    """The words of a text that mean something, in order and as they were written."""
    return [word for word in _WORD.findall(text) if word.lower() not in _STOP]


def stems(text: str) -> frozenset[str]:
    """The words of a text that mean something, stemmed."""
    return frozenset(stem(word) for word in telling(text))


def score(wanted: frozenset[str], text: str) -> int:
    """How many of the wanted words the text has."""
    return len(wanted & stems(text))


def best(request: str, described: Mapping[str, str]) -> str | None:
    """The thing whose description has the most words of the request; None if none has any.

    The request's first word counts twice: mostly it is the verb, and "test the page" is a test, not a page. Where no
    word is shared, words that mean the same are tried.
    """
    wanted, verb = stems(request), frozenset(stem(word) for word in telling(request)[:1])
    texts = {name: stems(f"{name} {text}") for name, text in described.items()}
    scores = {name: len(wanted & text) + len(verb & text) for name, text in texts.items()}
    if not any(scores.values()):
        scores = {name: len(_meant(wanted) & _meant(text)) for name, text in texts.items()}
    top = max(scores.values(), default=0)
    return next((name for name, n in scores.items() if n == top), None) if top else None


def _meant(words: frozenset[str]) -> frozenset[str]:
    """The first of each group of words that mean the same; other words are nothing here."""
    return frozenset(group[0] for group in _ALIKE if words & set(group))


def lines_of(names: Sequence[str], description: str) -> dict[str, str]:
    """The line of each name out of a description that has one line per name, `name: text`; "" for a name without."""
    found = dict.fromkeys(names, "")
    for line in description.splitlines():
        name, colon, text = line.strip().lstrip("-*• ").partition(":")
        if colon and name.strip() in found:
            found[name.strip()] = text.strip()
    return found


def asks(text: str) -> list[str]:
    """The several things a text asks for; "the docs and the brochure" is one, because no verb starts the second."""
    found: list[str] = []
    for piece in (piece.strip(" ,.") for piece in _ASKS.split(text)):
        words = _WORD.findall(piece)
        if not words:
            continue
        if found and (words[0].lower() in _CONTINUES or len(words) == 1):
            found[-1] = f"{found[-1]} and {piece}"
        else:
            found.append(piece)
    return found


def kind_of(wanted: frozenset[str], kinds: Sequence[str], when: str) -> str | None:
    """The kind of work that fits: named by the request, or by the clause of `when` that the request speaks of, or the
    first one.
    """
    spoken = stems(" ".join(clause for clause in _CLAUSES.split(when) if score(wanted, clause)))
    scores = [10 * _akin(kind, wanted) + _akin(kind, spoken) for kind in kinds]
    return kinds[scores.index(max(scores))] if kinds else None


def _akin(kind: str, words: frozenset[str]) -> int:
    """How many words start the kind's name, or are started by it: `deploy` and `deployment`."""
    name = stem(kind)
    return sum(1 for word in words if len(word) >= _STEM_MIN and (name.startswith(word) or word.startswith(name)))


def arguments_of(line: str) -> dict[str, dict[str, str]]:
    """What a command's line says of its arguments: `args: site = landing | docs (landing: the home page, docs: ...)`
    is {"site": {"landing": "the home page", "docs": "..."}}.
    """
    _, marker, tail = line.partition("args:")
    if not marker:
        return {}
    found: dict[str, dict[str, str]] = {}
    for name, listed, about in _ARGUMENT.findall(tail):
        values = [value.strip() for value in listed.split("|")]
        found[name] = described_values(values, about)
    return found


def described_values(values: Sequence[str], about: str) -> dict[str, str]:
    """The part of a description that follows each value's name and a colon."""
    marks = sorted((m.start(), m.end(), v) for v in values for m in re.finditer(rf"\b{re.escape(v)}\s*:", about))
    ends = [*(start for start, _, _ in marks[1:]), len(about)][: len(marks)]
    found = dict.fromkeys(values, "")
    for (_, start, value), end in zip(marks, ends, strict=True):
        found[value] = f"{found[value]} {about[start:end].strip(' ,;')}".strip()
    return found
