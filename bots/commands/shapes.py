"""What programs read: the JSON of tasks, inquiries, reminders and audit rows. Names are stable (docs/cli.md).

New ones may come; none goes or changes what it means.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from core.model.inquiries import Inquiry
from core.model.team import Json
from core.model.unit import Sealed, TaskRow
from core.rules.reminders import Reminder
from core.rules.views import COMMAND_TOOL, arguments_shown


def line(shape: dict[str, Json]) -> str:
    """One object on one line."""
    return msgspec.json.encode(shape).decode()


def time_of(ms: int | None) -> str | None:
    """ISO 8601, UTC, to the millisecond."""
    if ms is None:
        return None
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def task_shape(row: TaskRow) -> dict[str, Json]:
    """A task. `tokens` and `cost_usd` are its own, without its children's."""
    task = row.task
    return {
        "id": task.id,
        "role": task.role,
        "state": row.state,
        "outcome": task.phase.value if task.phase.final else None,
        "waiting_on": list(task.waiting_on),
        "root": task.root,
        "parent": task.parent,
        "depth": task.depth,
        "title": task.title,
        "tokens": task.usage.tokens,
        "cost_usd": task.usage.cost_microusd / 1_000_000,
        "created_at": time_of(task.created_at_ms),
        "updated_at": time_of(task.updated_at_ms),
        "result": msgspec.to_builtins(task.result),
    }


def inquiry_shape(inquiry: Inquiry, needs: str) -> dict[str, Json]:
    """An inquiry, its arguments whole but for secrets."""
    action = inquiry.action
    arguments = arguments_shown(action) if action else None
    command = arguments.get("command") if action and arguments and action.tool == COMMAND_TOOL else None
    return {
        "id": inquiry.id,
        "kind": inquiry.kind.value,
        "state": inquiry.state.value,
        "overdue": inquiry.overdue,
        "label": inquiry.label.value,
        "revision": inquiry.revision,
        "task": inquiry.task,
        "role": inquiry.role,
        "tier": inquiry.tier.value,
        "tool": action.tool if action else None,
        "command": command,
        "arguments": arguments,
        "digest": inquiry.digest,
        "question": inquiry.question,
        "options": list(inquiry.options),
        "why": inquiry.why,
        "needs": needs,
        "decide_by": time_of(inquiry.decide_by_ms),
        "created_at": time_of(inquiry.created_at_ms),
    }


def reminder_shape(one: Reminder) -> dict[str, Json]:
    """A reminder that will come."""
    return {
        "id": one.id,
        "role": one.role,
        "task": one.task,
        "conversation": one.conversation.key,
        "text": one.text,
        "untrusted": one.untrusted,
        "set_at": time_of(one.set_at_ms),
        "due_at": time_of(one.due_at_ms),
    }


def audit_shape(sealed: Sealed) -> dict[str, Json]:
    """A link of the chain: what the hash covers, and the hash."""
    row = msgspec.to_builtins(sealed.row)
    return {"seq": sealed.seq, "previous": sealed.previous, "hash": sealed.hash, "row": row}
