"""A model that says what a test wrote down. Its reply depends on the transcript alone, never on how often it was
called: a crash and a second call for the same turn get the same reply.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from core.model.errors import SignoffError, TerminalError
from core.model.team import Json
from core.model.work import Reply, Stop, ToolUse, Usage
from core.ports import Clock, ModelRequest

MODEL = "scripted"

_USAGE = Usage(input_tokens=100, output_tokens=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """A step that raises instead of answering."""

    error: SignoffError


Step = Reply | Fail
Script = Sequence[Step] | Callable[[ModelRequest], Step]
"""One step per turn of the task (the n-th step answers the transcript that has n assistant turns), or a function."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A condition on the transcript, and what is then said. None does not ask."""

    step: Step
    role: str | None = None
    contains: str | None = None
    anywhere: str | None = None
    turn: int | None = None

    def fits(self, request: ModelRequest) -> bool:
        """Whether this rule speaks of this request."""
        return (
            self.role in {None, request.role}
            and (self.turn is None or self.turn == turn_of(request))
            and (self.contains is None or self.contains.lower() in last_of(request).lower())
            and (self.anywhere is None or self.anywhere.lower() in whole_of(request).lower())
        )


def say(text: str, *, usage: Usage = _USAGE) -> Reply:
    """Plain text, and the turn ends."""
    return Reply(text=text, stop=Stop.END, usage=usage, model=MODEL)


def use(tool: str, /, **arguments: Json) -> Reply:
    """One tool call. Its id is given when it is said, so that it is the same on every call for the same turn."""
    return Reply(uses=(ToolUse(id="", name=tool, arguments=arguments),), stop=Stop.TOOLS, usage=_USAGE, model=MODEL)


def both(*replies: Reply) -> Reply:
    """Several calls (and texts) in one turn."""
    uses = tuple(one for reply in replies for one in reply.uses)
    text = "\n".join(reply.text for reply in replies if reply.text)
    return Reply(text=text, uses=uses, stop=Stop.TOOLS if uses else Stop.END, usage=_USAGE, model=MODEL)


def fail(error: SignoffError) -> Fail:
    """Raise this."""
    return Fail(error=error)


def when(
    step: Step,
    *,
    role: str | None = None,
    contains: str | None = None,
    anywhere: str | None = None,
    turn: int | None = None,
) -> Rule:
    """A rule: `role` is whose turn it is, `contains` is in the last message (its text or a result), `anywhere` is in
    any message, `turn` is how many assistant turns the transcript has. Case does not matter.
    """
    return Rule(step=step, role=role, contains=contains, anywhere=anywhere, turn=turn)


def turn_of(request: ModelRequest) -> int:
    """How many assistant turns the transcript has: 0 for the first."""
    return sum(1 for message in request.messages if message.role == "assistant")


def last_of(request: ModelRequest) -> str:
    """The text and the results of the last message."""
    if not request.messages:
        return ""
    last = request.messages[-1]
    return "\n".join((last.text, *(text for _, text, _ in last.results)))


def whole_of(request: ModelRequest) -> str:
    """Every text and result of the transcript."""
    return "\n".join("\n".join((m.text, *(text for _, text, _ in m.results))) for m in request.messages)


class ScriptedModel:
    """A ModelProvider from a mapping of role to Script, from rules (the first that fits speaks), or from both: rules
    come first. A request nothing speaks of is a TerminalError that quotes it, never a made-up answer.
    """

    def __init__(
        self,
        script: Mapping[str, Script] | Callable[[ModelRequest], Step] | None = None,
        *,
        rules: Sequence[Rule] = (),
        clock: Clock | None = None,
        latency_ms: int = 0,
        around: Callable[[ModelRequest], Awaitable[None]] | None = None,
    ) -> None:
        self._script = script
        self._rules = tuple(rules)
        self._clock = clock
        self._latency_ms = latency_ms
        self._around = around
        self.requests: list[ModelRequest] = []

    @property
    def calls(self) -> int:
        """How often it was called, repeats included. Nothing it says depends on it."""
        return len(self.requests)

    def calls_of(self, role: str) -> int:
        """How often this role's turn was asked for."""
        return sum(1 for request in self.requests if request.role == role)

    async def close(self) -> None:
        """It holds nothing."""

    async def reply(self, request: ModelRequest) -> Reply:
        """The step written for this transcript, after the latency."""
        self.requests.append(request)
        if self._around is not None:
            await self._around(request)
        if self._clock is not None and self._latency_ms:
            await self._clock.sleep(self._latency_ms / 1000)
        step = self._step(request)
        if isinstance(step, Fail):
            raise step.error
        turn = turn_of(request)
        uses = tuple(
            ToolUse(id=one.id or f"use-{turn}-{n}", name=one.name, arguments=one.arguments)
            for n, one in enumerate(step.uses)
        )
        return Reply(text=step.text, uses=uses, stop=step.stop, usage=step.usage, model=step.model or MODEL)

    def _step(self, request: ModelRequest) -> Step:
        for rule in self._rules:
            if rule.fits(request):
                return rule.step
        script = self._script if callable(self._script) else (self._script or {}).get(request.role, ())
        if callable(script):
            return script(request)
        turn = turn_of(request)
        if turn < len(script):
            return script[turn]
        raise TerminalError(
            f"the script has nothing for turn {turn} of role {request.role!r} after {last_of(request)[:200]!r}",
            "add a step or a rule",
        )
