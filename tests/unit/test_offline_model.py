from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from agents.team import load
from agents.workspace import init
from core.adapters.models.offline import OfflineModel
from core.model.ids import TaskId
from core.model.team import ModelSpec, ToolSpec
from core.model.work import Begun, Brief, ChildEnded, Failure, Handoff, PushBack, Said, Stop
from core.ports import Message, ModelRequest, Part
from core.rules.transcript import begin_text, child_text

AGENTS = Path(__file__).parents[2] / "agents"
TITLES = {"ceo": "CEO", "cto": "CTO", "devops": "DevOps", "developer": "Developer", "product": "Product Manager"}


def string(**more):
    return {"type": "string", **more}


def schema(required=(), **properties):
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def tool(name, parameters, about="..."):
    return ToolSpec(name=name, about=about, parameters=parameters)


STRINGS = {"type": "array", "items": string()}
HAND_OFF = tool(
    "hand_off",
    schema(
        ["summary"],
        summary=string(),
        changed=STRINGS,
        next_needs=STRINGS,
        risks=STRINGS,
        artifacts=STRINGS,
        needs=string(),
    ),
)
ASK = tool(
    "ask_human",
    schema(
        ["question", "why"], question=string(), options=STRINGS, kind=string(enum=["choice", "question"]), why=string()
    ),
)
READ_FILE = tool("read_file", schema(["path"], path=string()))
WRITE_FILE = tool("write_file", schema(["path", "content"], path=string(), content=string()))
LIST_FILES = tool("list_files", schema(folder=string()))


class World:
    """A manifest, and the tools its roles would be given."""

    def __init__(self, name, roles=None, commands=None):
        self.raw = yaml.safe_load((AGENTS / name).read_text())
        self.roles = roles or {}
        self.commands = commands or {}

    def role(self, name):
        return self.roles.get(name, name)

    def command(self, name):
        return self.commands.get(name, name)

    def command_lines(self, role):
        found = next(r for r in self.raw["roles"] if self.role(r["id"]) == role)
        return [self.command_line(name) for name in found.get("commands", ())]

    def command_line(self, name):
        command = self.raw["commands"][name]
        args = "; ".join(f"{a} = {' | '.join(s['enum'])} ({s['description']})" for a, s in command["args"].items())
        return f"{self.command(name)}: {command['about']}; args: {args}"

    def reach(self, role):
        below = [row["to"] for row in self.raw["matrix"] if self.role(row["from"]) == role]
        own = self.command_lines(role)
        return ", ".join([*(f"{self.role(b)} ({TITLES.get(b, b)})" for b in below), *own])

    def delegate(self, role):
        rows = [row for row in self.raw["matrix"] if self.role(row["from"]) == role]
        to = "\n".join(
            f"{self.role(row['to'])}: {TITLES.get(row['to'], row['to'].title())}. {row['when']}."
            f" Reaches: {self.reach(self.role(row['to']))}"
            for row in rows
        )
        kinds = list(dict.fromkeys(kind for row in rows for kind in row["kinds"]))
        about = "; ".join(f"{self.role(row['to'])}: {', '.join(row['kinds'])}" for row in rows)
        return tool(
            "delegate",
            schema(
                ["to", "kind", "objective"],
                to=string(enum=[self.role(row["to"]) for row in rows], description=to),
                kind=string(enum=kinds, description=about),
                objective=string(),
                context=string(),
                success_criteria=STRINGS,
                requires_approval={"type": "boolean"},
                task=string(),
                answer=string(),
            ),
        )

    def tools(self, role):
        found = next(r for r in self.raw["roles"] if self.role(r["id"]) == role)
        specs = []
        for name in found["tools"]["allow"]:
            match name:
                case "delegate":
                    specs.append(self.delegate(role))
                case "run_command":
                    names = [self.command(c) for c in found["commands"]]
                    about = "\n".join(self.command_lines(role))
                    specs.append(
                        tool(
                            "run_command",
                            schema(
                                ["command", "args"],
                                command=string(enum=names, description=about),
                                args={"type": "object"},
                            ),
                        )
                    )
                case _:
                    known = {t.name: t for t in (HAND_OFF, ASK, READ_FILE, WRITE_FILE, LIST_FILES)}
                    specs.extend(known[name] for name in (name,) if name in known)  # of others it knows nothing
        return tuple(specs)

    async def say(self, role, *messages):
        first, *rest = messages
        opened = Message(role="user", text=first) if isinstance(first, str) else first
        return await OfflineModel().reply(request(self.tools(role), opened, *rest, role=role))


def request(tools, *messages, role=""):
    return ModelRequest(
        model=ModelSpec(provider="offline", model="offline"),
        system=(Part(text="You are here."),),
        tools=tuple(tools),
        messages=tuple(messages),
        output_tokens_max=4000,
        role=role,
    )


def turn(reply):
    return Message(role="assistant", text=reply.text, uses=tuple((u.id, u.name, u.arguments) for u in reply.uses))


def results(reply, *texts, is_error=False, heard=""):
    return Message(
        role="user", text=heard, results=tuple((u.id, t, is_error) for u, t in zip(reply.uses, texts, strict=True))
    )


def brief(objective, kind="deployment"):
    return f"Objective: {objective}\nKind: {kind}\nContext: as asked\nDone when: it is live"


def used(reply):
    return [(u.name, u.arguments) for u in reply.uses]


THREE = World("three.yaml")
TWELVE = World("team.yaml")
RENAMED = World("team.yaml", roles={"devops": "ops", "cto": "tech"}, commands={"deploy": "ship", "status": "state"})
RENAMED_THREE = World("three.yaml", roles={"devops": "ops"}, commands={"deploy": "ship"})


async def travel(world, words, role="ceo"):
    """Follow the work down by descriptions alone; the path, and the first use that is no delegation."""
    path, opening = [role], words
    for _ in range(5):
        reply = await world.say(role, opening)
        if not reply.uses or reply.uses[0].name != "delegate":
            return path, reply
        arguments = reply.uses[0].arguments
        role, opening = arguments["to"], brief(arguments["objective"], arguments["kind"])
        path.append(role)
    raise AssertionError(path)


@pytest.mark.parametrize(
    ("world", "words", "path", "command", "site"),
    [
        (THREE, "deploy the landing page", ["ceo", "devops"], "deploy", "landing"),
        (THREE, "Please publish the docs", ["ceo", "devops"], "deploy", "docs"),
        (THREE, "Which version of the docs is live?", ["ceo", "devops"], "status", "docs"),
        (THREE, "Is the landing page up?", None, "status", "landing"),
        (TWELVE, "deploy the landing page", ["ceo", "cto", "devops"], "deploy", "landing"),
        (TWELVE, "publish the brochure", ["ceo", "cto", "devops"], "deploy", "landing"),
        (RENAMED, "publish the brochure", ["ceo", "tech", "ops"], "ship", "landing"),
        (RENAMED, "deploy the landing page", ["ceo", "tech", "ops"], "ship", "landing"),
        (RENAMED, "Could you publish the documentation?", ["ceo", "tech", "ops"], "ship", "docs"),
        (RENAMED_THREE, "publish the brochure", ["ceo", "ops"], "ship", "landing"),
        (RENAMED_THREE, "deploy the landing page", ["ceo", "ops"], "ship", "landing"),
    ],
)
async def test_work_travels_by_descriptions_alone(world, words, path, command, site):
    if path is None:
        path, reply = await travel(world, words, "devops")
    else:
        taken, reply = await travel(world, words)
        assert taken == path
    assert used(reply) == [("run_command", {"command": command, "args": {"site": site}})]
    assert reply.stop is Stop.TOOLS


@pytest.mark.parametrize(
    ("words", "kind"), [("deploy the docs", "deployment"), ("we have an incident", "incident"), ("fix a bug", "bugfix")]
)
async def test_the_kind_fits_the_words(words, kind):
    (_, arguments), *_ = used(await THREE.say("ceo", words))
    assert arguments["kind"] == kind
    assert arguments["objective"] == words


@pytest.mark.parametrize("words", ["hello", "Hi!", "thanks", "what can you do?", "who is here?", "ok", "", "äöü 🙂"])
@pytest.mark.parametrize("world", [THREE, TWELVE])
async def test_small_talk_is_answered_at_once_with_who_is_here(world, words):
    reply = await world.say("ceo", words)
    assert reply.uses == ()
    assert reply.stop is Stop.END
    assert "offline model" in reply.text
    assert "Developer" in reply.text or "CTO" in reply.text
    assert "\n" not in reply.text


async def test_a_role_spoken_to_directly_says_what_it_can_run():
    reply = await THREE.say("devops", "hello")
    assert reply.uses == ()
    assert "deploy (Publish a site so that the public sees it)" in reply.text


async def test_a_result_becomes_a_handoff_and_then_the_answer():
    worker = await THREE.say("devops", brief("deploy the landing page"))
    ended = await THREE.say(
        "devops", brief("deploy the landing page"), turn(worker), results(worker, "exit 0 in 0.2 s\nlanding is live")
    )
    assert used(ended) == [
        ("hand_off", {"summary": "deploy landing is done: landing is live", "changed": ["Ran deploy landing"]})
    ]

    lead = await THREE.say("ceo", "deploy the landing page")
    child = "Summary: The landing page is deployed.\nChanged:\n- Ran deploy landing\nRisks:\n- Nobody looked at it\n"
    answer = await THREE.say("ceo", "deploy the landing page", turn(lead), results(lead, child))
    assert used(answer) == [
        (
            "hand_off",
            {
                "summary": "The landing page is deployed.",
                "changed": ["Ran deploy landing"],
                "risks": ["Nobody looked at it"],
            },
        )
    ]


async def test_a_handoff_as_json_is_understood_too():
    lead = await THREE.say("ceo", "deploy the landing page")
    child = '{"type": "Handoff/1", "summary": "It is live.", "changed": ["deployed.log"], "risks": []}'
    answer = await THREE.say("ceo", "deploy the landing page", turn(lead), results(lead, child))
    assert used(answer) == [("hand_off", {"summary": "It is live.", "changed": ["deployed.log"]})]


@pytest.mark.parametrize(
    ("text", "is_error"),
    [
        ("Denied by Ana: too early", True),
        ("Denied by Ana: too early", False),
        ("exit 2 in 0.1 s\nusage: deploy.sh SITE", False),
        ("Failed: deploy\nWhy: too early, says Ana\nRecovery: ask her on Monday", True),
        ('{"what": "deploy", "why": "too early", "recovery": "ask on Monday"}', True),
    ],
)
async def test_what_failed_is_said_to_have_failed(text, is_error):
    worker = await THREE.say("devops", brief("deploy the landing page"))
    ended = await THREE.say(
        "devops", brief("deploy the landing page"), turn(worker), results(worker, text, is_error=is_error)
    )
    ((name, arguments),) = used(ended)
    assert name == "hand_off"
    assert arguments["summary"].startswith("Not done: deploy landing")
    assert ("too early" in arguments["summary"]) == ("too early" in text)
    assert arguments["next_needs"]
    assert "changed" not in arguments


async def test_several_asks_for_several_roles_go_out_side_by_side_and_are_joined():
    words = "fix the bug in the script and deploy the docs"
    lead = await THREE.say("ceo", words)
    assert [(a["to"], a["objective"]) for _, a in used(lead)] == [
        ("developer", "fix the bug in the script"),
        ("devops", "deploy the docs"),
    ]
    assert len({one.id for one in lead.uses}) == 2

    answer = await THREE.say("ceo", words, turn(lead), results(lead, "Summary: Fixed.", "Failed: deploy\nWhy: no disk"))
    ((_, arguments),) = used(answer)
    assert arguments["summary"] == "Fixed.\nNot done: devops: deploy Why: no disk"


async def test_two_objects_of_one_verb_are_one_brief_and_two_runs():
    lead = await THREE.say("ceo", "deploy the landing page and the docs")
    assert [(a["to"], a["objective"]) for _, a in used(lead)] == [("devops", "deploy the landing page and the docs")]
    worker = await THREE.say("devops", brief("deploy the landing page and the docs"))
    assert [a["args"]["site"] for _, a in used(worker)] == ["landing", "docs"]


async def test_what_was_heard_meanwhile_is_acknowledged():
    lead = await THREE.say("ceo", "deploy the docs")
    answer = await THREE.say(
        "ceo", "deploy the docs", turn(lead), results(lead, "Summary: It is live.", heard="You adds: and tell Ana")
    )
    ((_, arguments),) = used(answer)
    assert arguments["summary"].startswith("It is live.\n")
    assert '"You adds: and tell Ana"' in arguments["summary"]


async def test_work_that_matches_nothing_is_handed_back_as_not_done():
    reply = await THREE.say("developer", brief("build a feature", "implementation"))
    ((name, arguments),) = used(reply)
    assert name == "hand_off"
    assert arguments["summary"].startswith('Nothing was done about "build a feature"')
    assert arguments["next_needs"]


async def test_a_question_never_runs_a_command_that_acts():
    worker = World("three.yaml")
    worker.raw["roles"][2]["commands"] = ["deploy"]
    reply = await worker.say("devops", "Is the landing page live?")
    assert reply.uses == ()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("write buy milk to notes/list.md", ("write_file", {"path": "notes/list.md", "content": "buy milk\n"})),
        ("note that Ana called", ("write_file", {"path": "ana-called.md", "content": "Ana called\n"})),
        ("read notes.txt", ("read_file", {"path": "notes.txt"})),
        ("Show me the file shared/plan.md please", ("read_file", {"path": "shared/plan.md"})),
        ("list the files", ("list_files", {})),
    ],
)
async def test_files_are_written_read_and_listed(words, expected):
    assert used(await THREE.say("developer", words)) == [expected]


async def test_what_was_written_is_named():
    words = "write buy milk to list.md"
    first = await THREE.say("developer", words)
    ended = await THREE.say("developer", words, turn(first), results(first, "9 bytes"))
    assert used(ended) == [
        ("hand_off", {"summary": "Wrote list.md.", "changed": ["Wrote list.md"], "artifacts": ["list.md"]})
    ]


async def test_a_file_with_a_made_up_name_is_said_to_hold_no_more_than_the_request():
    first = await THREE.say("developer", "write a headline")
    ended = await THREE.say("developer", "write a headline", turn(first), results(first, "ok"))
    assert "composes nothing" in used(ended)[0][1]["risks"][0]


async def test_a_file_that_speaks_of_errors_was_read_all_the_same():
    first = await THREE.say("developer", "read log.txt")
    ended = await THREE.say("developer", "read log.txt", turn(first), results(first, "Failed: exit 1\nWhy: it rained"))
    assert used(ended)[0][1]["summary"].startswith("log.txt says:\nFailed: exit 1")


async def test_output_that_counts_failures_is_not_a_failure():
    first = await THREE.say("devops", brief("deploy the docs"))
    text = "exit 0\n12 passed\nfailed: 0"
    ended = await THREE.say("devops", brief("deploy the docs"), turn(first), results(first, text))
    assert used(ended)[0][1]["summary"] == "deploy docs is done: 12 passed; failed: 0"


async def test_the_verb_decides_between_two_that_know_the_object():
    path, _ = await travel(TWELVE, "test the landing page")
    assert path == ["ceo", "cto", "qa"]


async def test_asking_is_done_when_the_request_says_so():
    first = await THREE.say("ceo", "ask me whether it should be red or blue")
    ((name, arguments),) = used(first)
    assert name == "ask_human"
    assert arguments["options"] == ["it should be red", "blue"]
    assert arguments["kind"] == "choice"
    ended = await THREE.say("ceo", "ask me whether it should be red or blue", turn(first), results(first, "blue"))
    assert used(ended) == [("hand_off", {"summary": "The answer is: blue"})]


async def test_a_plain_answer_closes_a_request_and_the_next_words_open_one():
    first = await THREE.say("ceo", "hello")
    second = await THREE.say("ceo", "hello", turn(first), Message(role="user", text="deploy the docs"))
    assert [(a["to"], a["objective"]) for _, a in used(second)] == [("devops", "deploy the docs")]


@pytest.mark.parametrize("answer", ["ok", "Denied by Ana", '{"summary": "x"}', "{broken", "exit 1", ""])
@pytest.mark.parametrize("is_error", [True, False])
@pytest.mark.parametrize("role", ["ceo", "devops", "developer"])
@pytest.mark.parametrize(
    "words", ["deploy the docs and fix the bug", "hello", "write x to y.md", brief("deploy it"), "ask me"]
)
async def test_every_transcript_ends(words, role, answer, is_error):
    messages = [Message(role="user", text=words)]
    for _ in range(8):
        reply = await OfflineModel().reply(request(THREE.tools(role), *messages, role=role))
        if not reply.uses:
            assert reply.text
            return
        messages += [turn(reply), results(reply, *[answer] * len(reply.uses), is_error=is_error)]
    raise AssertionError(messages)


async def test_the_same_request_gets_the_same_reply_and_tokens_grow_with_the_text():
    one = await THREE.say("ceo", "deploy the docs")
    two = await THREE.say("ceo", "deploy the docs")
    longer = await THREE.say("ceo", "deploy the docs" + " please" * 100)
    assert one == two
    assert longer.usage.input_tokens > one.usage.input_tokens > 100
    assert one.usage.output_tokens > 0
    assert (one.model, one.usage.cost_microusd) == ("offline", 0)


# --- As the loader and the transcript really make them --------------------------------------------------------------


def renamed(directory, which, roles, commands):
    """The shipped example with other names for some roles and commands."""
    init(directory, which)
    manifest = directory / "agents" / "team.yaml"
    text = manifest.read_text()
    for old, new in roles.items():
        text = re.sub(rf"\b{old}\b", new, text).replace(f"folder: {new}", f"folder: {old}")
        soul = directory / "agents" / old / "SOUL.md"
        soul.write_text(soul.read_text().replace(f"id: {old}", f"id: {new}", 1))
    for old, new in commands.items():
        text = re.sub(rf"^  {old}:", f"  {new}:", text, flags=re.MULTILINE)
        text = re.sub(rf"(commands: \[.*?)\b{old}\b", rf"\1{new}", text)
    manifest.write_text(text)
    return load(directory, environ={})


def begun(objective, kind="request", said=(), **more):
    brief = Brief(objective=objective, kind=kind, **more)
    return begin_text(Begun(at_ms=0, brief=brief, definition="d", asked_by="You", said=said))


async def real_travel(team, words, role="ceo"):
    path, opening = [role], begun(words)
    for _ in range(5):
        opened = Message(role="user", text=opening)
        reply = await OfflineModel().reply(request(team.roles[role].specs, opened, role=role))
        if not reply.uses or reply.uses[0].name != "delegate":
            return path, reply
        arguments = reply.uses[0].arguments
        assert any(row.target == arguments["to"] and arguments["kind"] in row.kinds for row in team.targets(role))
        role, opening = arguments["to"], begun(arguments["objective"], arguments["kind"], requires_approval=True)
        path.append(role)
    raise AssertionError(path)


OTHER_ROLES = {"devops": "ops", "cto": "tech"}
OTHER_COMMANDS = {"deploy": "ship", "status": "state"}


@pytest.mark.parametrize(
    ("which", "roles", "commands", "words", "path", "command", "site"),
    [
        ("three", {}, {}, "deploy the landing page", ["ceo", "devops"], "deploy", "landing"),
        ("twelve", {}, {}, "publish the brochure", ["ceo", "cto", "devops"], "deploy", "landing"),
        ("twelve", {}, {}, "which version of the docs is live?", ["ceo", "cto", "devops"], "status", "docs"),
        ("twelve", OTHER_ROLES, OTHER_COMMANDS, "publish the brochure", ["ceo", "tech", "ops"], "ship", "landing"),
        ("twelve", OTHER_ROLES, OTHER_COMMANDS, "deploy the landing page", ["ceo", "tech", "ops"], "ship", "landing"),
        ("three", {"devops": "ops"}, {"deploy": "ship"}, "publish the brochure", ["ceo", "ops"], "ship", "landing"),
        ("three", {"devops": "ops"}, {"deploy": "ship"}, "deploy the docs", ["ceo", "ops"], "ship", "docs"),
    ],
)
async def test_it_travels_in_a_real_team(tmp_path, which, roles, commands, words, path, command, site):
    taken, reply = await real_travel(renamed(tmp_path, which, roles, commands), words)
    assert taken == path
    assert used(reply) == [("run_command", {"command": command, "args": {"site": site}})]


async def test_a_real_team_is_introduced(tmp_path):
    path, reply = await real_travel(renamed(tmp_path, "three", {}, {}), "hello")
    assert path == ["ceo"]
    assert reply.uses == ()
    assert "hands work to Developer (making or changing something); DevOps (putting something live)." in reply.text


async def test_what_was_said_earlier_is_not_the_request():
    said = (Said(speaker="You", text="deploy the docs"), Said(speaker="CEO", text="Done.", by_agent=True))
    reply = await THREE.say("ceo", begun("hello", said=said))
    assert reply.uses == ()


@pytest.mark.parametrize("said", [(), (Said(speaker="You", text="deploy the docs"),)])
async def test_what_is_remembered_is_not_the_request(said):
    memory = ("[m-1] 2027-01-15 Objective: deploy the docs",)
    begin = Begun(at_ms=0, brief=Brief(objective="hello"), definition="d", asked_by="You", said=said, memory=memory)
    reply = await THREE.say("ceo", begin_text(begin))
    assert reply.uses == ()


def ended(result):
    return child_text(ChildEnded(at_ms=0, call="c", child=TaskId("t-1"), role="devops", result=result))


async def test_real_handoffs_failures_and_questions_are_told():
    lead = await THREE.say("ceo", begun("deploy the docs"))

    async def told(result):
        text, is_error = ended(result)
        reply = await THREE.say("ceo", begun("deploy the docs"), turn(lead), results(lead, text, is_error=is_error))
        return used(reply)[0][1]

    whole = Handoff(summary="It is live.\nLook.", changed=("a", "b"), risks=("r",), next_needs=("n",), artifacts=("f",))
    assert await told(whole) == {
        "summary": "It is live.\nLook.",
        "changed": ["a", "b"],
        "risks": ["r"],
        "next_needs": ["n"],
        "artifacts": ["f"],
    }
    assert await told(Failure(what="deploy failed: exit 2", why="disk full", recovery="make room")) == {
        "summary": "Not done: devops: deploy failed: exit 2 Why: disk full",
        "next_needs": ["make room"],
    }
    assert (await told(PushBack(question="Which site?")))["summary"] == "Not done: devops asks first: Which site?"


async def test_a_handoff_refused_because_of_a_message_is_given_again_with_the_message():
    lead = await THREE.say("ceo", "deploy the docs")
    messages = [turn(lead), results(lead, "devops:\nIt is live.")]
    first = await THREE.say("ceo", "deploy the docs", *messages)
    messages += [
        turn(first),
        results(first, "FAILED: hand_off was not taken yet", is_error=True, heard="You adds: quick"),
    ]
    again = await THREE.say("ceo", "deploy the docs", *messages)
    ((name, arguments),) = used(again)
    assert name == "hand_off"
    assert arguments["summary"].startswith('It is live.\nHeard meanwhile, and not acted on: "You adds: quick"')
    messages += [turn(again), results(again, "FAILED: no", is_error=True)]
    assert (await THREE.say("ceo", "deploy the docs", *messages)).uses == ()
