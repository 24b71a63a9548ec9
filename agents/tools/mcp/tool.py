"""A server's tool, as the engine runs it.

Law: tier and effect class are the team's own words, never the server's. Whatever comes back is from outside. A `once`
tool whose answer did not come has an unknown outcome, and a person decides; only what certainly did not run is a
Failure.
"""

from __future__ import annotations

import asyncio
from typing import Any

from agents.servers import JOINT
from agents.tools.mcp.answers import bounded
from agents.tools.mcp.hub import Hub
from agents.tools.mcp.speech import Answer, CallError, Refusal
from core.model.team import EffectClass, ToolSpec
from core.model.work import Failure, ToolResult
from core.ports import UnknownOutcomeError, Workplace


def is_outside(spec: ToolSpec) -> bool:
    """Whether it is a server's: none of ours has such a name, and one that people wrote has a program."""
    return JOINT in spec.name and not spec.program


class McpTool:
    """Implements ports.Tool. The spec's name has the server's, its verb the tool's own."""

    def __init__(self, spec: ToolSpec, hub: Hub | None) -> None:
        self._spec = spec
        self._hub = hub
        self._limits: dict[str, asyncio.Timeout] = {}

    @property
    def spec(self) -> ToolSpec:
        """As it was pinned."""
        return self._spec

    @property
    def remembers(self) -> bool:
        """No server can be asked what became of a call."""
        return False

    async def run(self, arguments: dict[str, Any], place: Workplace) -> ToolResult:
        """Call it. Raises UnknownOutcomeError."""
        if self._hub is None:
            return self._failed("no MCP server runs here", "hand off; a person has to look")
        try:
            async with asyncio.timeout(place.seconds_max + 5) as limit:  # the call's own comes first
                self._limits[place.attempt] = limit
                answer = await self._hub.call(self._spec, arguments, place.seconds_max)
        except TimeoutError:
            why = (
                "it was stopped" if place.attempt not in self._limits else f"it did not answer in {place.seconds_max} s"
            )
            return self._lost(why)
        except CallError as error:
            if error.ran:
                return self._lost(error.why, error.said)
            return self._failed(error.why, "look at the arguments, or go on without it", error.said)
        finally:
            self._limits.pop(place.attempt, None)
        match answer:
            case Refusal():
                return self._failed(answer.why, answer.recovery, answer.said)
            case Answer(failed=True):
                return self._failed("the server says that it did", "mend the arguments, or leave it", answer.text)
            case Answer():
                return ToolResult(text=answer.text, picture=answer.picture, untrusted=True)

    async def cancel(self, attempt: str) -> None:
        """Wait for it no longer; the server is told."""
        limit = self._limits.pop(attempt, None)
        if limit is not None:
            limit.reschedule(0)  # long ago, on every loop's clock

    def _lost(self, why: str, said: str = "") -> ToolResult:
        """It was sent, and no answer came."""
        if self._spec.effect is EffectClass.ONCE:
            raise UnknownOutcomeError(f"{self._spec.name}: {why}")
        return self._failed(why, "try once more, or go on without it", said)

    def _failed(self, why: str, recovery: str, said: str = "") -> ToolResult:
        """`said` are words from outside: they stand below the Failure's own, where the transcript fences them."""
        failure = Failure(what=f"{self._spec.name} failed", why=why, recovery=recovery)
        return ToolResult(failure=failure, text=bounded(said), untrusted=True)
