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
UNSEEN: Final = "You have not seen it yet. Look at it with /view, or in /inbox, first."
WITH_OTHERS: Final = "It was to be approved together with others, and not all of them could be."
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
APPROVE_REASON_NEEDED: Final = "An approval of this needs a reason: /approve with its id, then why."
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
TASK_ENDED: Final = "the work it belonged to has ended"
TOO_LATE_TO_EDIT: Final = "Too late to change it: it has started."
TOO_LATE_TO_STOP: Final = "Too late to take it back: it has started, or its permission is gone."

MOVED_ON: Final = "Others were asked instead. It is no longer decided here."
NO_OVERRIDE: Final = "The policy lets nobody override this."
OWNERS_ONLY: Final = "Only an owner may override."
NOT_IN_THEIR_PLACE: Final = "You stand in for somebody who is away, but the policy would not have asked you this."
SNOOZE_HOW: Final = "Say /snooze ID HOURS, in whole hours, 168 at most."
EXTEND_HOW: Final = "Say /extend ID HOURS, in whole hours; only what has a deadline can be extended."
EXTENDED_ENOUGH: Final = "That would be more than 7 days in all. Decide it, or let it be overdue: it stays open."
AWAY_HOW: Final = "Say /away HOURS or /away YYYY-MM-DD, and perhaps: to PERSON. A year at most."
AWAY_BACK: Final = "Welcome back."
DELEGATE_UNKNOWN: Final = "There is nobody of that name here to stand in for you."
DELEGATE_SELF: Final = "You cannot stand in for yourself."
DELEGATE_CIRCLE: Final = "They are away themselves, and it would come back to you. Name somebody else."

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


def snoozed(until: str) -> str:
    """No reminders for a while."""
    return f"No reminders of it until {until}. It stays open."


def extended(until: str) -> str:
    """A later deadline."""
    return f"It can be decided until {until}."


def away(until: str, delegate: str) -> str:
    """Somebody is away from now on."""
    stands = f" {delegate} stands in for you where the policy lets them." if delegate else ""
    return f"You are away until {until}: no reminders.{stands} You may still decide; /back ends it."


def delegate_outside(name: str) -> str:
    """A delegate whom no selector of the policy means."""
    return f"{name} could decide nothing that you decide: the policy names both of you nowhere."


def unseen(title: str, inquiry: str) -> str:
    """To an owner: something waits for people, and could be shown nowhere."""
    return f"{title} ({inquiry}), and it could not be shown where it should be. /view {inquiry} shows it."


NOT_ALWAYS: Final = "Only an action that waits for approval can be always allowed."
NEVER_ALWAYS: Final = "Infrastructure is asked about every time: the policy does not let it be always allowed."
NOT_HIDDEN: Final = "It has a secret among its arguments, so it cannot be written into team.yaml."
WHICH_DAY: Final = "/always ID [UNTIL], a day as in 2027-01-31, a year from now at most"
LAWS_CHANGED: Final = "Not done: agents/team.yaml has changed since it was proposed. Propose it again."
NO_LAWS: Final = "agents/team.yaml cannot be changed from here."
NOT_BOUNDED: Final = "This can be approved once only: the policy allows no more for it. Leave out `for N times`."


def too_wide(count_max: int, hours_max: float) -> str:
    """Bounds beyond the policy's."""
    return f"Not counted: at most {count_max} times within {hours_max:g} hours may be approved here."


def not_free(name: str) -> str:
    """An argument that no approval can leave open."""
    return f"Not counted: {name} cannot be left open, only arguments whose values are listed can."


def decides_what(name: str) -> str:
    """An argument that names what is acted on."""
    return f"Not counted: with another {name} it would be done to something else."


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
