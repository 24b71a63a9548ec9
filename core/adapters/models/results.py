"""Tool results, read by a model that cannot read: into a handoff. What failed is never called done."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import msgspec

from core.model.team import Json
from core.model.work import Handoff

_SUMMARY_MAX = 1500
_LINES_MAX = 4
_TAG = re.compile(r"</?[A-Za-z][\w-]*(?:\s[^<>]*)?>")
_EXIT = re.compile(r"\bexit(?:ed|\s+code|\s+status)?(?:\s+with)?[\s:=]*(\d+)", re.IGNORECASE)
_STATUS_LINE = re.compile(r"^\W*(?:ran|runs|exit|finished|output|stdout|took)\b", re.IGNORECASE)
_RAN = re.compile(r"^\s*(?:ran|runs)\s+(.*)$", re.IGNORECASE | re.MULTILINE)
_ASKS = re.compile(r"^(?P<role>\S+) asks first \([^)]*\): (?P<question>.*)$", re.DOTALL)
_SPEAKER = re.compile(r"\A[\w.-]+:\n")
_BAD = re.compile(
    r"^\W*(?:denied|refused|failed|failure|not done|not allowed|error|expired|withdrawn|timed out)\b", re.IGNORECASE
)
_LABEL = re.compile(r"^[#*\s-]*(?P<label>[A-Za-z][A-Za-z_ ]{1,24}?)\**:\**[ \t]*(?P<rest>.*)$")
_FIELDS = {
    "summary": "summary",
    "result": "summary",
    "changed": "changed",
    "what changed": "changed",
    "next needs": "next_needs",
    "next_needs": "next_needs",
    "the next needs": "next_needs",
    "next": "next_needs",
    "risks": "risks",
    "risk": "risks",
    "artifact": "artifacts",
    "artifacts": "artifacts",
    "files": "artifacts",
    "what": "what",
    "failed": "what",
    "what failed": "what",
    "why": "why",
    "recovery": "recovery",
    "recover": "recovery",
    "to recover": "recovery",
    "degraded": "degraded",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One call of the transcript and what it came to."""

    tool: str
    arguments: dict[str, Json] = field(default_factory=dict)
    text: str
    is_error: bool


def bounded(text: str, n: int) -> str:
    """One line of at most `n` characters."""
    line = " ".join(text.split())
    return line if len(line) <= n else line[: n - 1] + "…"


def digested(outcome: Outcome) -> Handoff:
    """What the call came to, as one would hand it on."""
    text = _TAG.sub("", outcome.text).strip()
    if outcome.tool == "delegate":
        if asks := _ASKS.match(text):
            question = bounded(asks["question"], 600)
            return Handoff(summary=f"Not done: {asks['role']} asks first: {question}", next_needs=(question,))
        text = _SPEAKER.sub("", text)
    found = _fields(text) if outcome.is_error or outcome.tool == "delegate" else {}
    if outcome.is_error or found.get("what") or _went_wrong(outcome, text):
        return _failed(outcome, text, found)
    summary = "\n".join(found.get("summary", ())) or _told(outcome, text)
    changed = found.get("changed", ())
    if not changed and outcome.tool in {"run_command", "write_file"}:
        changed = (_deed(outcome, text),)
    artifacts = found.get("artifacts", ())
    if not artifacts and outcome.tool == "write_file":
        artifacts = (_path(outcome),)
    return Handoff(
        summary=summary[:_SUMMARY_MAX],
        changed=changed,
        next_needs=found.get("next_needs", ()),
        risks=found.get("risks", ()),
        artifacts=artifacts,
    )


def _failed(outcome: Outcome, text: str, found: dict[str, tuple[str, ...]]) -> Handoff:
    what = " ".join(found.get("what", ())) or bounded(text, 600) or "no reason was given"
    why = " ".join(found.get("why", ()))
    summary = f"Not done: {_name(outcome)}: {what}" + (f" Why: {why}" if why else "")
    recovery = found.get("recovery", ()) or ("Change what stands in the way, or the request, and ask again",)
    return Handoff(summary=summary[:_SUMMARY_MAX], next_needs=recovery, risks=found.get("risks", ()))


def _told(outcome: Outcome, text: str) -> str:
    """A result that is no handoff, in a sentence or two."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if not _STATUS_LINE.match(line) and not _EXIT.search(line)]
    match outcome.tool:
        case "read_file":
            return f"{_path(outcome)} says:\n{text[: _SUMMARY_MAX - 200]}"
        case "list_files":
            return text or "There are no files."
        case "write_file":
            return f"Wrote {_path(outcome)}."
        case "ask_human":
            return f"The answer is: {bounded(text, 600)}"
        case "run_command":
            said = "; ".join(lines[:_LINES_MAX])
            return f"{_name(outcome)} is done" + (f": {bounded(said, 600)}" if said else ".")
        case _:
            return text or f"{_name(outcome)} is done."


def _deed(outcome: Outcome, text: str) -> str:
    if outcome.tool == "write_file":
        return f"Wrote {_path(outcome)}"
    ran = _RAN.search(text)  # as it really ran: a person may have edited the arguments
    return f"Ran {bounded(ran[1], 200)}" if ran else f"Ran {_name(outcome)}"


def _name(outcome: Outcome) -> str:
    """What was called, as a person would say it: `deploy landing`, `devops`, `write_file`."""
    if outcome.tool == "run_command":
        args = outcome.arguments.get("args")
        values = [str(value) for value in args.values()] if isinstance(args, dict) else []
        return " ".join([str(outcome.arguments.get("command", "the command")), *values])
    if outcome.tool == "delegate":
        return str(outcome.arguments.get("to", "the other role"))
    return outcome.tool or "the call"


def _path(outcome: Outcome) -> str:
    return str(next((outcome.arguments[k] for k in ("path", "file", "name") if k in outcome.arguments), "the file"))


def _went_wrong(outcome: Outcome, text: str) -> bool:
    """Whether a result that is not marked as an error tells of one. A file may say anything: that is no error."""
    if outcome.tool in {"read_file", "list_files"}:
        return False
    code = _EXIT.search(text) if outcome.tool == "run_command" else None
    return bool(_BAD.match(text)) or bool(code and code[1].strip("0"))


def _fields(text: str) -> dict[str, tuple[str, ...]]:
    """A handoff's or a failure's fields, out of JSON or out of labelled lines; anything else has none."""
    if text.startswith("{"):
        try:
            decoded = msgspec.json.decode(text)
        except msgspec.DecodeError:
            decoded = None
        if isinstance(decoded, dict):
            known = {_FIELDS[str(k)]: v for k, v in decoded.items() if k in _FIELDS}
            return {name: tuple(map(str, v)) if isinstance(v, list) else (str(v),) for name, v in known.items() if v}
    found: dict[str, list[str]] = {}
    current = found.setdefault("summary", [])
    for line in text.splitlines():
        match = _LABEL.match(line)
        name = _FIELDS.get(match["label"].strip().lower()) if match else None
        if match and name:
            current = found.setdefault(name, [])
            line = match["rest"]  # noqa: PLW2901 - the label is dealt with, what follows it is an item
        item = line.strip().lstrip("-*• ").strip()
        if item and item.lower() not in {"none", "none."}:
            current.append(item)
    return {name: tuple(items) for name, items in found.items() if items}
