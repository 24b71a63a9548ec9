"""A crowd: three people and some who are none of the team's, two platforms that both show everything, and no manners.

They click at random, late, twice, through stale buttons and in the wrong channel; they edit, withdraw, cancel, talk and
type commands with and without ids, while the process dies and the clock jumps. What must be true of that is P3: one
execution at most for each approval, under a grant of people who were entitled and really said so, and nothing by time.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from core.adapters.models.scripted import Script, use
from core.adapters.models.scripted import say as says
from core.model.events import (
    CommandReceived,
    ControlPressed,
    Conversation,
    Event,
    FormSubmitted,
    MessageReceived,
    Sender,
)
from core.model.ids import grant_of
from core.model.inquiries import GrantState, Inquiry, InquiryState, Kind, Verb
from core.model.team import Person, StageRule, Team, TierRule
from core.model.views import InquiryCard
from core.rules.controls import parse_control
from tests.simulation import company
from tests.simulation.places import ALONE, Life, Screen, SimPlatform
from tests.simulation.scenarios import DEPLOY, DONE, give
from tests.simulation.world import CHANNEL, World

DESK = Conversation(platform="desk", account="acme", channel="approvals")
INBOX = Conversation(platform="desk", account="acme", channel="inbox")
ELSEWHERE = Conversation(platform="sim", account="acme", channel="random")
PLACES = (CHANNEL, DESK, INBOX, ELSEWHERE)

ACTIONS_MIN, ACTIONS_MAX = 30, 45
WORK_MAX = 3
"""Requests of one schedule; everything else is done to these."""
WRAP_UPS_MAX = 40
ANY = ""
"""Whichever is the only one by then: of a decision without an id."""
YES = (Verb.APPROVE.value, Verb.RERUN.value)


def _person(name: str, role: str) -> Person:
    return Person(id=name, name=name.title(), role=role, accounts=(f"sim:{name}", f"desk:{name}"))


ANA, BEN, CAL = _person("ana", "owner"), _person("ben", "approver"), _person("cal", "approver")
MIA = _person("mia", "member")
DECIDERS = ("ana", "ben", "cal")
ANYBODY = (*DECIDERS, *DECIDERS, "mia", "stranger")
STAGES = (
    (StageRule(),),
    (StageRule(), StageRule()),
    (StageRule(approve_n=2),),
    (StageRule(deny_n=2),),
)
AGAIN = use("run_command", command="deploy", args={"site": "shop"})
SCRIPTS: tuple[dict[str, Script], ...] = (
    {"devops": [DEPLOY, DONE]},
    {"devops": [DEPLOY, AGAIN, DONE]},
    {
        "devops": [DEPLOY, DONE],
        "cto": [give("devops", "Deploy the landing page", "operate"), use("hand_off", summary="DevOps is done.")],
        "ceo": [give("cto", "Deploy the landing page"), says("The landing page is settled.")],
    },
)


def team_of(chance: random.Random) -> Team:
    """Three people who may decide and a member; what they decide together differs."""
    made = company.company(ANA, BEN, CAL, MIA)
    rule = TierRule(
        stages=chance.choice(STAGES),
        decide_ms=chance.choice((3_600_000, 48 * 3_600_000)),
        at_deadline=chance.choice(("queue", "queue", "deny")),
        deliver=(DESK,),
    )
    policy = msgspec.structs.replace(made.policy, tiers={**made.policy.tiers, "infrastructure": rule}, inbox=INBOX)
    return msgspec.structs.replace(made, policy=policy)


class DeskPlatform(SimPlatform):
    name = "desk"


class Crowd(World):
    """One seeded schedule."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        super().__init__(
            seed,
            script=chance.choice(SCRIPTS),
            team=self._team(chance),
            interleave=chance.random() < 0.7,
            faults=chance.choice((0.0, 0.0, 0.1)),
            nonce=chance.random() < 0.7,
        )
        self.people = chance
        self.desk = Screen(nonce=self.screen.nonce)
        self.did: Counter[str] = Counter()
        self.work_n = 0
        self.behind_hours = 0.0
        self.sent: list[Event] = []
        self.said: set[tuple[str, str, int]] = set()  # who said yes to which revision of what; 0: as it is by then
        self.own: set[tuple[str, str]] = set()  # presses in private of one's own buttons, and what was typed there
        self._of: dict[Life, dict[str, Any]] = {}

    def _team(self, chance: random.Random) -> Team:
        return team_of(chance)

    def _actions(self, life: Life) -> dict[str, Any]:
        if life not in self._of:
            self._of[life] = super()._actions(life)
        return self._of[life]

    async def _begin(self) -> None:
        await super()._begin()
        life: Life = self.lives[-1]
        self.engines[life].context.platforms["desk"] = DeskPlatform(self.desk, life)  # type: ignore[index]

    # --- A schedule -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Some work, any number of actions, then everybody comes to their senses."""
        actions_n = self.people.randrange(ACTIONS_MIN, ACTIONS_MAX + 1)
        dies_at = self.people.randrange(actions_n)
        self._work_is_given()
        await self.settle()
        for n in range(actions_n):
            if n == dies_at:
                self._dies()
            self._act()
            how = self.people.random()
            if how < 0.4:
                await self.settle()
            elif how < 0.8:
                await self.nudge(self.people.randrange(1, 40))
        await self.wrap_up()
        bare = [(who, verb) for who, verb, of in self.pressed if of == ANY]
        self.pressed += [(*one, inquiry) for one in bare for inquiry in self.store._tables.inquiries]

    async def nudge(self, rounds: int) -> None:
        """Go on for so long, and stop in the middle of things. The clock stands."""
        for _ in range(rounds):
            await asyncio.sleep(0)
            if any(not life.alive for life in self.lives) or not self.lives:
                await self.restart()
                continue
            self._reap()
            self._raise_errors()
            self._start_something()

    async def wrap_up(self) -> None:
        """The weather clears, the clock is set right, what was stopped goes on, and whatever still waits is answered by
        those who may.
        """
        self.turn_clock(hours=self.behind_hours)
        self.hazards.faults, self.hazards.crash_at, self.hazards.crash_on = 0.0, frozenset(), []
        for scope in ("devops", "all"):
            self.happens(CommandReceived, "ana", CHANNEL, name="resume", arguments=(scope,))
        for _ in range(WRAP_UPS_MAX):
            await self.settle()
            left = self.open_inquiries()
            if not left:
                return
            for inquiry in left:
                self._ends(inquiry)
        raise AssertionError(f"seed {self.seed}: people are asked for ever: {self.open_inquiries()}")

    def _ends(self, inquiry: Inquiry) -> None:
        """Whoever may, says no, or what happened; a vote of theirs that stands in the way is taken back first."""
        word = "happened" if inquiry.kind is Kind.RECONCILE else "deny"
        for who in inquiry.stages[inquiry.stage].eligible:
            self.happens(CommandReceived, who, CHANNEL, name="withdraw", arguments=(inquiry.id,))
            self.happens(CommandReceived, who, CHANNEL, name=word, arguments=(inquiry.id, "enough"))

    # --- Actions ----------------------------------------------------------------------------------------------------

    def _act(self) -> None:
        actions = self._may_do()
        action = self.people.choices(list(actions), list(actions.values()))[0]
        self.did[action.__name__.strip("_").replace("_", " ")] += 1
        action()

    def _may_do(self) -> dict[Callable[[], None], int]:
        """What people do, and how often. (One more makes other schedules of all seeds.)"""
        return {
            self._clicks: 10,
            self._clicks_what_is_open: 12,
            self._clicks_what_is_stale: 3,
            self._clicks_twice: 4,
            self._comes_again: 4,
            self._edits: 6,
            self._types_with_an_id: 5,
            self._types_without_an_id: 3,
            self._types_several_ids: 2,
            self._sees_to_it_otherwise: 3,
            self._withdraws: 3,
            self._cancels: 1,
            self._stops_or_resumes: 2,
            self._talks: 2,
            self._work_is_given: 2,
            self._clock_jumps: 3,
            self._dies: 2,
        }

    def happens(self, kind: Any, by: str, at: Conversation, **fields: Any) -> Event:
        """Somebody does something somewhere."""
        self.events_n += 1
        self._work += 1
        if at.account == ALONE:  # whoever speaks in private does so in their own chat, with whoever's button
            at = msgspec.structs.replace(at, channel=f"{at.platform}:{by}")
        sender = Sender(account=f"{at.platform}:{by}", name=by.title())
        event: Event = kind(
            key=f"{at.platform}:{self.events_n}", at_ms=self.clock.now_ms(), conversation=at, sender=sender, **fields
        )
        self.screen.pending.append(event)
        self.sent.append(event)
        self._remember(event, by)
        if not isinstance(event, ControlPressed | FormSubmitted) or self._stands_in(event.control, at):
            self.own.add((sender.account, event.key))
        return event

    def _stands_in(self, control: str, at: Conversation) -> bool:
        return any(place == at for card, place in self.shown() if any(b.control == control for b in card.buttons))

    def _remember(self, event: Event, by: str) -> None:
        """What was really said, and of what: the only thing a grant may rest on."""
        match event:
            case ControlPressed(control=control) | FormSubmitted(control=control):
                shown = next(
                    (card for card, _ in self.shown() if any(b.control == control for b in card.buttons)), None
                )
                parsed = parse_control(control)
                if shown is not None and parsed is not None:
                    self.pressed.append((by, parsed[1].value, shown.inquiry))
                    if parsed[1].value in YES:
                        self.said.add((by, shown.inquiry, shown.revision))
            case CommandReceived(name=name, arguments=arguments) if name in {*YES, Verb.OVERRIDE.value}:
                self.pressed.append((by, name, arguments[0] if arguments else ANY))
                self.said.add((by, arguments[0] if arguments else ANY, 0))

    def shown(self) -> list[tuple[InquiryCard, Conversation]]:
        """Every card that was ever on a screen, whatever stands there now."""
        return [
            (post.view, post.conversation)
            for screen in (self.screen, self.desk)
            for edits in screen.messages.values()
            for post in edits
            if isinstance(post.view, InquiryCard)
        ]

    def _somebody(self) -> str:
        return self.people.choice(ANYBODY)

    def _open_cards(self) -> list[tuple[InquiryCard, Conversation]]:
        now = {one.id: one.revision for one in self.open_inquiries()}
        return [(card, place) for card, place in self.shown() if now.get(card.inquiry) == card.revision]

    def _button(self, cards: list[tuple[InquiryCard, Conversation]], *verbs: Verb) -> tuple[str, Conversation] | None:
        """Of a card, usually where it stands."""
        found = [
            (button.control, place)
            for card, place in cards
            for button in card.buttons
            if not verbs or (parse_control(button.control) or ("", None))[1] in verbs
        ]
        if not found:
            return None
        control, place = self.people.choice(found)
        return control, place if self.people.random() < 0.85 else self.people.choice(PLACES)

    def _press(self, pressed: tuple[str, Conversation] | None, who: str, n: int = 1) -> None:
        for _ in range(n if pressed else 0):
            self.happens(ControlPressed, who, pressed[1], control=pressed[0])

    def _clicks(self) -> None:
        self._press(self._button(self.shown()), self._somebody())

    def _clicks_what_is_open(self) -> None:
        self._press(self._button(self._open_cards(), Verb.APPROVE, Verb.RERUN), self.people.choice(DECIDERS))

    def _clicks_what_is_stale(self) -> None:
        now = {one.id: one.revision for one in self.open_inquiries()}
        cards = [(card, place) for card, place in self.shown() if card.revision < now.get(card.inquiry, 0)]
        self._press(self._button(cards, Verb.APPROVE), self.people.choice(DECIDERS))

    def _clicks_twice(self) -> None:
        self._press(self._button(self.shown(), Verb.APPROVE, Verb.DENY), self.people.choice(DECIDERS), n=2)

    def _comes_again(self) -> None:
        """The platform delivers something it has delivered before."""
        if self.sent:
            self._work += 1
            self.screen.pending.append(self.people.choice(self.sent[-8:]))

    def _edits(self) -> None:
        """And somebody else presses what they see on a screen that is behind."""
        cards = self._open_cards()
        pressed, stale = self._button(cards, Verb.EDIT), self._button(cards, Verb.APPROVE)
        site, who = self.people.choice(("landing", "brochure", "shop")), self.people.choice(DECIDERS)
        if pressed:
            self.happens(FormSubmitted, who, pressed[1], control=pressed[0], fields={"args.site": site})
        if self.people.random() < 0.6:
            self._press(stale, self.people.choice([one for one in DECIDERS if one != who]))

    def _types_with_an_id(self) -> None:
        known = list(self.store._tables.inquiries)
        if known:
            name = self.people.choice(("approve", "approve", "deny", "rerun", "happened", "askback", "view", "giveup"))
            words = () if name == "approve" else ("because",)
            at = self.people.choice(PLACES)
            self.happens(
                CommandReceived, self._somebody(), at, name=name, arguments=(self.people.choice(known), *words)
            )

    def _types_without_an_id(self) -> None:
        name = self.people.choice(("approve", "approve", "deny", "inbox"))
        self.happens(CommandReceived, self._somebody(), self.people.choice(PLACES), name=name, arguments=())

    def _types_several_ids(self) -> None:
        known = list(self.store._tables.inquiries)
        if len(known) > 1:
            named = tuple(self.people.sample(known, 2))
            event = self.happens(
                CommandReceived, self._somebody(), self.people.choice(PLACES), name="approve", arguments=named
            )
            who = event.sender.account.partition(":")[2]
            self.pressed += [(who, Verb.APPROVE.value, one) for one in named]
            self.said |= {(who, one, 0) for one in named}

    def _sees_to_it_otherwise(self) -> None:
        """What decides nothing: a later deadline, silence, somebody to stand in."""
        known = list(self.store._tables.inquiries)
        name, *words = self.people.choice((("extend", "5"), ("snooze", "8"), ("away", "8", "to", "cal"), ("back",)))
        named = [self.people.choice(known)] if known and name in {"extend", "snooze"} else []
        at = self.people.choice(PLACES)
        self.happens(CommandReceived, self._somebody(), at, name=name, arguments=(*named, *words))

    def _withdraws(self) -> None:
        known = list(self.store._tables.inquiries)
        if known:
            arguments = (self.people.choice(known),)
            self.happens(CommandReceived, self._somebody(), DESK, name="withdraw", arguments=arguments)

    def _cancels(self) -> None:
        tasks = [task.id for task in self.tasks()]
        if tasks:
            arguments = (self.people.choice(tasks),)
            self.happens(CommandReceived, self._somebody(), CHANNEL, name="cancel", arguments=arguments)

    def _stops_or_resumes(self) -> None:
        name, scope = self.people.choice(("stop", "resume", "resume")), self.people.choice(("devops", "all"))
        self.happens(CommandReceived, self.people.choice(DECIDERS), CHANNEL, name=name, arguments=(scope,))

    def _talks(self) -> None:
        """In a conversation where something goes on: a word to it, and nothing else."""
        if any(task.parent is None and not task.phase.final for task in self.tasks()):
            word = self.people.choice(("yes", "approve", "ok, do it", "stop", "no"))
            self.happens(
                MessageReceived, self.people.choice((*DECIDERS, "mia")), CHANNEL, text=f"{word} {self.events_n}"
            )

    def _work_is_given(self) -> None:
        if self.work_n < WORK_MAX:
            self.work_n += 1
            role = "ceo" if "ceo" in self.model._script else "devops"
            by = self.people.choice(("ana", "ben", "mia", "mia"))
            self.happens(MessageReceived, by, CHANNEL, text=f"deploy the page, {self.events_n}", role=role)

    def _clock_jumps(self) -> None:
        hours = self.people.choice((-2, 0.5, 2, 25, 49))
        self.behind_hours += max(0, -hours)
        self.turn_clock(hours=hours)

    def _dies(self) -> None:
        if self.people.random() < 0.5:
            self.crash()
        else:
            self.hazards.crash_at = frozenset({self.hazards.count + self.people.randrange(1, 60)})


class BoldCrowd(Crowd):
    """One with an owner who may decide alone, people who remark on what waits, and private chats to press in."""

    def _team(self, chance: random.Random) -> Team:
        team = super()._team(chance)
        rule = msgspec.structs.replace(team.policy.tiers["infrastructure"], override=True, direct=True)
        tiers = {**team.policy.tiers, "infrastructure": rule}
        return msgspec.structs.replace(team, policy=msgspec.structs.replace(team.policy, tiers=tiers))

    def _may_do(self) -> dict[Callable[[], None], int]:
        return {**super()._may_do(), self._overrides: 8, self._remarks: 6}

    def _overrides(self) -> None:
        self._says_of_one("override", self.people.choice(("ana", self._somebody())), "it burns")

    def _remarks(self) -> None:
        self._says_of_one("comment", self._somebody(), f"remark {self.events_n}")

    def _says_of_one(self, name: str, who: str, text: str) -> None:
        known = [one.id for one in self.open_inquiries()] or list(self.store._tables.inquiries)
        if known:
            at, one = self.people.choice(PLACES), self.people.choice(known)
            self.happens(CommandReceived, who, at, name=name, arguments=(one, text))


# --- What must be true ------------------------------------------------------------------------------------------------


def unearned(world: Crowd) -> Iterator[str]:
    """P3, of every grant there is, used or not; `checks` looks at what ran."""
    tables = world.store._tables
    for grant in tables.grants.values():
        inquiry = tables.inquiries[grant.inquiry]
        if not grant.by or len(set(grant.by)) != len(grant.by):
            yield f"P3: {grant.id} is of {grant.by}"
        revisions = range(1, inquiry.revision + 1)
        revision = next((r for r in revisions if grant_of(inquiry.id, r, inquiry.generation) == grant.id), -1)
        for who in grant.by:
            if not {(who, inquiry.id, revision), (who, inquiry.id, 0), (who, ANY, 0)} & world.said:
                yield f"P3: {who} never approved {inquiry.id} as it is in revision {revision}"
        if set(grant.by) & set(inquiry.initiators):
            yield f"P3: {grant.id} is of who asked for it"
        if grant.state is GrantState.LIVE and inquiry.state is not InquiryState.APPROVED:
            yield f"P3: {grant.id} lives, and {inquiry.id} is {inquiry.state.value}"
    of = Counter(grant.inquiry for grant in tables.grants.values() if grant.state is GrantState.LIVE)
    yield from (f"P3: {inquiry} has {n} live grants" for inquiry, n in of.items() if n > 1)
    used = Counter(attempt.grant for attempt in tables.attempts.values())
    yield from (f"P3: {grant} was tried {n} times" for grant, n in used.items() if n > 1)
    ran = sum(one.tool == "run_command" for one in world.outside.done)
    if ran > len(used):
        yield f"P3: {ran} executions of {len(used)} attempts"
    votes = Counter((v.inquiry, v.revision, v.stage, v.principal) for v in tables.votes.values() if v.active)
    yield from (f"P3: {key} has {n} votes" for key, n in votes.items() if n > 1)
    for v in tables.votes.values():
        if v.conversation and v.conversation.account == ALONE and (v.account, v.callback) not in world.own:
            yield f"P3: {v.account} voted with a button of somebody's private chat"
    strangers = {v.principal for v in tables.votes.values()} - {person.id for person in world.team.people}
    yield from (f"P3: {who} voted" for who in strangers)
