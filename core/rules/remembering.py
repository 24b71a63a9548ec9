"""What an entry is found by, who may read it, what of it a task is shown, and how a week's notes become one. Pure.

Law of this file: an entry is shown as one line of data. Nothing in it can end the block it stands in, and nothing that
an untrusted task wrote is ever in view. Two entries become one only where nothing that either says is lost.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from core.model.ids import digest_of
from core.model.memory import BOARD, EVERYBODY, Layer, Memory, Place, Scope, Secrecy, memory_of, private
from core.model.team import Team
from core.rules import telling
from core.rules.budget import day_of
from core.rules.text import one_line

VIEW_BYTES_MAX: Final = 4_000
WORDS_MAX: Final = 16
"""Of a query: the first so many are looked for."""
ALL_WORDS_MAX: Final = 5
"""Of so few words all are looked for first; of a longer question no entry has them all."""
LOOKED_AT_MAX: Final = 200
"""Of entries that have any of them: so many of the last written, those with the most first."""
ALIKE: Final = 0.8
WEEK_MS: Final = 7 * 86_400_000
_WORD: Final = re.compile(r"[^\W_]+")
_ALONE: Final = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]")
"""Scripts without spaces between words: each character is looked for by itself."""
_EDGES: Final = ".,;:!?\"'()[]…"
_DENIES: Final = frozenset(
    [
        "no",
        "not",
        "never",
        "none",
        "nor",
        "without",
        "cannot",
        "can't",
        "don't",
        "doesn't",
        "isn't",
        "aren't",
        "won't",
        "except",
        "unless",
        "only",
        "nicht",
        "kein",
        "keine",
        "keinen",
        "nie",
        "ohne",
        "nur",
        "non",
        "ne",
        "pas",
        "sans",
        "jamais",
        "sauf",
        "seulement",
    ]
)


def words_of(text: str) -> tuple[str, ...]:
    """What a text is found by: its words without case and accents, in order. The same in every store."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return tuple(_WORD.findall(_ALONE.sub(lambda found: f" {found[0]} ", plain)))


def query_of(text: str) -> tuple[str, ...]:
    """The words to look for, each once."""
    return tuple(dict.fromkeys(words_of(text)))[:WORDS_MAX]


def ranked(words: tuple[str, ...], found: Iterable[Memory], limit: int) -> tuple[Memory, ...]:
    """Those with the most of the words first; among equals the order they came in."""
    wanted = set(words)
    return tuple(sorted(found, key=lambda one: -len(wanted.intersection(words_of(one.text))))[:limit])


# --- Who may read what ----------------------------------------------------------------------------------------------


def teams_of(team: Team, role: str) -> tuple[str, ...]:
    """The teams a role is in."""
    return tuple(name for name, members in team.teams.items() if role in members)


def places_of(team: Team, role: str) -> tuple[Place, ...]:
    """Where a role may read: its own, its teams', everybody's, the board."""
    shared = (Place(scope=Scope.TEAM, owner=name) for name in teams_of(team, role))
    return (private(role), *shared, EVERYBODY, BOARD)


def clearance_of(team: Team, role: str) -> tuple[Secrecy, ...]:
    """The classes a role may read, and write."""
    most = team.memory.clearance.get(role, Secrecy.INTERNAL)
    return tuple(one for one in Secrecy if one.rank <= most.rank)


def reads_board(team: Team, role: str) -> bool:
    """Whether notices are in its view when a task begins."""
    return role in team.memory.bulletin if team.memory.bulletin else team.roles[role].leads


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is read when a task of a role begins."""

    places: tuple[Place, ...]
    classes: tuple[Secrecy, ...]
    facts_max: int
    board_since_ms: int


def look_of(team: Team, role: str, now_ms: int) -> Look:
    """All that may be in the role's view now."""
    board = reads_board(team, role)
    return Look(
        places=tuple(place for place in places_of(team, role) if board or place != BOARD),
        classes=clearance_of(team, role),
        facts_max=team.memory.in_view_max,
        board_since_ms=now_ms - WEEK_MS,
    )


# --- What a task is shown -------------------------------------------------------------------------------------------


def in_view(found: Iterable[Memory], zone: str) -> tuple[str, ...]:
    """The lines of a task's `<memory>`: principles first, then patterns, notices, facts, the newest first. What does
    not fit into VIEW_BYTES_MAX is left out, the oldest facts first; `recall` finds it.
    """
    trusted = (one for one in found if not one.untrusted)
    lines, left = [], VIEW_BYTES_MAX
    for one in sorted(trusted, key=_by_weight):
        line = line_of(one, zone)
        left -= len(line.encode("utf-8", "replace")) + 1
        if left < 0:
            break
        lines.append(line)
    return tuple(lines)


def _by_weight(one: Memory) -> tuple[int, int, str]:
    rank = {Layer.PRINCIPLE: 0, Layer.PATTERN: 1}.get(one.layer, 2 if one.place == BOARD else 3)
    return rank, -one.at_ms, one.id


def line_of(one: Memory, zone: str) -> str:
    """`[m-81c2...] 2026-11-20 Deploys happen on Tuesdays`: one line, in which nothing can be markup of ours."""
    shared = "" if one.place.scope is Scope.PRIVATE else f"{one.place.scope}, {one.by}"
    marks = (telling.MEMORY_MARKS[one.layer], shared, telling.FROM_OUTSIDE if one.untrusted else "")
    marked = "".join(f" ({mark})" for mark in marks if mark)
    why = f" ({telling.WHY}: {one.reason})" if one.reason else ""
    text = one_line(f"{one.text}{why}", 2_000).replace("<", "‹").replace(">", "›")
    return f"[{one.id}] {day_of(zone, one.at_ms)}{marked} {text}"


# --- A week's notes -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Merged:
    """Entries that become one."""

    kept: Memory
    replaced: tuple[str, ...]


def deduplicated(found: Iterable[Memory], now_ms: int) -> tuple[Merged, ...]:
    """Layer 0 to 1: facts that stay, each once. Of those that say the same, the newest; of those nearly the same, the
    one that says more. What was written by an untrusted task, runs out, or is about somebody else is left apart.
    """
    facts = [
        one
        for one in found
        if one.layer in {Layer.FACT, Layer.KEPT}
        and not one.untrusted
        and one.expires_at_ms is None
        and one.lives(now_ms)
    ]
    groups: dict[tuple[object, ...], list[Memory]] = defaultdict(list)
    for one in facts:
        groups[one.place, one.secrecy, one.about].append(one)
    return tuple(_merged(cluster) for group in groups.values() for cluster in _clusters(group) if _moves(cluster))


def _moves(cluster: list[Memory]) -> bool:
    """There is something to do: several, or one that is not kept yet."""
    return len(cluster) > 1 or cluster[0].layer is Layer.FACT


def _merged(cluster: list[Memory]) -> Merged:
    first = cluster[0]
    ids = tuple(sorted(one.id for one in cluster))
    kept = Memory(
        id=memory_of("kept", *ids),
        place=first.place,
        text=first.text,
        at_ms=max(one.at_ms for one in cluster),
        by=first.by,
        by_person=first.by_person,
        layer=Layer.KEPT,
        secrecy=first.secrecy,
        about=first.about,
        people=tuple(dict.fromkeys(person for one in cluster for person in one.people)),
        sources=ids,
        task=first.task,
    )
    return Merged(kept, ids)


def _clusters(group: list[Memory]) -> Iterator[list[Memory]]:
    """Each with the entry that speaks for it first: longer before shorter, newer before older."""
    texts = {one.id: _spelt(one.text) for one in group}
    rarity: dict[str, int] = defaultdict(int)
    for words in texts.values():
        for word in set(words):
            rarity[word] += 1
    clusters: list[list[Memory]] = []
    at: dict[str, list[int]] = defaultdict(list)  # a word -> clusters that may be near what holds it
    for one in sorted(group, key=lambda one: (-len(set(texts[one.id])), -one.at_ms, one.id)):
        words = texts[one.id]
        near = dict.fromkeys(n for word in set(words) for n in at[word])
        home = next((n for n in near if same(texts[clusters[n][0].id], words)), None)
        if home is not None:
            clusters[home].append(one)
            continue
        few = sorted(set(words), key=lambda word: (rarity[word], word))
        for word in few[: len(few) - int(ALIKE * len(few)) + 1]:  # who shares none of these is not alike
            at[word].append(len(clusters))
        clusters.append([one])
    yield from clusters


def _spelt(text: str) -> tuple[str, ...]:
    """Its words as they are spelt, for comparing: C++ is not C."""
    words = (word.strip(_EDGES) for word in unicodedata.normalize("NFKC", text).casefold().split())
    return tuple(word for word in words if word)


def same(more: tuple[str, ...], less: tuple[str, ...]) -> bool:
    """The first says all that the second does, and hardly more: no number, no denial."""
    if more == less:
        return True
    a, b = set(more), set(less)
    added = a - b
    if not b <= a or len(b) < ALIKE * len(a):
        return False
    return not any(word in _DENIES or any(c.isdigit() for c in word) for word in added) and _in_order(more, less)


def _in_order(more: tuple[str, ...], less: tuple[str, ...]) -> bool:
    """The words of the second come in the first in their order: "a before b" is not "b before a"."""
    rest = iter(more)
    return all(word in rest for word in less)


# --- Places as one word ---------------------------------------------------------------------------------------------


def place_word(place: Place) -> str:
    """A place as a word of an index: no text's word is like it."""
    return "p" + digest_of(place.key)[:16]
