"""The one private line for whoever pressed: what came of it, or why nothing did. To translate it, translate this."""

from __future__ import annotations

from typing import Final, assert_never

from core.model.inquiries import InquiryState

COUNTED: Final = "Counted. More people must decide."
REVIEW_NEXT: Final = "Counted. Another person reviews it next."
APPROVED: Final = "Approved."
DENIED: Final = "Denied."
ANSWERED: Final = "Thank you, passed on."
DISMISSED: Final = "Dismissed. The agent goes on without an answer."
EDITED: Final = "Changed. It must be approved as it is now."
PASSED_ON: Final = "Passed on to the agent. Nothing is decided yet."
TAKEN_BACK: Final = "Your vote is taken back."
REVOKED: Final = "Taken back before it ran."
CONFIRM: Final = "Only you may decide this, and you asked for it. Look at the whole of it, then press once more."
KEPT: Final = "Your vote is kept. It counts as soon as your standing could be checked."

STALE: Final = "This was changed since. Look at the newest version of it, and decide there."
SEEN: Final = "Your vote is already counted."
CONFLICT: Final = "You already voted. Take that vote back first."
NO_VOTE: Final = "You have no vote here to take back."
UNKNOWN_PERSON: Final = "This account belongs to nobody who may decide here."
NOT_ELIGIBLE: Final = "You may not decide this."
NOT_YOUR_OWN: Final = "You asked for this, so another person decides."
ANOTHER_REVIEWER: Final = "You decided another stage of this. It needs a different person."
NEEDED_LATER: Final = "You are needed for a later stage of this. Another person must approve this one."
NEEDS_VERIFIED: Final = "This needs a vote that a platform vouches for. Decide it in the chat."
NOT_CHECKED: Final = "Your standing could not be checked just now. Press again."
NOT_OFFERED: Final = "That cannot be done with this request."
REASON_NEEDED: Final = "This needs a reason."
TEXT_NEEDED: Final = "Say what the agent should know."
INVALID_ANSWER: Final = "That answer does not fit"
INVALID_EDIT: Final = "That change does not fit"
NO_CHANGE: Final = "Nothing would be different."
RAISES_TIER: Final = "That change needs more approval than was asked for. Deny it, and say what you want instead."
EDITOR_NEEDED: Final = "Whoever changes it cannot approve it, and without you too few are left. Deny it, and say why."
ACTION_CHANGED: Final = "Not approved: the program or its definition changed since it was asked. Ask anew."
STRICTER: Final = "The policy has become stricter. It is asked anew, and earlier votes are void."
NOBODY_LEFT: Final = "The policy has become stricter, and under it nobody may decide this."
TASK_OVER: Final = "Too late: the work this belonged to has ended."
TOO_LATE_TO_STOP: Final = "Too late to take it back: it has started, or its permission is gone."

OTHERS_UNSURE: Final = (
    "Counted. An earlier vote does not count at this moment: its voter may no longer decide, or could not be looked up."
)
NOT_JSON: Final = "That edit is not a JSON object"

_WANTED: Final = {
    "array": "a JSON list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "a JSON object",
}


def unseen(title: str, inquiry: str) -> str:
    """To an owner: something waits for people, and could be shown nowhere."""
    return f"{title} ({inquiry}), and it could not be shown where it should be. /view {inquiry} shows it."


def choose(name: str, options: tuple[str, ...]) -> str:
    """An input whose text is none of its options."""
    return f"{name}: choose one of {', '.join(options)}"


def write(name: str, types: tuple[str, ...]) -> str:
    """An input whose text cannot be read as what it has to be."""
    return f"{name}: write {' or '.join(_WANTED.get(one, one) for one in types)}"


def afterwards(state: InquiryState, by: str) -> str:
    """To somebody who pressed too late: what happened instead."""
    match state:
        case InquiryState.APPROVED:
            return f"Already approved by {by}."
        case InquiryState.DENIED:
            return f"Already denied by {by}."
        case InquiryState.ANSWERED:
            return f"Already answered by {by}."
        case InquiryState.DISMISSED:
            return f"Already dismissed by {by}."
        case InquiryState.SUPERSEDED:
            return "Too late: it was replaced by a newer request."
        case InquiryState.CANCELLED:
            return "Too late: it was withdrawn."
        case InquiryState.EXPIRED:
            return "Too late: it has expired."
        case (
            InquiryState.CREATED
            | InquiryState.OPEN
            | InquiryState.COLLECTING
            | InquiryState.IN_REVIEW
            | InquiryState.UNDELIVERABLE
        ):
            return "It is still open."
        case _:  # pragma: no cover
            assert_never(state)
