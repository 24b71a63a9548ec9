"""A model without a key and without a network: it routes by the words of the manifest, and says that it is not clever.

It sees only what any model sees, the ModelRequest, so a renamed role or command changes nothing but the names it uses.
The same transcript always gets the same reply, and every transcript ends: one action (or one fan-out), then the result.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec

from core.adapters.models.overlap import (
    arguments_of,
    asks,
    best,
    described_values,
    kind_of,
    lines_of,
    score,
    stems,
    telling,
)
from core.adapters.models.results import Outcome, bounded, digested
from core.model.team import Json, ToolSpec
from core.model.work import Reply, Stop, ToolUse, Usage
from core.ports import Message, ModelRequest

MODEL = "offline"

_BYTES_PER_TOKEN = 4
_TURNS_MAX = 6  # assistant turns of one request; an honest transcript needs three
_ACTIONS_MAX = 6
_WORK = frozenset({"write_file", "run_command"})
_HANDOFFS_MAX = 2  # one may be refused because a message came in meanwhile
_TITLES_MAX = 12
_QUOTE_MAX = 300
_LABEL = re.compile(r"^[#*\s]*(?P<label>[A-Z][A-Za-z_ ]{2,30}?)\**:\**[ \t]*(?P<rest>.*)$")
_EARLIER = re.compile(r"^\s*(?:<(memory|earlier)>.*?</\1>\s*)+", re.DOTALL)
_BRIEF = re.compile(r"^Brief from [^\n]*\((?P<kind>[\w-]+)\)\s*$", re.MULTILINE)
_GATED = re.compile(r"^A person must approve\b")
_HEARD = re.compile(r"^\S[^\n:]{0,80} (?:adds|answers): ")
_KINDS = re.compile(r"Kinds:\s*([^.]*)\.\s*")
_OBJECTIVES = frozenset({"objective", "request", "task", "asked"})
_LABELS = _OBJECTIVES | {
    *(
        "kind",
        "context",
        "success criteria",
        "done when",
        "limits",
        "deadline",
        "asked by",
        "requires approval",
        "said",
    ),
    *("earlier", "earlier in this conversation", "success_criteria", "requires_approval", "asked_by"),
}
_FILE = r"(?P<file>[\w./-]*[\w-]\.\w{1,8})"
_WRITE = re.compile(
    rf"^(?:please\s+)?(?:write|save|note|put|draft)\b\s*(?P<text>.*?)\s*\b(?:to|in|into|as)\s+{_FILE}\W*$",
    re.IGNORECASE | re.DOTALL,
)
_NOTE = re.compile(
    r"^(?:please\s+)?(?:write|save|note|draft)\b\s*(?:down\s+)?(?:that\s+)?(?P<text>.+)$", re.IGNORECASE | re.DOTALL
)
_READ = re.compile(rf"\b(?:read|show|open)\b.*?\s{_FILE}", re.IGNORECASE | re.DOTALL)
_LIST = re.compile(r"\b(?:list|show|which)\b.*\bfiles\b", re.IGNORECASE | re.DOTALL)
_ASK = re.compile(r"\bask me\b[\s:,]*(?:whether\s+|if\s+|for\s+)?(?P<text>.*)$", re.IGNORECASE | re.DOTALL)
_QUESTION = re.compile(r"^(?:is|are|was|were|does|do|did|has|have|what|which|who|when|where|why|how)\b", re.IGNORECASE)
_POLITE = re.compile(r"^(?:please\s+)?(?:can|could|would|will)\s+(?:you|we)\b", re.IGNORECASE)
_READING = frozenset(
    {"say", "says", "show", "shows", "list", "lists", "tell", "report", "check", "look", "read", "print"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """What a transcript comes to: the request, what was done about it, what was said meanwhile."""

    objective: str
    kind: str
    meanwhile: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    turns: int
    last_text: str  # the model's own last words, if it has called no tool since

    @property
    def from_role(self) -> bool:
        """Work that another role handed on: its result must be a handoff."""
        return self.kind not in {"", "request"}


class OfflineModel:
    """A ModelProvider that chooses by word overlap. It keeps nothing between calls."""

    async def close(self) -> None:
        """It holds nothing."""

    async def reply(self, request: ModelRequest) -> Reply:
        """The next turn. It raises nothing and waits for nothing."""
        text, calls = _decide(request)
        turn = sum(1 for message in request.messages if message.role == "assistant")
        uses = tuple(
            ToolUse(id=f"offline-{turn}-{n}", name=name, arguments=args) for n, (name, args) in enumerate(calls)
        )
        written = _size(text) + sum(len(msgspec.json.encode(args)) for _, args in calls)
        usage = Usage(
            input_tokens=_request_size(request) // _BYTES_PER_TOKEN, output_tokens=written // _BYTES_PER_TOKEN + 1
        )
        return Reply(text=text, uses=uses, stop=Stop.TOOLS if uses else Stop.END, usage=usage, model=MODEL)


_Calls = list[tuple[str, dict[str, Json]]]


def _decide(request: ModelRequest) -> tuple[str, _Calls]:
    tools = {tool.name: tool for tool in request.tools}
    scene = _scene(request.messages)
    if scene.turns >= _TURNS_MAX:
        return _conclusion(scene)["summary"], []
    if scene.last_text and scene.from_role and "hand_off" in tools:
        return "", [("hand_off", _fit(tools["hand_off"], {"summary": scene.last_text}))]
    if scene.outcomes:
        refused = sum(1 for outcome in scene.outcomes if outcome.tool == "hand_off")
        return _end(scene, tools) if refused < _HANDOFFS_MAX else (_conclusion(scene)["summary"], [])
    calls = _asking(scene, tools) or _files(scene, tools) or _commands(scene, tools) or _delegations(scene, tools)
    if calls:
        return "", calls[:_ACTIONS_MAX]
    if scene.from_role and "hand_off" in tools:
        said = {
            "summary": f'Nothing was done about "{bounded(scene.objective, _QUOTE_MAX)}": no tool, command or '
            "colleague of this role matches its words, and the offline model does no work of its own.",
            "next_needs": ["A model with a key, or a request in the words of a command or of another role"],
        }
        return "", [("hand_off", _fit(tools["hand_off"], said))]
    return _introduction(request, tools), []


# --- Reading the transcript -----------------------------------------------------------------------------------------


def _scene(messages: tuple[Message, ...]) -> _Scene:
    """The newest request of the transcript: one that follows a plain answer opens a new one, unless a role asks."""
    start = 0
    kind = _labelled(messages[0].text)[1] if messages else ""
    if kind in {"", "request"}:
        for n in range(1, len(messages)):
            before = messages[n - 1]
            if messages[n].role == "user" and messages[n].text and before.role == "assistant" and not before.uses:
                start = n
    objective, _ = _labelled(messages[start].text) if messages else ("", "")
    named: dict[str, tuple[str, dict[str, Json]]] = {}
    outcomes: list[Outcome] = []
    meanwhile: list[str] = []
    turns, last_text = 0, ""
    for n, message in enumerate(messages[start:]):
        if message.role == "assistant":
            turns += 1
            named |= {use: (name, arguments) for use, name, arguments in message.uses}
            last_text = "" if message.uses else message.text
            continue
        for use, text, is_error in message.results:
            tool, arguments = named.get(use, ("", {}))
            outcomes.append(Outcome(tool=tool, arguments=arguments, text=text, is_error=is_error))
        if n:  # the rest is the engine's own, about the form of a reply
            meanwhile += [said for said in message.text.split("\n\n") if _HEARD.match(said)]
    return _Scene(
        objective=objective,
        kind=kind,
        meanwhile=tuple(meanwhile),
        outcomes=tuple(outcomes),
        turns=turns,
        last_text=last_text,
    )


def _labelled(text: str) -> tuple[str, str]:
    """The objective and the kind out of a brief's labelled lines; a text without labels is its own objective."""
    text = _EARLIER.sub("", text)
    header = _BRIEF.search(text)
    parts: dict[str, list[str]] = {}
    label = ""
    for line in text.splitlines():
        match = _LABEL.match(line)
        if header and _GATED.match(line):
            continue
        if match and match["label"].strip().lower() in _LABELS:
            label = match["label"].strip().lower()
            parts[label] = [match["rest"]]
        else:
            parts.setdefault(label, []).append(line)
    objective = next((parts[label] for label in parts if label in _OBJECTIVES), None)
    kind = header["kind"] if header else "\n".join(parts.get("kind", ())).strip().partition("\n")[0].strip(" .")
    whole = text if objective is None else "\n".join(objective)
    return whole.strip(), kind


# --- Choosing -------------------------------------------------------------------------------------------------------


def _asking(scene: _Scene, tools: dict[str, ToolSpec]) -> _Calls:
    """The person wants to be asked."""
    match = _ASK.search(scene.objective)
    if not match or "ask_human" not in tools:
        return []
    question = match["text"].strip(" .") or "What would you like?"
    options = [option.strip(" ,.?") for option in re.split(r"\s+or\s+|,\s*", question.rpartition(":")[2] or question)]
    options = [option for option in options if option] if " or " in question else []
    said = {"question": question.rstrip("?") + "?", "options": options, "why": "The request says to ask."}
    said["kind"] = "choice" if options else "question"
    return [("ask_human", _fit(tools["ask_human"], said))]


def _files(scene: _Scene, tools: dict[str, ToolSpec]) -> _Calls:
    """The request names a file to read or to write."""
    words = scene.objective
    if "write_file" in tools and (match := _WRITE.match(words) or _NOTE.match(words)):
        text = match["text"].strip(" :\"'") or words
        path = match.groupdict().get("file") or "-".join(telling(text.lower())[:4] or ["note"]) + ".md"
        return [("write_file", _fit(tools["write_file"], {"path": path, "content": text + "\n"}))]
    if "read_file" in tools and (match := _READ.search(words)):
        return [("read_file", _fit(tools["read_file"], {"path": match["file"]}))]
    if "list_files" in tools and _LIST.search(words):
        return [("list_files", _fit(tools["list_files"], {}))]
    return []


def _commands(scene: _Scene, tools: dict[str, ToolSpec]) -> _Calls:
    """A command shares words with the request. A question is only ever answered by a command that looks."""
    spec = tools.get("run_command")
    if spec is None:
        return []
    lines = {name: f"{line} {_declared_words(spec, line)}" for name, line in _described(spec, "command").items()}
    question = bool(_QUESTION.match(scene.objective)) and not _POLITE.match(scene.objective)
    if question:
        lines = {name: line for name, line in lines.items() if _looks(line)}
    whole = best(scene.objective, lines)
    if whole is None:
        return []
    calls: _Calls = []
    for ask in re.split(r"\s+and\s+|\s*;\s*", scene.objective):
        command = best(ask, lines)
        if command is None:
            continue
        heads = {name: line.partition("args:")[0] for name, line in lines.items()}
        if not score(stems(ask), f"{command} {heads[command]}"):  # only its object is named: the verb was said before
            command = str(calls[-1][1]["command"]) if calls else whole
        call = ("run_command", {"command": command, "args": _arguments(spec, lines[command], ask)})
        if call not in calls:
            calls.append(call)
    return calls


def _arguments(spec: ToolSpec, line: str, ask: str) -> dict[str, Json]:
    """One of the allowed values for each argument: the one the request speaks of, else the first; none where there is
    a default.
    """
    declared = _declared(spec, line)
    options = arguments_of(line) or {
        name: described_values([str(value) for value in schema["enum"]], str(schema.get("description", "")))
        for name, schema in declared.items()
        if schema.get("enum")
    }
    chosen = {name: best(ask, values) for name, values in options.items()}
    needed = {name: next(iter(options[name])) for name in options if "default" not in declared.get(name, {})}
    return needed | {name: value for name, value in chosen.items() if value}


def _declared(spec: ToolSpec, line: str) -> dict[str, dict[str, Json]]:
    """The schemas of the arguments that a command's line names."""
    args = spec.parameters.get("properties", {}).get("args", {})
    properties = args.get("properties", {}) if isinstance(args, dict) else {}
    schemas = {name: schema for name, schema in properties.items() if isinstance(schema, dict)}
    named = re.findall(r"\w+", line.partition("args:")[2])
    return {name: schema for name, schema in schemas.items() if name in named} if "args:" in line else {}


def _declared_words(spec: ToolSpec, line: str) -> str:
    texts = [(str(schema.get("description", "")), schema.get("enum", ())) for schema in _declared(spec, line).values()]
    return " ".join(f"{about} {' '.join(map(str, values))}" for about, values in texts)


def _delegations(scene: _Scene, tools: dict[str, ToolSpec]) -> _Calls:
    """Whoever shares the most words gets the work; several asks for several roles go out side by side."""
    spec = tools.get("delegate")
    works = bool(tools.keys() & _WORK)
    if spec is None or (works and scene.from_role):  # who works does not pass on what it was handed
        return []
    lines = {name: f"{line} {' '.join(_kinds(spec, name, line))}" for name, line in _described(spec, "to").items()}
    if works:  # and passes on what a person says only if it clearly is for another
        lines = {name: line for name, line in lines.items() if score(stems(scene.objective), line) > 1}
    shares: dict[str, list[str]] = {}
    target: str | None = None
    for ask in asks(scene.objective):
        target = best(ask, lines) or target
        if target:
            shares.setdefault(target, []).append(ask)
    if len(shares) == 1 or not shares:  # one target, chosen by all the words
        only = best(scene.objective, lines) or _by_kind(spec, lines, scene.kind)
        shares = {only: [scene.objective]} if only else {}
    calls: _Calls = []
    for name, parts in shares.items():
        objective = " and ".join(parts)
        said: dict[str, Json] = {"to": name, "objective": objective}
        kinds = _kinds(spec, name, lines[name]) or spec.parameters["properties"].get("kind", {}).get("enum", [])
        when = _KINDS.sub("", lines[name].partition("Reaches:")[0])
        kind = scene.kind if scene.kind in kinds else kind_of(stems(objective), kinds, when)
        if kind:
            said["kind"] = kind
        if "approv" in " ".join(stems(objective)):
            said["requires_approval"] = True
        calls.append(("delegate", _fit(spec, said)))
    return calls


def _by_kind(spec: ToolSpec, lines: dict[str, str], kind: str) -> str | None:
    return next((name for name, line in lines.items() if kind and kind in _kinds(spec, name, line)), None)


def _kinds(spec: ToolSpec, target: str, line: str) -> list[str]:
    """The kinds one may hand to `target`, out of its line or of the description of `kind`; none, if neither says."""
    schema = spec.parameters.get("properties", {}).get("kind", {})
    allowed = [str(kind) for kind in schema.get("enum", ())]
    rows = re.split(r"[;\n]", str(schema.get("description", "")))
    said = _KINDS.search(line)
    found: list[str] = [kind for kind in re.findall(r"[\w-]+", said[1]) if kind in allowed] if said else []
    for row in () if said else rows:
        head, colon, tail = row.partition(":")
        if not colon:
            head, tail = row, row
        words, heads = re.findall(r"[\w-]+", tail), re.findall(r"[\w-]+", head)
        if target in heads:
            found += [kind for kind in words if kind in allowed]
        elif target in words:
            found += [kind for kind in heads if kind in allowed]
    return found


def _described(spec: ToolSpec, name: str) -> dict[str, str]:
    schema = spec.parameters.get("properties", {}).get(name, {})
    about = str(schema.get("description", "")) or spec.about
    return lines_of([str(value) for value in schema.get("enum", ())], about)


def _looks(line: str) -> bool:
    return line.split(" ", 1)[0].lower().strip(".,:;") in _READING


# --- Ending ---------------------------------------------------------------------------------------------------------


def _end(scene: _Scene, tools: dict[str, ToolSpec]) -> tuple[str, _Calls]:
    said = _conclusion(scene)
    if "hand_off" in tools:
        return "", [("hand_off", _fit(tools["hand_off"], said))]
    return str(said["summary"]), []


def _conclusion(scene: _Scene) -> dict[str, Json]:
    """All outcomes in one handoff; what failed is said to have failed."""
    told = [digested(outcome) for outcome in scene.outcomes if outcome.tool != "hand_off"]
    paragraphs = [handoff.summary for handoff in told if handoff.summary]
    paragraphs += [
        f'Heard meanwhile, and not acted on: "{bounded(text, _QUOTE_MAX)}". Say it again if it is still wanted.'
        for text in scene.meanwhile
    ]
    summary = "\n".join(dict.fromkeys(paragraphs)) or scene.last_text or "Nothing was done."
    return {
        "summary": summary,
        "changed": list(dict.fromkeys(line for handoff in told for line in handoff.changed)),
        "next_needs": list(dict.fromkeys(line for handoff in told for line in handoff.next_needs)),
        "risks": list(dict.fromkeys(line for handoff in told for line in handoff.risks)) + _composed_nothing(scene),
        "artifacts": list(dict.fromkeys(line for handoff in told for line in handoff.artifacts)),
    }


def _composed_nothing(scene: _Scene) -> list[str]:
    """The warning that a file whose name nobody gave holds no more than the request's own words."""
    paths = [str(outcome.arguments.get("path", "")) for outcome in scene.outcomes if outcome.tool == "write_file"]
    if all(path in scene.objective for path in paths):
        return []
    return ["The file holds the words of the request: the offline model composes nothing"]


def _introduction(request: ModelRequest, tools: dict[str, ToolSpec]) -> str:
    """Who is here and what can be asked, in one paragraph."""
    me = "You are talking to the offline model: no key, no network, and it only matches words."
    if "run_command" in tools:
        lines = list(_described(tools["run_command"], "command").items())[:_TITLES_MAX]
        what = "; ".join(f"{name} ({line.partition('; args:')[0].strip(' .;')})" for name, line in lines)
        return f"{me} This role can run {what}."
    if "delegate" in tools:
        lines = list(_described(tools["delegate"], "to").items())[:_TITLES_MAX]
        who = "; ".join(f"{_title(name, line)}" for name, line in lines)
        return f"{me} It hands work to {who}. Say what you want in those words, and it goes to the right one."
    names = ", ".join(tool.name for tool in request.tools) or "no tools"
    return f"{me} This role has {names}."


def _title(name: str, line: str) -> str:
    """`CTO (anything technical)`: the title, and the first words of when it is asked."""
    title, _, when = re.sub(r"\s\([^)]*\)", "", _KINDS.sub("", line).partition("Reaches:")[0], count=1).partition(". ")
    first = re.split(r"[:;,.]", when.strip(), maxsplit=1)[0].strip()
    return f"{title.strip(' .') or name} ({first})" if first else title.strip(" .") or name


# --- Fitting a schema -----------------------------------------------------------------------------------------------

_ALIASES = {"path": ("file", "name"), "content": ("text", "body"), "question": ("text",), "objective": ("brief",)}
_EMPTY: dict[str, Json] = {"string": "", "array": [], "boolean": False, "object": {}, "integer": 0, "number": 0}


def _fit(spec: ToolSpec, said: dict[str, Json]) -> dict[str, Json]:
    """Arguments the schema allows: unknown and empty ones are left out, required ones that are missing are empty."""
    properties = spec.parameters.get("properties", {})
    fitted: dict[str, Json] = {}
    for name, value in said.items():
        slot = next((alias for alias in (name, *_ALIASES.get(name, ())) if alias in properties), None)
        if slot is None or value in ([], "", None):
            continue
        allowed = properties[slot].get("enum")
        if allowed is None or value in allowed:
            fitted[slot] = value
    for name in spec.parameters.get("required", ()):
        schema = properties.get(name, {})
        fitted.setdefault(name, schema["enum"][0] if schema.get("enum") else _EMPTY.get(schema.get("type", ""), ""))
    return fitted


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _request_size(request: ModelRequest) -> int:
    size = sum(_size(part.text) for part in request.system)
    size += sum(_size(tool.about) + len(msgspec.json.encode(tool.parameters)) for tool in request.tools)
    for message in request.messages:
        size += _size(message.text) + sum(_size(text) for _, text, _ in message.results)
        size += sum(len(msgspec.json.encode(arguments)) for _, _, arguments in message.uses)
    return size
