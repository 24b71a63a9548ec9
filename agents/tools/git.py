"""git: every role commits to a branch of its own for each request, in a worktree of its own; git_merge joins one.

Law: roles coordinate through commits. One writes only its own branch; the main one changes by git_merge alone, which
people decide about. Whatever was committed by work that had read what came from outside says so until it is merged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from agents.tools import walk
from agents.tools.control import shape
from agents.tools.files import RefusedError
from agents.tools.repository import (
    ATTEMPT,
    LOG_MAX,
    MEND,
    OUTPUT_BYTES_MAX,
    OUTSIDE,
    SECONDS_MAX,
    WORK,
    Desk,
    Repositories,
    refuse_nested,
)
from core.model.team import EffectClass, Tier, ToolSpec
from core.model.work import ToolResult
from core.ports import Workplace

GIT, MERGE = "git", "git_merge"
_NO_DIFF_PROGRAMS = ("--no-ext-diff", "--no-textconv", "--no-color")
_BRANCH_OF = "a role of this request: its branch; empty: yours, or the main one where you have none"


def specs(repos: tuple[str, ...]) -> dict[str, ToolSpec]:
    """Both tools as a team with these repositories sees them."""
    repo = {"enum": list(repos)} if repos else {"type": "string"}
    git = ToolSpec(
        name=GIT,
        about="Work in a repository: `start` gives you a worktree on your own branch of this request, which your file"
        " tools see; `commit` takes in all you changed there. Others read your commits by your role.",
        parameters=shape(
            {
                "repo": repo,
                "action": {"enum": ["start", "status", "diff", "log", "read", "commit", "summary", "end"]},
                "role": {"type": "string", "default": "", "description": _BRANCH_OF},
                "path": {"type": "string", "default": "", "description": "of `read`, or to narrow diff and log"},
                "message": {"type": "string", "default": "", "maxLength": 4_000, "description": "of `commit`"},
            },
            ("repo", "action"),
        ),
        tier=Tier.INTERNAL,
        effect=EffectClass.IDEMPOTENT,
        resource="repo:{repo}",
        says="git {action} in {repo}",
        seconds_max=SECONDS_MAX,
        output_bytes_max=2 * OUTPUT_BYTES_MAX,
    )
    merge = ToolSpec(
        name=MERGE,
        about="Join the branch that a role made for this request into the repository's main branch.",
        parameters=shape({"repo": repo, "role": {"type": "string", "minLength": 1}}, ("repo", "role")),
        tier=Tier.INFRASTRUCTURE,
        effect=EffectClass.IDEMPOTENT,
        verb="merge",
        resource="repo:{repo}",
        says="Merges the branch of {role} into the main branch of {repo}",
        seconds_max=SECONDS_MAX,
    )
    return {spec.name: spec for spec in (git, merge)}


SPECS = specs(())


class Git(Repositories):
    """Implements ports.Tool."""

    @property
    def spec(self) -> ToolSpec:
        """As every role of the team sees it."""
        return specs(tuple(self._team.repos))[GIT]

    async def run(self, arguments: dict[str, Any], place: Workplace) -> ToolResult:
        """One action. What is refused, by us or by git, is a Failure."""
        role, path = str(arguments.get("role", "")), str(arguments.get("path", ""))
        message = str(arguments.get("message", ""))
        actions: dict[str, Callable[[Desk], ToolResult]] = {
            "start": lambda desk: self._start(desk, role),
            "status": self._status,
            "diff": lambda desk: self._diff(desk, role, path),
            "log": lambda desk: self._log(desk, role, path),
            "read": lambda desk: self._read(desk, role, path),
            "commit": lambda desk: self._commit(desk, message),
            "summary": lambda desk: self._summary(desk, role),
            "end": self._end,
        }
        return await self._guarded(arguments, place, actions[str(arguments["action"])])

    def _start(self, desk: Desk, role: str) -> ToolResult:
        _, commit = self._theirs(desk, role)
        if "\n160000 commit" in "\n" + self._run(desk, "ls-tree", "-r", commit, whole=True):
            raise RefusedError("the repository is not used", "it has submodules", MEND)
        where = desk.inside
        outside = self._is_outside(desk, commit)
        try:
            self._admin(desk)
            return ToolResult(text=f"your worktree is {where}, on {desk.branch}", untrusted=outside)
        except RefusedError:
            pass
        with walk.directory(self._home(desk.place.role), WORK, desk.tree.parent.name, make=True):
            if desk.tree.is_symlink() or (desk.tree.exists() and any(desk.tree.iterdir())):
                raise RefusedError("nothing was started", f"{where} is there already", "move what is in it")
        self._run(desk, "worktree", "prune", write=True)
        there = self._commit_of(desk, f"refs/heads/{desk.branch}")
        branch = (desk.branch,) if there else (commit, "-b", desk.branch)
        words = (*branch[1:], str(desk.tree), branch[0])
        marked = outside or desk.place.untrusted
        if marked:  # whatever is checked out is, too
            self._files.marks.run_begins(desk.place.attempt, desk.place.role, SECONDS_MAX)
        self._run(desk, "worktree", "add", "--quiet", *words, write=True)
        if marked:
            self._files.marks.run_ends(desk.place.attempt)
        return ToolResult(text=f"your worktree is {where}, on {desk.branch}, at {commit[:12]}", untrusted=outside)

    def _status(self, desk: Desk) -> ToolResult:
        text = self._in_tree(desk, "status", "--short", "--branch", "--ignore-submodules=all", "--untracked-files=all")
        return self._told(desk, text, "HEAD")

    def _diff(self, desk: Desk, role: str, path: str) -> ToolResult:
        """One's own changes since the last commit; of another role's branch, all it changes."""
        narrowed = ("--", path) if path else ()
        if not role:
            text = self._in_tree(desk, "diff", *_NO_DIFF_PROGRAMS, "--ignore-submodules=all", "HEAD", *narrowed)
            told = self._told(desk, text or "no change since the last commit", "HEAD")
            return msgspec.structs.replace(told, untrusted=told.untrusted or self._holds_outside(desk, "HEAD"))
        _, commit = self._theirs(desk, role)
        main = self._commit_of(desk, f"refs/heads/{self._main(desk)}")
        text = self._run(desk, "diff", *_NO_DIFF_PROGRAMS, f"{main}...{commit}", *narrowed)
        return self._told(desk, text or "no change", commit)

    def _log(self, desk: Desk, role: str, path: str) -> ToolResult:
        branch, commit = self._theirs(desk, role)
        narrowed = ("--", path) if path else ()
        text = self._run(desk, "log", f"--max-count={LOG_MAX}", "--format=%h %as %an: %s", commit, *narrowed)
        return self._told(desk, f"{branch.removeprefix('refs/heads/')}:\n{text}", commit)

    def _read(self, desk: Desk, role: str, path: str) -> ToolResult:
        if not path or path.startswith("/") or ".." in path.split("/") or "\0" in path:
            raise RefusedError(
                f"{path!r} is no path of a repository", "no leading /, no ..", "action status names paths"
            )
        _, commit = self._theirs(desk, role)
        return self._told(desk, self._run(desk, "cat-file", "blob", f"{commit}:{path}"), commit)

    def _commit(self, desk: Desk, message: str) -> ToolResult:
        if not message.strip():
            raise RefusedError("nothing was committed", "there is no message", "say what changed and why")
        self._admin(desk)
        if made := self._made_by(desk, f"refs/heads/{desk.branch}"):
            return ToolResult(text=f"committed {made[:12]} on {desk.branch}")
        self._in_tree(desk, "add", "--all", "--", ".", write=True)
        if any(
            line.startswith("160000 ") for line in self._in_tree(desk, "ls-files", "--stage", whole=True).splitlines()
        ):
            self._in_tree(desk, "reset", "--quiet", write=True)
            raise RefusedError("nothing was committed", "a folder is a repository of its own", "remove its .git")
        trailers = [f"{ATTEMPT}: {desk.place.attempt}"]
        trailers += [f"{OUTSIDE}: yes"] if desk.place.untrusted or self._holds_outside(desk, "--cached") else []
        said = "\n".join(line for line in message.strip().splitlines() if not line.startswith("Signoff-"))
        whole = f"{said}\n\n" + "\n".join(trailers)
        words = ("commit", "--quiet", "--no-verify", "--no-gpg-sign", "--cleanup=verbatim", "-m", whole)
        self._in_tree(desk, *words, write=True)
        stat = self._in_tree(desk, "show", "--stat", "--format=committed %h", *_NO_DIFF_PROGRAMS, "HEAD")
        return ToolResult(text=f"{stat.strip()}\non {desk.branch}")

    def _summary(self, desk: Desk, role: str) -> ToolResult:
        """What a person, or who merges, wants to know of a branch."""
        branch, commit = self._theirs(desk, role)
        main = self._main(desk)
        span = f"{self._commit_of(desk, f'refs/heads/{main}')}..{commit}"
        commits = self._run(desk, "log", f"--max-count={LOG_MAX}", "--format=- %h %an: %s", span)
        stat = self._run(desk, "diff", "--stat", *_NO_DIFF_PROGRAMS, span.replace("..", "..."))
        head = f"{branch.removeprefix('refs/heads/')} into {main}"
        return self._told(desk, f"{head}\n{commits or 'no commit'}\n{stat}", commit)

    def _end(self, desk: Desk) -> ToolResult:
        """The worktree goes; what was committed stays on its branch."""
        if left := self._in_tree(desk, "status", "--short", "--ignore-submodules=all").strip():
            raise RefusedError("the worktree stays", f"not committed: {left[:500]}", "commit, or remove those files")
        self._run(desk, "worktree", "remove", "--force", str(desk.tree), write=True)
        return ToolResult(text=f"the worktree is gone; its commits are on {desk.branch}")

    def _told(self, desk: Desk, text: str, ref: str) -> ToolResult:
        commit = self._in_tree(desk, "rev-parse", "HEAD").strip() if ref == "HEAD" else ref
        return ToolResult(text=text, untrusted=self._is_outside(desk, commit))


class GitMerge(Repositories):
    """Implements ports.Tool."""

    @property
    def spec(self) -> ToolSpec:
        """As every role of the team sees it."""
        return specs(tuple(self._team.repos))[MERGE]

    async def run(self, arguments: dict[str, Any], place: Workplace) -> ToolResult:
        """Merge, or leave everything as it was and say why."""
        return await self._guarded(arguments, place, lambda desk: self._merge(desk, str(arguments["role"])))

    def _merge(self, desk: Desk, role: str) -> ToolResult:
        there = self._team.roles.get(desk.place.role)
        if there is None or not there.permissions.can_merge:
            raise RefusedError("nothing was merged", "can_merge is false for your role", "hand off: somebody else may")
        main = self._main(desk)
        if made := self._made_by(desk, f"refs/heads/{main}"):
            return ToolResult(text=f"merged as {made[:12]} into {main}")
        branch, commit = self._theirs(desk, role)
        with walk.directory(desk.repo) as fd:
            refuse_nested(fd)
        if self._run(desk, "status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all").strip():
            raise RefusedError("nothing was merged", "the repository has changes nobody committed", MEND)
        name = branch.removeprefix("refs/heads/")
        words = ("merge", "--quiet", "--no-ff", "--no-verify", "--no-gpg-sign", "--no-stat")
        try:
            message = f"Merge {name}\n\n{ATTEMPT}: {desk.place.attempt}"
            self._run(desk, *words, "-m", message, commit, write=True)
        except RefusedError as refused:
            self._run(desk, "merge", "--abort", write=True, quiet=True)
            why = refused.failure.why
            raise RefusedError(
                "nothing was merged", why, f"{role} starts anew from main, or a person helps"
            ) from refused
        return ToolResult(text=f"merged {name} ({commit[:12]}) into {main}")
