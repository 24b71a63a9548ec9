"""Build model requests from journals. Transcripts are kept in memory for a while: a cache, never the truth."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from core.model.ids import EffectId, TaskId
from core.model.team import Team
from core.model.unit import AddEntry
from core.model.work import Begun, Entry, Returned, Summarised, Task
from core.ports import Message, ModelRequest, Part, Reads
from core.rules import compaction, finding
from core.rules.fences import fenced
from core.rules.transcript import NO_LONGER, NOT_KEPT, PICTURES_MAX, Transcript, Turn

KEPT_MAX = 256
BYTES_PER_TOKEN = 3
"""A cautious estimate: vendors count 3 to 4 bytes of English a token."""
PICTURE_TOKENS = 1_600
"""What vendors count for a picture at most, whatever its size: they scale down what is larger."""


class RequestTooLargeError(Exception):
    """The transcript does not fit the role's call budget."""


@dataclass(slots=True)
class _Kept:
    """A transcript as far as it was read: `next_n` is the number of the first entry that was not."""

    transcript: Transcript
    next_n: int = 0
    messages: list[Message] = field(default_factory=list)  # of its closed turns

    def read(self, n: int, entry: Entry) -> None:
        self.transcript.read(n, entry)
        self.next_n = n + 1
        if isinstance(entry, Summarised):
            self.messages.clear()  # closed turns have changed
        self.messages.extend(_message(turn) for turn in self.transcript.turns[len(self.messages) :])


class Requests:
    """Makes the request that a model call sends."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._kept: OrderedDict[TaskId, _Kept] = OrderedDict()

    async def build(self, task: Task, asking: EffectId, team: Team) -> ModelRequest:
        """The request for this call. Raises RequestTooLargeError."""
        role = team.roles[task.role]
        kept = await self._read(task)
        last = kept.transcript.last(asking)
        messages = _trimmed((*kept.messages, _message(last)) if last else tuple(kept.messages))
        request = ModelRequest(
            model=team.model_of(task.role),
            system=(Part(text=role.prompt),),
            tools=finding.shown(role.specs, task.found),
            messages=messages,
            output_tokens_max=min(role.budget.call_output_tokens_max, team.model_of(task.role).output_tokens_max),
            role=role.id,
            task=task.id,
        )
        pictures_n = sum(len(message.pictures) for message in messages)  # their bodies are not in it yet
        bytes_n = len(msgspec.json.encode(request)) + pictures_n * PICTURE_TOKENS * BYTES_PER_TOKEN
        if bytes_n > role.budget.call_input_tokens_max * BYTES_PER_TOKEN:
            tokens = bytes_n // BYTES_PER_TOKEN
            raise RequestTooLargeError(
                f"the request would be about {tokens} tokens; a call may read {role.budget.call_input_tokens_max}"
            )
        if pictures_n:
            shown = tuple([await self._shown(message) for message in messages])
            request = msgspec.structs.replace(request, messages=shown)
        return request

    async def folding(self, task: Task) -> tuple[tuple[Turn, ...], Begun | None]:
        """What a summary would take the place of, and what the task began with."""
        transcript = (await self._read(task)).transcript
        return transcript.folding(), transcript.begun

    def summary(self, task: Task, team: Team, text: str) -> ModelRequest:
        """The request for a summary of this text. It has no tools and none of the role's rules: nothing can come of it
        but text.
        """
        model = team.model_of(task.role)
        return ModelRequest(
            model=model,
            system=(Part(text=compaction.ORDER),),
            tools=(),
            messages=(Message(role="user", text=fenced("so_far", text)),),
            output_tokens_max=min(compaction.SUMMARY_TOKENS_MAX, model.output_tokens_max),
            role=task.role,
            task=task.id,
        )

    def remember(self, new: Task, before: Task, added: Sequence[AddEntry]) -> None:
        """Note what a step has just appended, if what is kept goes exactly as far as the state it followed."""
        kept = self._kept.get(new.id)
        apart = any(isinstance(a.entry, Returned) and a.entry.result.blob is not None for a in added)
        if new.phase.final or apart:
            self._kept.pop(new.id, None)  # over, or to be read again with its output
        elif kept and kept.next_n == before.step and new.step == before.step + len(added):
            for change in added:
                kept.read(change.n, change.entry)

    async def _read(self, task: Task) -> _Kept:
        kept = self._kept.pop(task.id, None) or _Kept(Transcript(task.id))
        if kept.next_n < task.step:
            for n, entry in await self._reads.journal(task.id, after=kept.next_n - 1):
                kept.read(n, await self._whole(entry))
        self._kept[task.id] = kept
        while len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)
        return kept

    async def _whole(self, entry: Entry) -> Entry:
        """A result whose output is kept apart, with its output."""
        if not isinstance(entry, Returned) or entry.result.blob is None:
            return entry
        body = await self._reads.blob(entry.result.blob)
        text = body.decode("utf-8", "replace") if body is not None else "(the output is no longer kept)"
        return msgspec.structs.replace(entry, result=msgspec.structs.replace(entry.result, text=text))

    async def _shown(self, message: Message) -> Message:
        """The message with its pictures' bodies."""
        if not message.pictures:
            return message
        bodies = [(use, picture, await self._reads.blob(picture.hash)) for use, picture in message.pictures]
        gone = {use for use, _, body in bodies if body is None}
        whole = tuple((use, msgspec.structs.replace(picture, body=body)) for use, picture, body in bodies if body)
        return msgspec.structs.replace(message.blind(gone, NOT_KEPT), pictures=whole)


def _trimmed(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """With the newest pictures only."""
    left, trimmed = PICTURES_MAX, list[Message]()
    for message in reversed(messages):
        older_n = max(0, len(message.pictures) - left)
        left -= len(message.pictures) - older_n
        older = {use for use, _ in message.pictures[:older_n]}
        trimmed.append(message.blind(older, NO_LONGER) if older else message)
    return tuple(reversed(trimmed))


def _message(turn: Turn) -> Message:
    if turn.by_agent:
        return Message(role="assistant", text=turn.text, uses=turn.uses, verbatim=turn.verbatim)
    return Message(role="user", text=turn.text, results=turn.results, pictures=turn.pictures)
