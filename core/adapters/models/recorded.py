"""Models out of a file: replies as they were once given, each found again by the digest of its request.

Law: an equal request gets the reply that was recorded for it. A request that nobody recorded (a prompt, a tool or an
answer on the way has changed since) gets its role's next reply in the order of the recording, and is reported as stale:
what follows then shows that the team still works, not that the model would still say so.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict

import msgspec

from core.model.errors import TerminalError
from core.model.work import Reply
from core.ports import ModelProvider, ModelRequest


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """One reply. `turn` is how many times its role had been asked before; for people who read the file."""

    request: str
    role: str
    turn: int
    reply: Reply


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """A scenario's replies, in the order they were given. `source` says where they come from, in words."""

    version: int = 1
    source: str
    replies: tuple[Recorded, ...] = ()


def digest_of(request: ModelRequest) -> str:
    """What the model would be told: whose turn, the prompt, the tools, the messages. Not which model."""
    told = (request.role, request.system, tuple((t.name, t.about, t.parameters) for t in request.tools))
    bodiless = tuple(msgspec.structs.replace(message, verbatim=None) for message in request.messages)
    return hashlib.sha256(msgspec.json.encode((told, bodiless), order="sorted")).hexdigest()[:32]


def encode(recording: Recording) -> bytes:
    """For a file that people may read: indented, and without what is empty."""
    told = msgspec.to_builtins(recording)
    for one in told["replies"]:
        reply = one["reply"] = {name: value for name, value in one["reply"].items() if value}
        reply["usage"] = {name: value for name, value in reply.get("usage", {}).items() if value}
    return msgspec.json.format(msgspec.json.encode(told), indent=1) + b"\n"


class RecordedModel:
    """A ModelProvider that says again what is in a recording. `stale` counts what it had to guess."""

    def __init__(self, recording: Recording) -> None:
        self._exact: dict[str, list[Recorded]] = defaultdict(list)
        self._left: dict[str, list[Recorded]] = defaultdict(list)
        for one in recording.replies:
            self._exact[one.request].append(one)
            self._left[one.role].append(one)
        self.stale: list[str] = []  # one line for each

    async def close(self) -> None:
        """It holds nothing."""

    async def reply(self, request: ModelRequest) -> Reply:
        """Raises TerminalError where the recording has nothing more for this role."""
        left = self._left[request.role]
        exact = next((one for one in self._exact[digest_of(request)] if one in left), None)
        if exact is None:
            at = sum(1 for message in request.messages if message.role == "assistant")
            self.stale.append(f"turn {at} of {request.role} was recorded of another request")
            if not left:
                raise TerminalError(f"the recording has nothing more for {request.role}", "run with --record")
        one = exact or left[0]
        left.remove(one)
        return one.reply


class Recorder:
    """A ModelProvider around another, which keeps what is said."""

    def __init__(self, inner: ModelProvider, kept: list[Recorded]) -> None:
        self._inner = inner
        self._kept = kept

    async def close(self) -> None:
        """The other's connections."""
        await self._inner.close()

    async def reply(self, request: ModelRequest) -> Reply:
        """What the other says; a failure is not kept."""
        reply = await self._inner.reply(request)
        turn = sum(1 for one in self._kept if one.role == request.role)
        self._kept.append(Recorded(request=digest_of(request), role=request.role, turn=turn, reply=reply))
        return reply
