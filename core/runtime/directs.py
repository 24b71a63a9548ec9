"""Where people can be shown something in private: on the first of their accounts whose platform runs here and can open
such a conversation. Accounts that team.yaml names come first, in its order, then those people have linked themselves.

Law of this file: a private showing is its one account's. Whoever presses what was shown there must hold that account,
and do it in private, too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from core.model.events import Conversation
from core.model.inquiries import Inquiry
from core.model.team import Policy, Team
from core.rules.inbox import same_channel
from core.runtime.context import Context


async def directs_of(
    context: Context, team: Team, origin: Conversation, initiators: Collection[str]
) -> Mapping[str, Conversation]:
    """By person's id. Looked up only where the policy shows anything in private; and without those who have asked in
    private, because they see it there.
    """
    if not _is_wanted(team.policy):
        return {}
    linked = await context.store.read.accounts()
    there = initiators if is_private(context, origin) else ()
    found: dict[str, Conversation] = {}
    for person in team.people:
        accounts = (*person.accounts, *(link.account for link in linked if link.person == person.id))
        places = (private_place(context, account) for account in accounts)
        place = next((one for one in places if one is not None), None)
        if place is not None and person.id not in there:
            found[person.id] = place
    return found


def _is_wanted(policy: Policy) -> bool:
    others = (rule for rule in (policy.review, policy.changes) if rule is not None)
    rules = (*policy.tiers.values(), *others)
    steps = (step for escalation in policy.escalations.values() for step in escalation.steps)
    return any(rule.direct for rule in rules) or any(step.direct for step in steps)


def private_place(context: Context, account: str) -> Conversation | None:
    """Where this account can be shown something alone, as posts name it."""
    platform = context.platforms.get(account.partition(":")[0])
    return platform.direct(account) if platform is not None else None


def is_private(context: Context, conversation: Conversation) -> bool:
    """Whether a conversation is between the team and one account."""
    platform = context.platforms.get(conversation.platform)
    return platform is not None and platform.is_private(conversation)


def is_here(context: Context, shown: Conversation, spoken: Conversation, account: str) -> bool:
    """Whether what was shown in one place is before the holder of an account who speaks in another: threads of one
    channel are one place, and a private one is known by its account.
    """
    own = is_private(context, spoken) and private_place(context, account) == shown
    return own or same_channel(shown, spoken)


def where_asked(context: Context, inquiry: Inquiry, spoken: Conversation) -> Conversation:
    """Where a platform is asked what somebody may do: where they speak. In private nobody holds a role of a place:
    there it is the first place of that platform which the inquiry is shown in and which is not private, if there is
    one.
    """
    if not is_private(context, spoken):
        return spoken
    shown = (inquiry.conversation, *inquiry.places)
    others = (p for p in shown if p.platform == spoken.platform and not is_private(context, p))
    return next(others, spoken)
