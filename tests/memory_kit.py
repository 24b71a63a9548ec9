"""A table whose roles have the real memory tools, on either store."""

from __future__ import annotations

from typing import Any

import msgspec

from agents.redaction import Redactor
from agents.tools import memory
from core.adapters.models.scripted import say, use
from core.model.events import Conversation
from core.model.memory import Memory, Place, private
from core.model.team import Team
from core.model.work import Begun, Reply
from tests import engine_kit as kit
from tests.engine_kit import Table

NAMES = tuple(memory.SPECS)


def acting(*uses: tuple[str, dict[str, Any]]) -> list[Reply]:
    """What a model says that makes these calls, one a turn, and then is done."""
    return [*(use(name, **arguments) for name, arguments in uses), say("done")]


def remembering(**changes: Any) -> Team:
    """The small team, in which everybody has the tools; ops is a team of its own, and so are those who lead."""
    made = kit.company(kit.YOU, kit.BOB, **changes)
    specs = tuple(msgspec.structs.replace(spec, on_demand=False) for spec in memory.SPECS.values())
    for role_id, role in made.roles.items():
        made = kit.changed_role(made, role_id, specs=(*role.specs, *specs), tools=(*role.tools, *NAMES))
    return msgspec.structs.replace(made, teams={"works": ("ops",), "leads": ("ceo", "cto")})


class Room(Table):
    """See the module's docstring."""

    def __init__(self, *uses: tuple[str, dict[str, Any]], role: str = "ceo", team: Team | None = None) -> None:
        self.script: dict[str, Any] = {role: acting(*uses)}
        self.whole = team or remembering()
        super().__init__(self.script, team=self.whole)
        self.tools |= {tool.spec.name: tool for tool in self.made()}

    def made(self) -> tuple[memory.MemoryTool, ...]:
        """The tools, on this table's store."""
        redact = Redactor({"API_KEY": "abcd1234efgh"})
        return memory.tools(memory.Notebook(keeper=self.store, clock=self.clock, redact=redact), self.whole)

    def teach(self, *uses: tuple[str, dict[str, Any]], role: str = "ceo") -> None:
        """From now on the role's model does this."""
        self.script[role] = acting(*uses)

    async def does(
        self, *uses: tuple[str, dict[str, Any]], role: str = "ceo", by: str = "you", at: Conversation = kit.MAIN
    ) -> list[str]:
        """Asked by somebody, the role does this. Returns what the calls came to."""
        self.teach(*uses, role=role)
        await self.say("go on", by, role=role, at=at)
        return self.results(role)

    async def noted(self, *places: Place) -> tuple[Memory, ...]:
        return await self.store.read.memories(places or (private("ceo"),))

    async def begun(self, role: str = "ceo") -> Begun:
        """The first entry of the role's newest task."""
        return next(entry for entry in await self.journal(role) if isinstance(entry, Begun))

    def first_told(self, role: str = "ceo") -> str:
        """What the role's model was told first, in its newest task."""
        of_role = [request for request in self.model.requests if request.role == role]
        return next(request for request in of_role if request.task == of_role[-1].task).messages[0].text
