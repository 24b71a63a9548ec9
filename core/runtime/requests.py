"""Build model requests from journals. Journals are kept in memory for a while, by version: a cache, never the truth."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from core.model.ids import EffectId, TaskId
from core.model.team import Team
from core.model.unit import AddEntry
from core.model.work import Entry, Returned, Task
from core.ports import Message, ModelRequest, Part, Reads
from core.rules.transcript import Turn, turns_of

JOURNALS_KEPT_MAX = 256
BYTES_PER_TOKEN = 3
"""A cautious estimate: vendors count 3 to 4 bytes of English a token."""


class RequestTooLargeError(Exception):
    """The transcript does not fit the role's call budget."""


class Requests:
    """Makes the request that a model call sends."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._journals: OrderedDict[TaskId, list[tuple[int, Entry]]] = OrderedDict()

    async def build(self, task: Task, asking: EffectId, team: Team) -> ModelRequest:
        """The request for this call. Raises RequestTooLargeError."""
        role = team.roles[task.role]
        entries = await self._journal(task)
        messages = tuple(_message(turn) for turn in turns_of(task.id, entries, asking))
        request = ModelRequest(
            model=team.model_of(task.role),
            system=(Part(text=role.prompt),),
            tools=role.specs,
            messages=messages,
            output_tokens_max=min(role.budget.call_output_tokens_max, team.model_of(task.role).output_tokens_max),
            role=role.id,
            task=task.id,
        )
        bytes_n = len(msgspec.json.encode(request))
        if bytes_n > role.budget.call_input_tokens_max * BYTES_PER_TOKEN:
            tokens = bytes_n // BYTES_PER_TOKEN
            raise RequestTooLargeError(
                f"the request would be about {tokens} tokens; a call may read {role.budget.call_input_tokens_max}"
            )
        return request

    def remember(self, new: Task, before: Task, added: Sequence[AddEntry]) -> None:
        """Note what a step has just appended, if the journal in memory is exactly the one it follows."""
        journal = self._journals.get(new.id)
        kept_apart = any(isinstance(a.entry, Returned) and a.entry.result.blob is not None for a in added)
        if new.phase.final or kept_apart:
            self._journals.pop(new.id, None)  # over, or to be read again with its output
        elif (
            journal
            and journal[-1][0] + 1 == before.step  # else an outcome beside it was not noted: read it again
            and (new.version, new.step) == (before.version + 1, before.step + len(added))
        ):
            journal.extend((a.n, a.entry) for a in added)

    async def _journal(self, task: Task) -> list[tuple[int, Entry]]:
        journal = self._journals.pop(task.id, [])
        last = journal[-1][0] if journal else -1
        if last + 1 < task.step:
            for n, entry in await self._reads.journal(task.id, after=last):
                journal.append((n, await self._whole(entry)))
        self._journals[task.id] = journal
        while len(self._journals) > JOURNALS_KEPT_MAX:
            self._journals.popitem(last=False)
        return journal

    async def _whole(self, entry: Entry) -> Entry:
        """A result whose output is kept apart, with its output."""
        if not isinstance(entry, Returned) or entry.result.blob is None:
            return entry
        body = await self._reads.blob(entry.result.blob)
        text = body.decode("utf-8", "replace") if body is not None else "(the output is no longer kept)"
        return msgspec.structs.replace(entry, result=msgspec.structs.replace(entry.result, text=text))


def _message(turn: Turn) -> Message:
    if turn.by_agent:
        return Message(role="assistant", text=turn.text, uses=turn.uses)
    return Message(role="user", text=turn.text, results=turn.results)
