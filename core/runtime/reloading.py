"""Edited files come into force while the team works.

Laws of this file. A task is bound to a definition only after that is stored. What cannot be loaded changes nothing and
is said once, with its file and line; that all is right again is said, too. A file is read when it has been left alone
for one look, so that a half-saved one is not news. Where the policy wants it (`policy.changes`), what was edited is not
in force until people have approved it, also when that rule itself is what was edited, and also after a restart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from core.model.editions import Edition, EditionNote, note_of
from core.model.errors import ConfigError
from core.model.events import Conversation
from core.model.ids import post_of, short
from core.model.inquiries import InquiryState
from core.model.signals import Withdraw
from core.model.team import Team
from core.model.unit import AddPost, Change, Guard, InquiryRow, PutBlob, SetMeta, Unit
from core.model.views import Line, Post
from core.model.work import Failure
from core.ports import Drafts, Reads
from core.rules import changing, words
from core.rules.plan import open_inquiry
from core.runtime import inquiries
from core.runtime.context import Context, log
from core.runtime.directs import directs_of, private_place

LOOK_SECONDS = 2.0
FACT = "edition"
GENERATIONS_MAX = 1_000


# --- Stored -----------------------------------------------------------------------------------------------------------


def kept(edition: Edition) -> tuple[Change, ...]:
    """What a store must hold of an edition before any task can be bound to it."""
    blobs = (PutBlob(hash=team.version, body=msgspec.json.encode(team)) for team in edition.teams)
    note = msgspec.json.encode(note_of(edition)).decode()
    return (*blobs, SetMeta(name="definition", value=edition.team.version), SetMeta(name=FACT, value=note))


async def held(read: Reads) -> Edition | None:
    """What was in force last; None in a store that remembers nothing whole."""
    note = await read.meta(FACT)
    return await _edition(read, msgspec.json.decode(note, type=EditionNote)) if note else None


async def _edition(read: Reads, note: EditionNote) -> Edition | None:
    team = await read.blob(note.team)
    candidate = await read.blob(note.candidate) if note.candidate else None
    if team is None or (note.candidate and candidate is None):
        return None
    return Edition(
        team=msgspec.json.decode(team, type=Team),
        candidate=msgspec.json.decode(candidate, type=Team) if candidate else None,
        percent=note.percent,
    )


async def keep_versions(context: Context) -> None:
    """Each role's version and its files, for whoever looks back. That there is no room for them stops nothing."""
    if context.drafts is not None:
        try:
            await asyncio.to_thread(context.drafts.keep, context.clock.now_ms())
        except OSError as error:
            log.warning("versions.not-kept", why=str(error))


# --- The loop ---------------------------------------------------------------------------------------------------------


class Reloading:
    """Looks at the files, and puts in force or proposes what they say."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.on_news: Callable[[str], None] = lambda _line: None
        self.on_screen = ""  # the platform that whoever hears the news reads, too: there nothing is said twice
        self._dealt_with = ""  # the stamp of what was read last
        self._seen = ""  # the stamp of the look before this one
        self._trouble = ""  # what was said of it, "" while all is well

    async def run(self) -> None:
        """For ever; what was loaded at the start, and is in force, is known already."""
        drafts = self._context.drafts
        if drafts is None:
            return
        self._dealt_with = drafts.read_at()
        while True:
            await self._context.clock.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Once: read what has changed, and then been left alone."""
        drafts = self._context.drafts
        if drafts is None:
            return
        stamp = await asyncio.to_thread(drafts.stamp)
        before, self._seen = self._seen, stamp
        if stamp == self._dealt_with or stamp != before:
            return
        try:
            draft = await asyncio.to_thread(drafts.draft)
        except ConfigError as error:
            await self._broken(str(error))
        else:
            if await asyncio.to_thread(drafts.stamp) != stamp:
                return  # changed while it was read: what was read is nobody's
            await keep_versions(self._context)
            await self._read(drafts, draft)
        self._dealt_with = stamp

    async def _read(self, drafts: Drafts, draft: Edition) -> None:
        current = drafts.edition()
        await self._take_back(drafts, draft)
        if draft.version != current.version:
            diff = await asyncio.to_thread(drafts.diff, current, draft)
            if current.team.policy.changes is not None:
                if not await self._propose(current, draft, diff):
                    return
            else:
                await self._put_in_force(drafts, current, draft, diff)
        if self._trouble:
            self._trouble = ""
            await self._say(words.FILES_ARE_RIGHT)

    async def _put_in_force(self, drafts: Drafts, current: Edition, draft: Edition, diff: str) -> None:
        context = self._context
        says = words.changes(changing.names_in(diff), changing.NAMES_MAX)
        plan = context.plan(context.env(draft.team))
        plan.changes.extend(kept(draft))
        plan.audit(draft.version, current.version, "definition.changed", before=current.version, says=says)
        await context.commit(plan)
        drafts.adopt(draft)
        log.info("definition.changed", definition=draft.version, before=current.version, says=says)
        self.on_news(words.now_in_force(says))

    # --- Proposed -----------------------------------------------------------------------------------------------------

    async def _propose(self, current: Edition, draft: Edition, diff: str) -> bool:
        """Ask for it, once. False: it cannot be asked, and people have been told."""
        context, now_ms = self._context, self._context.clock.now_ms()
        generation = await self._generation(current, draft)
        if not generation:
            return True
        where = place_of(context, current.team)
        asked = changing.proposal(current.team, current.version, draft.version, diff, where, generation, now_ms)
        if isinstance(asked, Failure):
            await self._broken(words.not_in_force(asked.why))
            return False
        directs = await directs_of(context, current.team, where, ())
        plan = context.plan(context.env(current.team, directs=directs))
        for team in draft.teams:
            plan.changes.append(PutBlob(hash=team.version, body=msgspec.json.encode(team)))
        note = msgspec.json.encode(note_of(draft)).decode()
        plan.changes.append(SetMeta(name=_draft_fact(draft.version), value=note))
        open_inquiry(plan, asked)
        await context.commit(plan)
        says = asked.action.says if asked.action else ""
        log.info("definition.waits", definition=draft.version, inquiry=asked.id)
        self.on_news(words.waits_for_approval(short(asked.id), says))
        return True

    async def _generation(self, current: Edition, draft: Edition) -> int:
        """The first time it is asked, or the first after it was taken back; 0 where it waits, or was decided."""
        for generation in range(1, GENERATIONS_MAX):
            inquiry_id = changing.id_of(current.version, draft.version, generation)
            row = await self._context.store.read.inquiry(inquiry_id)
            if row is None:
                return generation
            if row.inquiry.state not in {InquiryState.CANCELLED, InquiryState.EXPIRED, InquiryState.SUPERSEDED}:
                return 0
        return 0

    async def _take_back(self, drafts: Drafts, draft: Edition) -> None:
        """What waits for approval and is not what the files say any more."""
        context, current = self._context, drafts.edition()
        plan = context.plan(context.env(current.team))
        for inquiry in await context.store.read.inquiries():
            wanted = (changing.before_of(inquiry), changing.after_of(inquiry)) if changing.is_change(inquiry) else None
            if wanted is not None and wanted != (current.version, draft.version):
                errand = Withdraw(inquiry=inquiry.id, reason=words.CHANGE_GONE)
                plan.signal(f"{inquiry.id}:withdraw:{draft.version[:12]}", inquiry.task, errand)
        if plan.changes:
            await context.commit(plan)

    # --- Said ---------------------------------------------------------------------------------------------------------

    async def _broken(self, why: str) -> None:
        """Once for each distinct reason."""
        if why == self._trouble:
            return
        self._trouble = why
        log.warning("definition.broken", why=why)
        first, *more = why.splitlines()
        line = words.not_in_force(first) if not first.startswith(words.not_in_force("")) else first
        await self._say(f"{line} (and {len(more)} more: `signoff check`)" if more else line)

    async def _say(self, line: str) -> None:
        """On the console, and where people look after the team."""
        context, now_ms = self._context, self._context.clock.now_ms()
        place = place_of(context, context.teams.current())
        if place.platform != self.on_screen:
            self.on_news(line)
        post_id = post_of("definition", line, now_ms)
        post = Post(id=post_id, conversation=place, view=Line(text=line), slot=post_id, rank=0, at_ms=now_ms)
        await context.store.commit(Unit(changes=(AddPost(post=post),)))
        context.bus.notify("posts")


def place_of(context: Context, team: Team) -> Conversation:
    """Where people look after the team: its inbox, else in private to the first owner who can be reached, else the
    terminal.
    """
    if team.policy.inbox is not None:
        return team.policy.inbox
    owners = (person for person in team.people if person.role == "owner")
    places = (private_place(context, account) for owner in owners for account in owner.accounts)
    console = Conversation(platform="console", account=team.name, channel="main")
    return next((place for place in places if place is not None), console)


def _draft_fact(version: str) -> str:
    return f"draft:{version}"


# --- Approved ---------------------------------------------------------------------------------------------------------


async def approved(context: Context, row: InquiryRow, guards: tuple[Guard, ...], changes: tuple[Change, ...]) -> None:
    """Put in force what people approved, to the byte. Done again after a crash, it is done once. Raises LookupError."""
    inquiry, drafts, read = row.inquiry, context.drafts, context.store.read
    note = await read.meta(_draft_fact(changing.after_of(inquiry)))
    edition = await _edition(read, msgspec.json.decode(note, type=EditionNote)) if note else None
    if drafts is None or edition is None or edition.version != changing.after_of(inquiry):
        raise LookupError(inquiry.id)
    current = drafts.edition()
    fits = current.version in {changing.before_of(inquiry), edition.version}
    plan = context.plan(context.env(edition.team if fits else current.team))
    plan.guards.extend(guards)
    plan.changes.extend(changes)
    if fits:
        plan.changes.extend(kept(edition))
        plan.changes.append(SetMeta(name=_draft_fact(edition.version), value=""))
    what, before = "definition.changed" if fits else "definition.not-changed", changing.before_of(inquiry)
    plan.audit(inquiry.id, inquiry.revision, what, digest=inquiry.digest, before=before, definition=edition.version)
    inquiries.decided(plan, inquiry, words.CHANGED if fits else words.CHANGED_SINCE)
    await context.commit(plan)
    if fits:
        drafts.adopt(edition)
        log.info("definition.changed", definition=edition.version, inquiry=inquiry.id)
