"""What must not be stored for long: secrets always, ways to reach a person unless the entry is about that person.

Law: what has a check digit is checked, by libraries that know the rules (python-stdnum for card and account numbers,
phonenumbers for telephone numbers); what has a published form is known by that form; a word that names a secret hides
what follows it. In doubt it is masked: a note that says too little can be written again. Nothing here reads meaning:
names, addresses and birthdays stay (docs/adr/0019-memory.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

SECRET_NAMES: Final = ("KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL")
KNOWN_CHARS_MIN: Final = 8
"""A shorter setting occurs in texts by chance."""

_FORMS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    (
        "private key",
        re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    ),
    ("password", re.compile(r"(?<=://)[^\s/:@]*:[^\s/@]+(?=@)")),
    # As the services publish them: AWS, GitHub, GitLab, Slack, Anthropic and OpenAI, Stripe, Google, npm, PyPI, Hugging
    # Face, SendGrid, DigitalOcean, Telegram, Discord; and JSON Web Tokens.
    ("key", re.compile(r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b")),
    ("key", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{30,255}|github_pat_\w{22,255}|gl[a-z]{2,5}-[\w-]{20,})\b")),
    ("key", re.compile(r"\b(?:xox[a-z]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,})|hooks\.slack\.com/services/[\w/]+")),
    ("key", re.compile(r"\b(?:sk-[\w-]{16,}|[srp]k_(?:live|test)_\w{10,}|whsec_\w{16,})")),
    ("key", re.compile(r"\b(?:AIza[\w-]{30,}|ya29\.[\w-]{20,}|npm_\w{30,}|pypi-[\w-]{32,}|hf_\w{30,}|dop_v1_\w{32,})")),
    (
        "key",
        re.compile(r"\bSG\.[\w-]{16,}\.[\w-]{32,}|\b\d{8,10}:[\w-]{35}\b|\b[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,}"),
    ),
    ("key", re.compile(r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*")),
    ("key", re.compile(r"(?i)(?<=\bbearer )[\w.~+/=-]{12,}|(?<=\bbasic )[A-Za-z0-9+/]{12,}={0,2}")),
)
_NAMED: Final = re.compile(
    r"""(?ix)
    \b(?:
        pass(?:word|wd|phrase|code)? | pwd | secret | token | pin | cvv | passwort | kennwort | mot\sde\spasse
        | (?:api|access|private|secret|auth)[\s_-]?(?:key|token) | client[\s_-]?secret
    )\b
    (?:
        \s*[:=]\s*["'`]? (?P<put>(?!\[)[^\s"'`]{4,})
        | \s+(?:is|ist|est|lautet|was)\s+["'`]? (?P<told>(?!\[)(?=[^\s"'`]*[\d\W_])[^\s"'`]{4,})
    )"""
)
_EMAIL: Final = re.compile(r"[\w.+-]+@(?:[\w-]+\.)+[^\W\d_]{2,}")
_DIGITS: Final = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){11,18}(?![\w-])")
_CARD: Final = re.compile(r"3[47]\d{13}|3[0689]\d{12}|4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]|2[2-7])\d{14}|6\d{15,18}")
_ACCOUNT: Final = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}(?!\w)", re.IGNORECASE)
_CALLED: Final = re.compile(
    r"""(?ix)
    \b(?:phone|mobile|cell|tel|telefon|handy|fax|call|ring|whatsapp|signal|anrufen)\b \D{0,20}?
    (?!\d{4}-\d\d-\d\d) (\+?\(?\d(?:[ ()/.-]*\d){6,14})(?!\d)"""
)


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text as it may be stored, and what was masked in it, each kind once."""

    text: str
    masked: tuple[str, ...] = ()


class Redactor:
    """Masks. `environ`: the settings of this workspace, whose secrets it knows by heart."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        values = {
            value
            for name, value in (environ or {}).items()
            if any(part in name.upper() for part in SECRET_NAMES) and len(value) >= KNOWN_CHARS_MIN
        }
        self._known = tuple(sorted(values, key=lambda value: (-len(value), value)))

    def __call__(self, text: str, *, contacts: bool = False) -> Redacted:
        """The text without secrets; without addresses and telephone numbers, too, unless `contacts` may stay."""
        found: dict[str, None] = {}

        def mask(kind: str) -> str:
            found[kind] = None
            return f"[{kind} masked]"

        for value in self._known:
            if value in text:
                text = text.replace(value, mask("key"))
        for kind, form in _FORMS:
            text = form.sub(lambda _, kind=kind: mask(kind), text)  # type: ignore[misc]
        text = _NAMED.sub(lambda m: m[0].replace(m["put"] or m["told"], mask("password")), text)
        text = _checked(text, _ACCOUNT, _is_account, lambda: mask("account number"))
        text = _checked(text, _DIGITS, _is_card, lambda: mask("card number"))
        if not contacts:
            text = _EMAIL.sub(lambda _: mask("e-mail address"), text)
            text = _without(text, _phones(text), lambda: mask("telephone number"))
        return Redacted(text, tuple(found))


def _checked(text: str, form: re.Pattern[str], holds: Callable[[str], int], mask: Callable[[], str]) -> str:
    """Mask as much of each candidate as its check digit vouches for."""
    spans = ((m.start(), m.start() + n) for m in form.finditer(text) if (n := holds(m[0])))
    return _without(text, spans, mask)


def _without(text: str, spans: Iterable[tuple[int, int]], mask: Callable[[], str]) -> str:
    parts, at = [], 0
    for start, end in sorted(spans):
        if start >= at:
            parts += [text[at:start], mask()]
            at = end
    return "".join((*parts, text[at:]))


def _is_card(candidate: str) -> int:
    """How much of it is a card's number: beginning and length of one, and Luhn's check digit."""
    from stdnum import luhn  # noqa: PLC0415 - nothing is imported before it is needed

    digits = re.sub(r"\D", "", candidate)
    return len(candidate) if _CARD.fullmatch(digits) and luhn.is_valid(digits) else 0


def _is_account(candidate: str) -> int:
    """How much of it is an IBAN: the words after it may look like more of it."""
    from stdnum import iban  # noqa: PLC0415

    ends = [m.end() for m in re.finditer(r"[A-Z0-9](?=\s|$)", candidate, re.IGNORECASE)]
    return next((end for end in reversed(ends) if iban.is_valid(candidate[:end])), 0)


def _phones(text: str) -> Iterator[tuple[int, int]]:
    """Numbers with a country's code that the country knows, and whatever is said to be called."""
    from phonenumbers import PhoneNumberMatcher  # noqa: PLC0415

    yield from ((match.start, match.end) for match in PhoneNumberMatcher(text, None))
    yield from (match.span(1) for match in _CALLED.finditer(text))
