"""What must hold between the parts of a manifest, once its shape is right.

Law: every check looks at the whole and stops at nothing, so that one run names every error; each error has the line of
the word that is wrong and says what was expected there.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import fastjsonschema

from agents.folders import Findings
from agents.manifest import CommandRow, Document, Manifest, RoleRow
from agents.tools import addresses, credentials, programs
from core.model.events import Conversation
from core.model.team import Json, Tier, TierRule, ToolSpec
from core.rules.digest import time_of

LEAD_TOOLS = frozenset(
    {"delegate", "ask_human", "hand_off", "find_tools", "remember", "recall", "publish", "post_bulletin"}
    | {"propose_principle", "read_knowledge", "schedule_reminder", "use_skill"}
)
"""What who leads may call: nothing of these is the work itself."""
RESERVED = frozenset({"shared", "people", "tools", "presets", "demo", "triage", "work", "deep"})
"""Folders beside the roles', the word for everybody, and the names of models."""
_INTERPRETERS = ("sh", "bash", "dash", "zsh", "env", "python", "python3", "node", "perl", "ruby", "make", "xargs")


_SCHEMES = ("http", "https", "ftp", "file", "data")
_BROKEN = (OSError, ValueError, TypeError, AttributeError, LookupError, SyntaxError, RecursionError, re.error)
"""What the compiler raises on a schema that is none; its own errors are ValueErrors."""


ORIGIN = "origin"
DIRECT = "direct"
"""The conversation where something was asked for."""
PLATFORMS = ("discord", "slack", "telegram")


def place_of(text: str) -> Conversation | None:
    """`slack:T01/C42`, or with a thread `slack:T01/C42/17.5`; None for anything else."""
    platform, _, rest = text.partition(":")
    parts = rest.split("/")
    if not platform or len(parts) not in {2, 3} or not all(part.strip() for part in parts):
        return None
    return Conversation(platform=platform, account=parts[0], channel=parts[1], thread="".join(parts[2:]))


def leads_of(manifest: Manifest) -> frozenset[str]:
    """The team's lead, and every role that others report to."""
    above = {row.reports_to for row in manifest.roles if row.reports_to}
    return frozenset({manifest.team.lead} | above)


def tools_of(row: RoleRow) -> tuple[str, ...]:
    """What a role may call: allowed, and not denied."""
    return tuple(dict.fromkeys(name for name in row.tools.allow if name not in row.tools.deny))


def check_all(document: Document[Manifest], workspace: Path, known: Mapping[str, ToolSpec], found: Findings) -> None:
    """Every check there is. `known` are the tools there are."""
    checks = _Checks(document, workspace, known, found)
    checks.zones()
    checks.people()
    checks.platform_roles()
    checks.roles()
    checks.tools()
    checks.judges()
    checks.kinds()
    checks.supervisors()
    checks.teams()
    checks.matrix()
    checks.channels()
    checks.commands()


class _Checks:
    def __init__(
        self, document: Document[Manifest], workspace: Path, known: Mapping[str, ToolSpec], found: Findings
    ) -> None:
        assert document.value is not None  # noqa: S101 - the caller stops at shape errors
        self._document = document
        self._all = document.value
        self._workspace = workspace
        self._known = known
        self._found = found
        self._ids = {row.id: row for row in self._all.roles}
        self._leads = leads_of(self._all)

    def _fail(self, what: str, expected: str, *path: str | int) -> None:
        self._found.fail(what, expected, file=self._document.file, line=self._document.line(*path))

    def _notice(self, what: str, *path: str | int) -> None:
        self._found.notice(what, file=self._document.file, line=self._document.line(*path))

    def _role(self, name: str, *path: str | int) -> bool:
        if name in self._ids:
            return True
        self._fail(f"unknown role {name}", f"one of: {', '.join(self._ids)}", *path)
        return False

    def zones(self) -> None:
        self._zone(self._all.team.zone, "team", "zone")
        for n, person in enumerate(self._all.people):
            if person.zone:
                self._zone(person.zone, "people", n, "zone")

    def _zone(self, zone: str, *path: str | int) -> None:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self._fail(f"unknown time zone {zone!r}", "an IANA name such as Europe/Berlin, or UTC", *path)

    def people(self) -> None:
        ids: set[str] = set()
        claimed: dict[str, str] = {}
        for n, person in enumerate(self._all.people):
            if person.id in ids:
                self._fail(f"person {person.id} is there twice", "each id once", "people", n, "id")
            if person.id in self._ids:
                self._fail(f"{person.id} is a person and a role", "different ids", "people", n, "id")
            ids.add(person.id)
            for m, account in enumerate(person.accounts):
                if not all(account.partition(":")):
                    self._fail(f"account {account!r}", "platform:id, such as telegram:1111", "people", n, "accounts", m)
                elif account in claimed:
                    whose = f"account {account} belongs to {claimed[account]}"
                    self._fail(whose, "one person for each account", "people", n, "accounts", m)
                claimed.setdefault(account, person.id)
        if not any(person.role in {"owner", "approver"} for person in self._all.people):
            self._notice("nobody may approve anything: no person is owner or approver", "people")

    def platform_roles(self) -> None:
        for platform, row in self._all.platform_roles.items():
            path = ("platform_roles", platform)
            if platform not in PLATFORMS:
                self._fail(f"{platform} has no roles to look up", f"one of: {', '.join(PLATFORMS)}", *path)
            elif not (row.owner or row.approver):
                self._notice(f"nobody may decide anything on {platform}: no role of its own is named", *path)
            for ours, names in (("owner", row.owner), ("approver", row.approver)):
                for n, name in enumerate(names):
                    if name != "admin" and not all(name.partition(":")):
                        self._fail(f"role {name!r}", "admin, role:ID or group:ID", *path, ours, n)

    def roles(self) -> None:
        ids: set[str] = set()
        folders: set[str] = set()
        for n, row in enumerate(self._all.roles):
            folder = row.folder or row.id
            if row.id in ids:
                self._fail(f"role {row.id} is there twice", "each id once", "roles", n, "id")
            elif folder in folders:
                whose = f"folder {folder} belongs to another role"
                self._fail(whose, "a folder for each role", "roles", n, "folder")
            if row.id in RESERVED:
                self._fail(f"{row.id} is a word of ours", "another id", "roles", n, "id")
            ids.add(row.id)
            folders.add(folder)
            self._tools(n, row)
            for m, target in enumerate(row.escalates_to):
                if target != "people":
                    self._role(target, "roles", n, "escalates_to", m)

    def _tools(self, n: int, row: RoleRow) -> None:
        tools = ", ".join(sorted(self._known))
        for m, name in enumerate(row.tools.allow):
            if name not in self._known:
                self._fail(f"unknown tool {name}", f"one of: {tools}", "roles", n, "tools", "allow", m)
            elif row.id in self._leads and name not in LEAD_TOOLS:
                leads = f"{row.id} leads, and {name} is a tool to work with"
                self._fail(leads, f"only {', '.join(sorted(LEAD_TOOLS))}", "roles", n, "tools", "allow", m)
            if name in row.tools.deny:
                self._notice(f"{name} is allowed and denied: it is denied", "roles", n, "tools", "allow", m)
        for m, name in enumerate(row.tools.deny):
            if name not in self._known:
                self._notice(f"denies {name}, which no tool is called", "roles", n, "tools", "deny", m)
        self._uses(n, row, tools_of(row))

    def _uses(self, n: int, row: RoleRow, tools: tuple[str, ...]) -> None:
        sends = any(hand.source == row.id for hand in self._all.matrix)
        allow = ("roles", n, "tools", "allow")
        if "hand_off" not in tools:
            self._fail(f"{row.id} cannot finish", "hand_off among its tools", *allow)
        if sends and "delegate" not in tools:
            self._fail(f"the matrix lets {row.id} hand on work", "delegate among its tools", *allow)
        if "delegate" in tools and not sends:
            self._fail(f"{row.id} has delegate and nobody to give work to", "a row in matrix from it", *allow)
        if "run_command" in tools and not row.commands:
            self._fail(f"{row.id} has run_command and no commands", "commands: [...]", *allow)
        if row.commands and "run_command" not in tools:
            self._fail(f"{row.id} has commands and no run_command", "run_command among its tools", *allow)
        if "fetch_url" in tools and not row.reach.egress:
            self._notice(f"{row.id} has fetch_url and may reach no host: reach.egress is empty", *allow)
        for m, entry in enumerate(row.reach.egress):
            if why := addresses.entry_trouble(entry):
                self._fail(f"egress {entry!r} is no host", why, "roles", n, "reach", "egress", m)
        for m, name in enumerate(row.reach.credentials):
            if why := credentials.why_not(name):
                self._fail(f"{name} cannot be a credential", why, "roles", n, "reach", "credentials", m)
        for m, name in enumerate(row.commands):
            command = self._all.commands.get(name)
            path = ("roles", n, "commands", m)
            if command is None:
                self._fail(f"unknown command {name}", f"one of: {', '.join(self._all.commands) or 'none yet'}", *path)
            elif command.tier == "infrastructure" and not row.permissions.can_deploy:
                self._notice(f"{row.id} may not run {name}: can_deploy is false", *path)

    def kinds(self) -> None:
        known = {kind for row in self._all.matrix for kind in row.kinds}
        for kind in self._all.kinds:
            if kind not in known:
                self._fail(f"no row of the matrix has the kind {kind}", f"one of: {', '.join(known)}", "kinds", kind)

    def judges(self) -> None:
        for n, row in enumerate(self._all.roles):
            path = ("roles", n, "judged_by")
            if row.judged_by == row.id:
                self._fail(f"{row.id} judges its own work", "another role", *path)
            elif row.judged_by is not None:
                self._role(row.judged_by, *path)

    def tools(self) -> None:
        tiers = list(Tier)
        for name, row in self._all.tools.items():
            spec = self._known.get(name)
            if spec is None:
                self._fail(f"unknown tool {name}", f"one of: {', '.join(sorted(self._known))}", "tools", name)
            elif row.tier and tiers.index(Tier(row.tier)) < tiers.index(spec.tier):
                milder = f"{name} is {spec.tier.value}, and {row.tier} is milder"
                self._fail(milder, f"{spec.tier.value} or stricter", "tools", name, "tier")

    def supervisors(self) -> None:
        lead = self._all.team.lead
        if self._role(lead, "team", "lead") and self._ids[lead].reports_to is not None:
            self._fail(f"the lead {lead} reports to {self._ids[lead].reports_to}", "reports_to: null", "team", "lead")
        for n, row in enumerate(self._all.roles):
            path = ("roles", n, "reports_to")
            if row.reports_to is None:
                if row.id != lead:
                    self._fail(f"{row.id} has no supervisor", f"a role; only the lead ({lead}) has null", *path)
            elif self._role(row.reports_to, *path) and self._circles(row.id):
                self._fail(f"{row.id} reports to itself in the end", "a line that ends at the lead", *path)

    def _circles(self, role: str) -> bool:
        above, steps = self._ids[role].reports_to, 0
        while above in self._ids and above != role and steps <= len(self._ids):
            above, steps = self._ids[above].reports_to, steps + 1
        return above == role

    def teams(self) -> None:
        for team, members in self._all.teams.items():
            for m, name in enumerate(members):
                self._role(name, "teams", team, m)
                if name in members[:m]:
                    self._fail(f"{name} is there twice", "each role once", "teams", team, m)

    def channels(self) -> None:
        for place, role in self._all.channels.items():
            self._role(role, "channels", place)
            if not all(place.partition(":")[::2]):
                self._fail(f"{place} is no channel", "platform:channel, as in slack:C42", "channels", place)

    def matrix(self) -> None:
        pairs: set[tuple[str, str, str]] = set()
        for n, row in enumerate(self._all.matrix):
            whole = self._role(row.source, "matrix", n, "from") & self._role(row.target, "matrix", n, "to")
            if row.source == row.target:
                self._fail(f"{row.source} hands work to itself", "two roles", "matrix", n, "to")
            for m, kind in enumerate(row.kinds):
                if (row.source, row.target, kind) in pairs:
                    twice = f"{row.source} to {row.target}, {kind} is there twice"
                    self._fail(twice, "each kind once for two roles", "matrix", n, "kinds", m)
                pairs.add((row.source, row.target, kind))
            if whole and self._works(row.source) and self._works(row.target):
                across = f"{row.source} gives work to {row.target}, and neither leads: keep such rows few"
                self._notice(across, "matrix", n)

    def _works(self, role: str) -> bool:
        return role not in self._leads and not set(tools_of(self._ids[role])) <= LEAD_TOOLS

    def commands(self) -> None:
        for name, row in self._all.commands.items():
            self._program(name, row)
            self._templates(name, row)
            for arg, schema in row.args.items():
                path = ("commands", name, "args", arg)
                if not programs.PLACE.fullmatch(f"{{{arg}}}"):
                    self._fail(f"{arg!r} cannot be an argument", "a name of letters, digits and _", *path)
                if why := _why_no_schema(schema):
                    self._fail(f"{arg}: no JSON Schema ({why})", "a schema such as {enum: [a, b]}", *path)

    def _program(self, name: str, row: CommandRow) -> None:
        path = ("commands", name, "argv", 0)
        if programs.PLACE.search(row.argv[0]):
            self._fail(f"{name}: an argument chooses the program", "the program itself", *path)
            return
        program = programs.find(self._workspace, row.argv[0])
        if programs.is_writable_by_agents(self._workspace, program or Path(row.argv[0])):
            self._fail(f"{row.argv[0]} lies in files/, where agents write", "a program elsewhere", *path)
        elif program is None:
            missing = "is missing" if not (self._workspace / row.argv[0]).is_file() else "is not executable"
            self._fail(f"{row.argv[0]} {missing}", "an executable file; paths start at the workspace", *path)
        for n, part in enumerate(row.argv[1:], start=1):
            if part.startswith("/") and programs.is_writable_by_agents(self._workspace, Path(part)):
                self._fail(f"{part} lies in files/, where agents write", "a file elsewhere", *path[:-1], n)
        if Path(row.argv[0]).name in _INTERPRETERS and len(row.argv) > 1 and not row.argv[1].startswith("/"):
            self._notice(f"{row.argv[0]} runs in files/<role>: what it is told to run may be an agent's", *path)

    def _templates(self, name: str, row: CommandRow) -> None:
        used: set[str] = set()
        places = [(text, ("argv", n)) for n, text in enumerate(row.argv)]
        for text, path in [*places, (row.resource, ("resource",)), (row.says, ("says",))]:
            for arg in programs.PLACE.findall(text):
                used.add(arg) if path[0] == "argv" else None
                if arg not in row.args:
                    expected = f"one of its args: {', '.join(row.args) or 'it has none'}"
                    self._fail(f"{{{arg}}} names no argument of {name}", expected, "commands", name, *path)
        for arg in row.args:
            if arg not in used:
                self._notice(f"{arg} occurs nowhere in argv", "commands", name, "args", arg)


def _why_no_schema(schema: Json) -> str:
    if not isinstance(schema, dict):
        return "not a mapping"
    try:
        fastjsonschema.compile(copy.deepcopy(schema), handlers=dict.fromkeys(_SCHEMES, _refuse_to_fetch))
    except _BROKEN as error:
        return str(error) or type(error).__name__
    return ""


def _refuse_to_fetch(uri: str) -> Json:
    raise fastjsonschema.JsonSchemaDefinitionException(f"it refers to {uri}")


def check_places(document: Document[Manifest], found: Findings) -> None:
    """Where inquiries are shown: always where they were asked for, and at places that can be told apart."""
    policy = document.value.policy if document.value else None
    if policy is None:
        return
    expected = "platform:account/channel, as in slack:T01/C42"
    lists: list[tuple[tuple[str, ...], tuple[str, ...]]] = [(policy.deliver, ("policy", "deliver"))]
    lists += [
        (row.deliver, ("policy", "tiers", tier, "deliver"))
        for tier, row in policy.tiers.items()
        if row.deliver is not None
    ]
    for places, path in lists:
        if ORIGIN not in places:
            at = document.line(*path)
            found.fail("origin is missing", "origin first, then more places", file=document.file, line=at)
        for n, place in enumerate(places):
            if place not in {ORIGIN, DIRECT} and place_of(place) is None:
                at = document.line(*path, n)
                found.fail(f"{place!r} is no place", f"origin, direct, or {expected}", file=document.file, line=at)
    if policy.inbox is not None and place_of(policy.inbox.channel) is None:
        at = document.line("policy", "inbox", "channel")
        found.fail(f"{policy.inbox.channel!r} is no place", expected, file=document.file, line=at)


def check_digest(document: Document[Manifest], found: Findings) -> None:
    """A time of day, and a place that can be told apart."""
    digest = document.value.team.digest if document.value else None
    if digest is None:
        return
    if time_of(digest.at) is None:
        at = document.line("team", "digest", "at")
        found.fail(f"{digest.at!r} is no time of day", 'hours and minutes, as in "09:00"', file=document.file, line=at)
    if place_of(digest.to) is None:
        at = document.line("team", "digest", "to")
        found.fail(f"{digest.to!r} is no place", "platform:account/channel", file=document.file, line=at)


def check_tiers(document: Document[Manifest], tiers: Mapping[str, TierRule], found: Findings) -> None:
    """Only tiers that exist."""
    for tier in document.value.policy.tiers if document.value else ():
        if tier not in tiers:
            at = document.line("policy", "tiers", tier)
            found.fail(f"unknown tier {tier}", f"one of: {', '.join(tiers)}", file=document.file, line=at)
