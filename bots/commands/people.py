"""`signoff people`: who is in the team, which accounts are theirs, and how they bring another one."""

from __future__ import annotations

import argparse

from bots.app import House
from bots.commands.place import PLATFORM, os_user, person_of, refuse_inside_a_run, with_house
from core.model.errors import DeniedError, TerminalError
from core.model.team import AccountLink, Person
from core.model.unit import AddAudit, Audit, Unit, UnlinkAccount
from core.rules.text import human_when, one_line
from core.runtime import linking

ACCOUNT_MAX = 120


def people(parsed: argparse.Namespace) -> int:
    """List, `link` or `unlink`. The latter two raise DeniedError inside a tool's run."""
    if parsed.what is None:
        return with_house(_list)(parsed)
    refuse_inside_a_run()
    return with_house(_link if parsed.what == "link" else _unlink)(parsed)


async def _list(_parsed: argparse.Namespace, house: House) -> int:
    team, links = house.teams.current(), await house.store.read.accounts()
    for person in team.people:
        print(f"{person.id}  {person.name}  {person.role}")
        named = [f"{account}  in team.yaml" for account in person.accounts]
        linked = [_line(house, link) for link in links if _owner(house, link) == person]
        for line in (*named, *linked) or ("no account: `signoff people link` gives a code for one",):
            print(f"  {line}")
    for link in links:
        if _owner(house, link) is None:
            print(f"nobody  {_line(house, link)}, who is not in team.yaml any more ({one_line(link.person, 40)})")
    if not team.people:
        print("Nobody yet. `people` in agents/team.yaml says who may talk to the team.")
    return 0


def _owner(house: House, link: AccountLink) -> Person | None:
    """Whose it is: what team.yaml says goes before a link."""
    team = house.teams.current()
    return team.person_of_account(link.account) or team.person(link.person)


def _line(house: House, link: AccountLink) -> str:
    when = human_when(link.at_ms, house.clock.now_ms(), house.teams.current().zone)
    return f"{one_line(link.account, ACCOUNT_MAX)}  linked {when}, code by {one_line(link.by, 40)}"


async def _link(parsed: argparse.Namespace, house: House) -> int:
    team = house.teams.current()
    by, person = person_of(parsed, team), team.person(parsed.who)
    if person is None:
        raise TerminalError(f"there is no person {one_line(parsed.who, 40)}", "`signoff people` lists them")
    if by != person and by.role != "owner":
        raise DeniedError(
            f"{by.name} may not bring in an account for {person.name}", "an owner may, or they themselves"
        )
    code = await linking.issue(house.store, house.ids, person.id, by.id, house.clock.now_ms())
    print(f"Send /link {code} to the bot from {person.name}'s account within an hour (in Slack: /signoff link {code}).")
    print("Whoever sends it first is taken for them: show it to nobody else. It works once.")
    return 0


async def _unlink(parsed: argparse.Namespace, house: House) -> int:
    """The record keeps who did it; what the account decided before stays decided."""
    team, account = house.teams.current(), parsed.account
    by, link = person_of(parsed, team), await house.store.read.account(account)
    if team.person_of_account(account) is not None:
        raise TerminalError(f"{account} is in agents/team.yaml", "take it out there")
    if link is None:
        raise TerminalError(f"{one_line(account, ACCOUNT_MAX)} is nobody's", "`signoff people` lists accounts")
    if by.id != link.person and by.role != "owner":
        raise DeniedError(f"{by.name} may not take that account away", "an owner may, or whose it is")
    row = Audit(
        id=f"unlink:{house.ids.token()}",
        at_ms=house.clock.now_ms(),
        what="account.unlinked",
        subject=account,
        principal=by.id,
        account=f"{PLATFORM}:{os_user()}",
        detail={"person": link.person},
    )
    await house.store.commit(Unit(changes=(UnlinkAccount(account=account), AddAudit(row=row))))
    print(f"{account} is nobody's from now on; linked again with a code from `signoff people link {link.person}`.")
    return 0
