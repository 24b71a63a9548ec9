"""What a whole task costs in tokens: a deploy that a person approves, by the shipped twelve, from its recording.

Three roles work on it, the lead, the CTO and DevOps, in so many turns as a real model would need at least. Replies are
those of the scenario's recording; what is read is counted from the requests themselves.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import msgspec

from agents import workspace
from benchmarks.bench import Scale
from benchmarks.report import Figure
from bots.commands import testing
from bots.trying import Place, play
from core.adapters.models.recorded import RecordedModel
from core.model.work import Reply
from core.ports import ModelRequest

SCENARIO: Final = "deploy-approved.yaml"
BYTES_PER_TOKEN: Final = 4
SECONDS_MAX: Final = 30.0


class Counted:
    """A model whose requests are measured: how much of each its task had not sent before."""

    def __init__(self, inner: RecordedModel) -> None:
        self._inner = inner
        self._last: dict[str, bytes] = {}
        self.read_bytes = 0
        self.new_bytes = 0
        self.written_bytes = 0
        self.turns = 0
        self.roles: set[str] = set()

    async def reply(self, request: ModelRequest) -> Reply:
        parts = (*request.tools, *request.system, *request.messages)
        body = b"\n".join(msgspec.json.encode(part) for part in parts)
        before = self._last.get(request.task, b"")
        self._last[request.task] = body
        self.read_bytes += len(body)
        self.new_bytes += len(body) - (len(before) if body.startswith(before) else 0)
        reply = await self._inner.reply(request)
        self.written_bytes += len(reply.text) + len(msgspec.json.encode(reply.uses))
        self.turns += 1
        self.roles.add(request.role)
        return reply


async def measure(scale: Scale) -> AsyncIterator[Figure]:
    """Exact, and the same at every scale: nothing here is timed."""
    del scale
    with tempfile.TemporaryDirectory() as folder:
        root, scratch = Path(folder) / "acme", Path(folder) / "scratch"
        workspace.init(root, "twelve")
        team = testing.team_for("recorded", root, {})
        (one,) = testing.read_all(root / "agents" / "scenarios" / SCENARIO, root, team)
        model = Counted(RecordedModel(testing.read_recording(one.recording)))
        models = dict.fromkeys(testing.PROVIDERS, model)
        place = Place(workspace=root, scratch=scratch)
        happened = await play(one.scenario, team, models, place, seconds_max=SECONDS_MAX)
    if happened.ends != "done":
        raise RuntimeError(f"the task did not end well: {happened.trouble or happened.ends}")
    tokens = (model.read_bytes + model.written_bytes) / BYTES_PER_TOKEN
    share = 100 * model.new_bytes / model.read_bytes
    work = f"{len(model.roles)} roles, {model.turns} turns, bytes / {BYTES_PER_TOKEN}"
    yield Figure(key="task-tokens", value=tokens, note=f"{work}; {share:.0f} % of it is new to its task")
