"""The cases by number, and why some of them have no test, or none in some place."""

from __future__ import annotations

from typing import Final

PLACES: Final = ("engine", "console", "telegram", "discord", "slack")
PLATFORMS: Final = PLACES[2:]

TITLES: Final = {
    1: "a double click is one vote",
    2: "the same person on two platforms",
    3: "a redelivered callback",
    4: "a conflicting second click",
    5: "approve and deny race",
    6: "two race for the last seat",
    7: "a click before the message id",
    8: "acknowledging fails after the commit",
    9: '"approved" only after the commit',
    10: "a forged callback, another workspace",
    11: "a button in another channel",
    12: "a stale revision",
    13: "a click too late",
    14: "two open: the exact id",
    15: "not an approver",
    16: "an empty list of approvers",
    17: "the requester, the chain, the bot",
    18: "an agent that approves",
    19: "an approver removed meanwhile",
    20: "an unlinked, renamed, recycled account",
    21: "a quorum nobody can meet",
    22: "a parent's gates",
    23: "the second reviewer is the first",
    24: "a delegated vote",
    25: "an owner's override",
    26: "the action changed",
    27: "the whole action, nothing hidden",
    28: "default arguments are shown",
    29: "secrets are redacted and bound",
    30: "an edit that does not fit",
    31: "a grant with other arguments",
    32: "the denied intent by another tool",
    33: "rewording the advisory text",
    34: "several at once, one stale",
    35: "several at once, one unseen",
    36: "SIGKILL at every boundary",
    37: "two workers resume",
    38: "clock jumps, no storm",
    39: "platforms in trouble",
    40: "cancelled while waiting",
    41: "a new message meanwhile",
    42: 'an ordinary "yes"',
    43: "a migration with inquiries open",
    44: "a corrupt store fails closed",
    45: "the audit chain",
    46: "a child's inquiry",
}

PENDING: Final[dict[int, str]] = {}
"""Cases whose mechanism the product does not have. Nothing pretends to test them."""

GAPS: Final[dict[int, str]] = {}
"""What a case's tests leave open."""

_NO_SCREEN: Final = {
    21: "refused when the team is loaded: nobody is asked anything",
    36: "a process dies at each write to its store: no screen has a part in it",
}
_NO_TERMINAL: Final = {
    3: "a terminal delivers nothing twice",
    7: "what a terminal prints has no id to wait for",
    8: "at a terminal nothing has to be acknowledged",
    10: "at a terminal a letter is typed, and what it stands for is not sent along",
    11: "a terminal is one place",
    20: "at a terminal there are no accounts: who types is asserted",
    39: "a terminal is there, or it is not",
    42: "at a terminal nothing can be replied to",
}


def why_empty(case: int, place: str) -> str:
    """Why a case is not tested in a place; "" if there is no reason."""
    if case in PENDING:
        return PENDING[case]
    if place == "engine":
        return ""
    return _NO_SCREEN.get(case, "") or (_NO_TERMINAL.get(case, "") if place == "console" else "")
