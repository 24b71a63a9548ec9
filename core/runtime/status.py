"""The status line of every request: a projection of its task tree, drawn at most once a second. It may be lost."""

from __future__ import annotations

from core.model.ids import TaskId, post_of
from core.model.unit import AddPost, Unit
from core.model.views import Post, StatusLine, Trouble
from core.rules import views
from core.runtime.context import Context
from core.runtime.looking import is_muted

REDRAW_SECONDS = 1.0
FIRST_SECONDS = 0.4
"""A request that is answered sooner needs no line that says it was heard."""
RECENT_MAX = 200
RECENT_MS = 86_400_000
"""How far back, in tasks and in time, a start looks for receipts that are missing."""
RANK = 2
"""Cards and answers overtake status lines."""


class Status:
    """Draws the status lines of requests that moved."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._moved: set[TaskId] = set()
        self._ended: set[TaskId] = set()  # their receipts wait for nothing
        self._drawn: dict[TaskId, int] = {}  # by root, when; so that a second draw in a second waits
        self._notes: dict[TaskId, str] = {}
        context.on_change.append(self._change)

    def note(self, task: str, trouble: str) -> None:
        """Tell the task's people of trouble that goes on by itself (a model asked us to wait)."""
        self._notes[TaskId(task)] = trouble
        self._context.bus.notify("status")

    def _change(self, root: TaskId, ended: bool) -> None:  # noqa: FBT001  a callback
        self._moved.add(root)
        if ended:
            self._ended.add(root)
        first_ms = self._context.clock.now_ms() - int((REDRAW_SECONDS - FIRST_SECONDS) * 1000)
        self._drawn.setdefault(root, first_ms)
        self._context.bus.notify("status")

    async def recover(self) -> None:
        """After a start: what moves gets a line, and what ended while nobody could say so its receipt."""
        read, now_ms = self._context.store.read, self._context.clock.now_ms()
        for row in await read.tasks(open_only=True):
            if row.state in {"ready", "leased"}:
                self._change(row.task.root, ended=False)
        for row in await read.tasks(limit=RECENT_MAX):
            root = row.task
            if root.parent is None and root.phase.final and now_ms - root.updated_at_ms < RECENT_MS:
                drawn = await read.posts(conversation=root.conversation, slot=f"status:{root.id}", limit=1)
                if not any(isinstance(one.post.view, StatusLine) and one.post.view.done for one in drawn):
                    self._change(root.id, ended=True)

    async def run(self) -> None:
        """For ever."""
        while True:
            await self.draw()
            if not self._moved and not self._notes:
                await self._context.bus.wait("status", 60)
            else:
                await self._context.clock.sleep(REDRAW_SECONDS / 4)

    async def draw(self, *, at_once: bool = False) -> None:
        """Draw what moved and was not drawn within the last second."""
        now_ms = self._context.clock.now_ms()
        due = {r for r in self._moved if at_once or now_ms - self._drawn.get(r, 0) >= REDRAW_SECONDS * 1000}
        ready = due | (self._moved & self._ended)
        self._moved -= ready
        self._ended -= ready
        posts = [post for root in sorted(ready) if (post := await self._line(root)) is not None]
        notes, self._notes = self._notes, {}
        posts += [post for task, said in notes.items() if (post := await self._trouble(task, said, now_ms)) is not None]
        if posts:
            await self._context.store.commit(Unit(changes=tuple(AddPost(post=post) for post in posts)))
            self._context.bus.notify("posts")

    async def _trouble(self, task_id: TaskId, said: str, now_ms: int) -> Post | None:
        task = await self._context.store.read.task(task_id)
        if task is None or task.phase.final:
            return None
        return Post(
            id=post_of("trouble", task_id, now_ms),
            conversation=task.conversation,
            view=Trouble(what=said),
            slot=f"trouble:{task_id}",
            at_ms=now_ms,
        )

    async def _line(self, root_id: TaskId) -> Post | None:
        rows = await self._context.store.read.tasks(root=root_id)
        root = next((row.task for row in rows if row.task.id == root_id), None)
        if root is None:
            return None
        now_ms = self._context.clock.now_ms()
        self._drawn[root_id] = now_ms
        if not root.phase.final and await is_muted(self._context, root.conversation.key, now_ms):
            return None
        if root.phase.final:
            self._drawn.pop(root_id, None)
        team = await self._context.team(root.definition)
        version = sum(row.task.version for row in rows)
        return Post(
            id=post_of("status", root_id, version),
            conversation=root.conversation,
            view=views.status_line(root, tuple(row.task for row in rows), team, now_ms),
            slot=f"status:{root_id}",
            rank=RANK,
            at_ms=now_ms,
        )
