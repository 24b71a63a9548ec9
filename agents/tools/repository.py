"""A repository that roles work in, and how git is run there.

Law: nothing of what agents can write decides what git runs. The repository lies outside files/; its own folder is named
at every call, so that a worktree's `.git` is never asked where that is; its configuration may hold only what starts no
program; hooks, filters, drivers, submodules and every transport are off. Words of ours are the only options.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.tools import programs, walk
from agents.tools.files import Files, RefusedError
from core.model.team import Reach, Team
from core.model.work import Failure, ToolResult
from core.ports import Workplace

OUTPUT_BYTES_MAX = 24_576
WHOLE_BYTES_MAX = 16_777_216
SECONDS_MAX = 60
WORK = "trees"
ATTEMPT, OUTSIDE = "Signoff-Attempt", "Signoff-Untrusted"
LOG_MAX = 50
_STALE_SECONDS = 120
_ENTRIES_MAX = 50_000
_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,150}")
_HARMLESS = re.compile(
    r"core\.(repositoryformatversion|filemode|bare|logallrefupdates|ignorecase|precomposeunicode|symlinks|autocrlf|eol"
    r"|safecrlf|quotepath|abbrev|compression)|(remote|branch|init|pull|push|fetch|color|lfs|advice)\..*"
    r"|user\.(name|email)|extensions\.objectformat"
)
"""Keys of a repository's configuration by which nothing is run while nothing is fetched or pushed."""
_OFF = (
    *("core.hooksPath=/dev/null", "core.fsmonitor=false", "core.attributesFile=/dev/null", "core.symlinks=false"),
    *("core.excludesFile=/dev/null", "core.protectNTFS=true", "core.protectHFS=true", "protocol.allow=never"),
    *("commit.gpgSign=false", "tag.gpgSign=false", "log.showSignature=false", "gc.auto=0", "maintenance.auto=false"),
    *("core.packedGitWindowSize=16m", "core.packedGitLimit=128m", "core.bigFileThreshold=16m", "pack.threads=1"),
    *(
        "submodule.recurse=false",
        "diff.ignoreSubmodules=all",
        "diff.external=",
        "core.pager=cat",
        "advice.detachedHead=false",
    ),
)
_ENVIRONMENT = {
    "PATH": programs.SYSTEM_PATH,
    "HOME": "/nonexistent",
    "LANG": "C.UTF-8",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_PAGER": "cat",
    "GIT_EDITOR": "false",
}
MEND = "hand this off: a person must mend it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """One call's surroundings: the repository, and the worktree of this role for this request."""

    repo: Path
    tree: Path
    place: Workplace

    @property
    def inside(self) -> str:
        """The worktree, as file tools know it."""
        return f"{WORK}/{self.tree.parent.name}/{self.tree.name}"

    @property
    def branch(self) -> str:
        """The role's own."""
        return self.branch_of(self.place.role)

    def branch_of(self, role: str) -> str:
        """A role's branch of this request."""
        return f"task/{self.place.root or self.place.task}/{role}"


class Repositories:
    """What both tools are alike in. Calls of one process never overlap in one repository."""

    def __init__(self, workspace: Path, team: Team) -> None:
        self._workspace = workspace.absolute()
        self._team = team
        self._files = Files(workspace)
        self._locks: dict[str, threading.Lock] = {name: threading.Lock() for name in team.repos}

    @property
    def remembers(self) -> bool:
        """A commit carries the attempt that made it."""
        return True

    async def cancel(self, attempt: str) -> None:
        """It has a short limit of its own, and half a commit is none."""

    async def _guarded(
        self, arguments: dict[str, Any], place: Workplace, call: Callable[[Desk], ToolResult]
    ) -> ToolResult:
        def locked() -> ToolResult:
            desk = self._desk(str(arguments["repo"]), place)
            with self._locks[str(arguments["repo"])]:
                self._look_at_config(desk)
                return call(desk)

        try:
            return await asyncio.to_thread(locked)
        except RefusedError as refused:
            return ToolResult(failure=refused.failure)
        except OSError as error:
            why = error.strerror or type(error).__name__
            return ToolResult(failure=Failure(what="git did not do it", why=why, recovery=MEND))

    def _desk(self, name: str, place: Workplace) -> Desk:
        if name not in self._team.repos:
            known = ", ".join(self._team.repos) or "none: team.yaml names them in `repos`"
            raise RefusedError(f"no repository {name!r}", "the team has no such repository", f"there are: {known}")
        repo = self._workspace / self._team.repos[name]
        if programs.is_writable_by_agents(self._workspace, repo):
            raise RefusedError(f"{name} is not used", "it lies in files/, where agents write", MEND)
        if not (repo / ".git").is_dir() or (repo / ".git").is_symlink():
            raise RefusedError(f"{name} is not used", "there is no git repository with a working tree", MEND)
        self._files.workdir(place.role)
        tree = self._home(place.role) / WORK / (place.root or place.task) / name
        return Desk(repo=repo, tree=tree, place=place)

    def _home(self, role: str) -> Path:
        """As git writes it down: nothing above it is a link any more."""
        return (self._workspace / "files").resolve() / role

    def _look_at_config(self, desk: Desk) -> None:
        """Refuse a repository whose own configuration could run something."""
        folder = desk.repo / ".git"
        listing = ("config", "--file", str(folder / "config"), "--no-includes", "--name-only", "--list", "-z")
        keys = self._run(desk, *listing, folder=False, whole=True).split("\0")
        odd = sorted({key for key in keys if key.strip() and not _HARMLESS.fullmatch(key.strip().lower())})
        odd += [name for name in ("config.worktree", "objects/info/alternates") if (folder / name).exists()]
        if odd:
            why = f"its .git has {', '.join(odd[:5])}, which may run or read something else"
            raise RefusedError("the repository is not used", why, MEND)

    def _admin(self, desk: Desk) -> Path:
        """The repository's own folder for a worktree: found there, never by what the worktree says."""
        wanted = str(desk.tree / ".git")
        for admin in sorted((desk.repo / ".git" / "worktrees").glob("*/gitdir")):
            with contextlib.suppress(OSError):
                if admin.read_text("utf-8").strip() == wanted and desk.tree.is_dir() and not desk.tree.is_symlink():
                    return admin.parent
        raise RefusedError("you have no worktree here yet", "nothing was started in this request", "action start first")

    def _in_tree(self, desk: Desk, *words: str, write: bool = False, whole: bool = False) -> str:
        admin = self._admin(desk)
        with walk.directory(self._home(desk.place.role), WORK, desk.tree.parent.name, desk.tree.name) as fd:
            refuse_nested(fd)
        _drop_stale_lock(admin / "index.lock")
        where = (f"--git-dir={admin}", f"--work-tree={desk.tree}")
        return self._run(desk, *where, *words, folder=False, write=write, whole=whole)

    def _run(
        self,
        desk: Desk,
        *words: str,
        folder: bool = True,
        write: bool = False,
        quiet: bool = False,
        whole: bool = False,
    ) -> str:
        """What git says: cut where it is too much for an agent, or `whole`. `quiet`: "" for a failure. Raises
        RefusedError with its own last words.
        """
        program = programs.find(self._workspace, "git")
        if program is None:
            raise RefusedError("git cannot be used", "git is not installed on this machine", MEND)
        title = self._team.roles[desk.place.role].title if desk.place.role in self._team.roles else desk.place.role
        who = f"{desk.place.role}@{self._team.name}.invalid"
        env = _ENVIRONMENT | {
            "GIT_AUTHOR_NAME": title,
            "GIT_AUTHOR_EMAIL": who,
            "GIT_COMMITTER_NAME": desk.place.role,
            "GIT_COMMITTER_EMAIL": who,
            "GIT_OPTIONAL_LOCKS": "1" if write else "0",
        }
        argv = [str(program), *(word for setting in _OFF for word in ("-c", setting))]
        argv += [f"--git-dir={desk.repo / '.git'}", f"--work-tree={desk.repo}"] if folder else []
        most = WHOLE_BYTES_MAX if whole else OUTPUT_BYTES_MAX
        code, output, cut = _bounded([*argv, *words], env, most, desk.place)
        if whole and cut:
            raise RefusedError("git was not run", "the repository has too many files", MEND)
        if code and not quiet:
            said = " ".join(output.strip().splitlines()[:4])[:600]
            raise RefusedError(
                f"git {_verb(words)} failed", said or f"exit {code}", "read what it says; git status helps"
            )
        return "" if code else output

    def _commit_of(self, desk: Desk, ref: str) -> str:
        """The hash a branch stands for, "" for none."""
        return self._run(desk, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", quiet=True).strip()

    def _main(self, desk: Desk) -> str:
        name = self._run(desk, "symbolic-ref", "--short", "HEAD", quiet=True).strip()
        if not name or not self._commit_of(desk, f"refs/heads/{name}"):
            raise RefusedError("there is no main branch", "the repository's HEAD names none with a commit", MEND)
        return name

    def _theirs(self, desk: Desk, role: str) -> tuple[str, str]:
        """A branch and its commit: of the role that was named, else one's own, else the main one."""
        if role and not _REF.fullmatch(role):
            raise RefusedError(f"no branch of {role!r}", "it is no role", "name one that worked on this request")
        branch = f"refs/heads/{desk.branch_of(role or desk.place.role)}"
        commit = self._commit_of(desk, branch)
        if not commit and role:
            raise RefusedError(f"no branch of {role}", "it has committed nothing in this request", "leave role out")
        main = f"refs/heads/{self._main(desk)}"
        return (branch, commit) if commit else (main, self._commit_of(desk, main))

    def _is_outside(self, desk: Desk, commit: str) -> bool:
        """Whether a commit that nobody has merged yet was made by work that had read what came from outside."""
        main = self._commit_of(desk, f"refs/heads/{self._main(desk)}")
        words = ("log", "-1", "--format=%H", f"--grep=^{OUTSIDE}: yes$", f"{main}..{commit}")
        return bool(self._run(desk, *words).strip())

    def _holds_outside(self, desk: Desk, against: str) -> bool:
        """Whether a changed file of the worktree has such content; one that cannot be looked at counts as if it had."""
        words = ("diff", "--name-only", "-z", "--diff-filter=d", "--no-ext-diff", "--ignore-submodules=all", against)
        for name in self._in_tree(desk, *words, whole=True).split("\0"):
            try:
                if name and self._files.content(desk.place.role, f"{desk.inside}/{name}")[1]:
                    return True
            except (RefusedError, OSError):
                return True
        return False

    def _made_by(self, desk: Desk, ref: str) -> str:
        """The commit an earlier try of this attempt made."""
        trailer = f"--format=%H %(trailers:key={ATTEMPT},valueonly,separator=%x20)"
        for line in self._run(desk, "log", f"--max-count={LOG_MAX}", trailer, ref, quiet=True).splitlines():
            commit, _, attempts = line.partition(" ")
            if desk.place.attempt in attempts.split():
                return commit
        return ""


def _verb(words: tuple[str, ...]) -> str:
    return next((word for word in words if not word.startswith("-")), "")


def refuse_nested(fd: int) -> None:
    """A repository inside a worktree brings a configuration of its own, which git would obey there."""
    seen = 0
    for where, folders, names, _ in os.fwalk(".", dir_fd=fd, follow_symlinks=False):
        seen += len(folders) + len(names)
        if where == ".":
            folders[:] = [name for name in folders if name.casefold() != ".git"]
        elif any(name.casefold() in {".git", "git~1"} for name in (*folders, *names)):
            inside = where.removeprefix("./")
            raise RefusedError("git was not run", f"{inside} is a repository of its own", f"remove {inside}/.git")
        if seen > _ENTRIES_MAX:
            raise RefusedError("git was not run", f"there are more than {_ENTRIES_MAX} files", MEND)


def _drop_stale_lock(path: Path) -> None:
    """A git that was killed leaves its lock; ours end within a minute."""
    with contextlib.suppress(FileNotFoundError):
        if time.time() - path.stat().st_mtime > _STALE_SECONDS:  # noqa: TID251 - compared with a file's time
            path.unlink()


def _bounded(argv: list[str], env: dict[str, str], most: int, place: Workplace) -> tuple[int, str, bool]:
    """Run it: its exit code, what it said on both streams, and whether that was cut. Raises OSError."""
    process = subprocess.Popen(  # noqa: S603 - no shell, and the words are ours
        argv,
        env=env,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    _limit(process.pid, place.reach)
    late = threading.Timer(min(SECONDS_MAX, place.seconds_max), _kill, (process.pid,))
    late.start()
    try:
        assert process.stdout is not None  # noqa: S101 - asked for above
        with process.stdout as stream:
            kept = stream.read(most)
            left_n = 0
            while more := stream.read(1 << 16):
                left_n += len(more)
        code = process.wait()
    finally:
        late.cancel()
    text = kept.decode("utf-8", "replace")
    return code, text + (f"\n[{left_n} bytes more were left out]" if left_n else ""), left_n > 0


def _limit(pid: int, reach: Reach) -> None:
    if hasattr(resource, "prlimit"):  # on Linux
        with contextlib.suppress(OSError):  # it has ended
            resource.prlimit(pid, resource.RLIMIT_AS, (reach.memory_mb_max << 20,) * 2)
            resource.prlimit(pid, resource.RLIMIT_CPU, (reach.cpu_seconds_max,) * 2)
            resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
