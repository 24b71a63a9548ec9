"""What the cases are told with: the engine on a table, everything that needs people shown on two platforms.

"Ran" is always what the tool itself counts. `loosen` takes guards out of the store, for the siblings that show that a
case can fail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from bots.console import wire
from core.adapters.models.scripted import Script, use
from core.model.events import Conversation
from core.model.inquiries import Evidence, Inquiry, InquiryState, Verb, Vote
from core.model.team import Person, StageRule, Team, TierRule, ToolSpec
from core.model.unit import InquiryRow, PutVote, Unit
from core.model.views import DecidedCard, InquiryCard
from core.rules import inquiry as rules
from core.rules.policy import DEFAULT_TIERS
from core.rules.views import parse_control
from core.runtime import inquiries
from tests.engine_kit import BOB, CAROL, MAIN, MIA, VIC, YOU, Table, company, person

APPROVALS = Conversation(platform="desk", account="acme", channel="approvals")
DAVE = person("dave")
EVERYBODY = (YOU, BOB, CAROL, DAVE, MIA, VIC)
ONE = (StageRule(),)
BY_TWO = (StageRule(approve_n=2),)
BY_THREE = (StageRule(approve_n=3),)

MAIL = use("mail", to="all")
SHIP = use("run_command", command="ship", args={"site": "landing"})
POKE = use("poke", at="it")
DONE = use("hand_off", summary="done")
MAILING: Mapping[str, Script] = {"ops": [MAIL, DONE]}
SHIPPING: Mapping[str, Script] = {"ops": [SHIP, DONE]}
APPROVED = "Approved."


def office(*people: Person, stages: tuple[StageRule, ...] = ONE, rule: Mapping[str, Any] | None = None, **changes: Any):
    """A team whose inquiries are shown where they are asked, and on the desk. `rule`: more of the mail's tier."""
    team = company(*(people or EVERYBODY))
    tiers = {name: msgspec.structs.replace(one, deliver=(APPROVALS,)) for name, one in DEFAULT_TIERS.items()}
    tiers["external"] = TierRule(stages=stages, deliver=(APPROVALS,), **(rule or {}))
    policy = msgspec.structs.replace(team.policy, tiers=tiers)
    return msgspec.structs.replace(team, policy=policy, **changes)


def with_tool(team: Team, *specs: ToolSpec) -> Team:
    """ops may use these, too; they take the place of tools of the same name."""
    ops = team.roles["ops"]
    kept = tuple(spec for spec in ops.specs if spec.name not in {new.name for new in specs})
    tools = tuple(dict.fromkeys((*ops.tools, *(spec.name for spec in specs))))
    changed = msgspec.structs.replace(ops, specs=(*kept, *specs), tools=tools)
    return msgspec.structs.replace(team, roles={**team.roles, "ops": changed})


async def asking(
    team: Team | None = None, script: Mapping[str, Script] = MAILING, by: str = "you", **more: Any
) -> Table:
    """Somebody gave ops the work, and it needs people now."""
    table = Table(script, team=team or office(), **more)
    await table.say("tell them", by, role="ops")
    return table


async def redefine(table: Table, team: Team, version: str = "team-2") -> None:
    """The team's definition changes while the engine runs."""
    table.teams.team = msgspec.structs.replace(team, version=version)
    await table.engine.keep_definition()


def ran(table: Table, tool: str = "mail") -> int:
    """Counted on the tool itself."""
    return len(table.tools[tool].ran)


def sent_to(table: Table) -> list[dict[str, Any]]:
    """With which arguments the mail tool ran."""
    return [arguments for arguments, _ in table.tools["mail"].ran]


# --- On screen --------------------------------------------------------------------------------------------------------


def seen(table: Table, place: Conversation = MAIN) -> list[Any]:
    """What the screen of a conversation shows now, oldest first."""
    screen = table.chat if place.platform == "chat" else table.desk
    return [edits[-1].view for edits in screen.messages.values() if edits[-1].conversation == place]


def card(table: Table, place: Conversation = MAIN) -> InquiryCard:
    return [view for view in seen(table, place) if isinstance(view, InquiryCard)][-1]


def decided(table: Table, place: Conversation = MAIN) -> list[DecidedCard]:
    return [view for view in seen(table, place) if isinstance(view, DecidedCard)]


def button(shown: InquiryCard, verb: Verb = Verb.APPROVE) -> str:
    return next(b.control for b in shown.buttons if parse_control(b.control)[1] is verb)


async def click(table: Table, who: str, verb: Verb = Verb.APPROVE, at: Conversation = MAIN, **fields: str) -> str:
    """The button as it is on that screen. Returns the line that answered it."""
    return await table.control(button(card(table, at), verb), who, at=at, **fields)


async def votes(table: Table) -> tuple[Vote, ...]:
    """The active ones of the newest inquiry."""
    row = await row_of(table)
    return tuple(vote for vote in row.votes if vote.active)


async def row_of(table: Table) -> InquiryRow:
    row = await table.store.read.inquiry((await table.newest()).id)
    assert row is not None
    return row


async def state(table: Table) -> InquiryState:
    return (await table.newest()).state


# --- What a test does to the engine -----------------------------------------------------------------------------------


def loosen(table: Table, *kinds: type) -> None:
    """The store takes no notice of guards and changes of these kinds."""
    commit = table.store.inner.commit

    async def loose(unit: Unit) -> Any:
        guards = tuple(guard for guard in unit.guards if not isinstance(guard, kinds))
        changes = tuple(change for change in unit.changes if not isinstance(change, kinds))
        return await commit(msgspec.structs.replace(unit, guards=guards, changes=changes))

    table.store.inner.commit = loose


def meanwhile(table: Table, who: Person, verb: Verb = Verb.APPROVE, reason: str = "") -> None:
    """When the next vote is about to be committed, somebody else's is committed just before it."""

    async def hook(unit: Unit) -> bool:
        if not any(isinstance(change, PutVote) for change in unit.changes):
            return False
        asked = await table.newest()
        now_ms = table.clock.now_ms()
        pressed = rules.Press(
            verb=verb,
            principal=who.id,
            account=f"desk:{who.id}",
            evidence=Evidence.VERIFIED,
            callback=f"meanwhile:{who.id}",
            revision=asked.revision,
            at_ms=now_ms,
            reason=reason,
            conversation=APPROVALS,
        )
        note_to = (APPROVALS, f"meanwhile:{who.id}")
        await inquiries.press(table.context, asked.id, pressed, who, guards=(), changes=(), note_to=note_to)
        return True

    table.store.meanwhile = hook


async def change_row(table: Table, change: Callable[[Inquiry], Inquiry]) -> None:
    """Somebody wrote into the database, past every rule."""
    asked = await table.newest()
    changed = msgspec.structs.replace(change(asked), version=asked.version)
    table.store.inner._tables.inquiries[asked.id] = changed


# --- The terminal -----------------------------------------------------------------------------------------------------

TERMINAL = wire.Look(width=100, keys=True)


def drawn(shown: Any, look: wire.Look = TERMINAL) -> str:
    return "\n".join(wire.draw(shown, look))


def typed(shown: InquiryCard, letter: str) -> str:
    """The control that a letter, typed at the prompt, presses on that card."""
    key = wire.read_line(letter, frozenset(b.key for b in shown.buttons))
    assert isinstance(key, wire.Key)
    pressed = wire.press(next(b for b in shown.buttons if b.key == key.key))
    assert isinstance(pressed, wire.Press), pressed
    return pressed.control
