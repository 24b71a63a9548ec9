"""What people write, as data: the shape of team.yaml, presets and front matter, and the reader that keeps their lines.

Law: one reading finds every error of a file, each with its line and with what was expected. The structs below are the
whole grammar: a key without a default is required, an unknown key is an error, and the words of every error are derived
from them. msgspec, because importing pydantic takes longer than loading a whole team. No aliases, no tags, no duplicate
keys: what you see is what is read.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
import yaml
from msgspec import Meta
from msgspec import inspect as shapes

from agents.rows import MOST, Amount, Count, Name, PolicyRow, Positive
from agents.servers import ServerRow
from core.model.errors import ConfigError
from core.model.team import Json

BYTES_MAX = 1_000_000
DEPTH_MAX = 30
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STANDARD = "tag:yaml.org,2002:"
_PLAIN = {"str", "int", "float", "bool", "null", "timestamp", "map", "seq"}


class DigestRow(msgspec.Struct, frozen=True, kw_only=True):
    at: str
    to: str


class HeadRow(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    zone: str = "UTC"
    lead: Name
    preset: Name = "claude"
    digest: DigestRow | None = None


class PersonRow(msgspec.Struct, frozen=True, kw_only=True):
    id: Name
    name: str
    role: Literal["owner", "approver", "member", "viewer"]
    zone: str = ""
    accounts: tuple[str, ...] = ()
    quiet: str = ""
    quiet_days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = ()


class HoldersRow(msgspec.Struct, frozen=True, kw_only=True):
    """Which of a platform's own roles make somebody what."""

    owner: tuple[str, ...] = ()
    approver: tuple[str, ...] = ()


class ToolsRow(msgspec.Struct, frozen=True, kw_only=True):
    allow: tuple[str, ...]
    deny: tuple[str, ...] = ()


class CallBudget(msgspec.Struct, frozen=True, kw_only=True):
    input: Positive = 32_000
    output: Positive = 4_000


class TaskBudget(msgspec.Struct, frozen=True, kw_only=True):
    tokens: Count = 50_000
    calls: Count = 10


class DayBudget(msgspec.Struct, frozen=True, kw_only=True):
    tokens: Count = 500_000
    usd: Amount = 5.0


class BudgetRow(msgspec.Struct, frozen=True, kw_only=True):
    call: CallBudget = CallBudget()
    task: TaskBudget = TaskBudget()
    day: DayBudget = DayBudget()
    hard_stop: bool = True


class PermissionsRow(msgspec.Struct, frozen=True, kw_only=True):
    can_deploy: bool = False
    can_merge: bool = False
    requires_review: bool = False


class ReachRow(msgspec.Struct, frozen=True, kw_only=True):
    """What its tools may reach and use."""

    egress: tuple[str, ...] = ()
    credentials: tuple[str, ...] = ()
    memory_mb: Annotated[int, Meta(ge=64, le=MOST)] = 512
    cpu_seconds: Positive = 120


class ToolRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a team says of a tool; what is left out stays as the tool has it. Its tier can only be made stricter. The
    last four are for tools that the team wrote itself (agents/written.py has what holds without them).
    """

    tier: Literal["read", "internal", "external", "financial", "infrastructure"] | None = None
    per_minute_max: Positive | None = None
    concurrency_max: Positive | None = None
    seconds_max: Positive | None = None
    on_demand: bool | None = None
    effect: Literal["read", "idempotent", "queryable", "once"] | None = None
    resource: str | None = None
    says: str | None = None
    untrusted: bool | None = None


class RoleRow(msgspec.Struct, frozen=True, kw_only=True):
    id: Name
    folder: Name | None = None
    reports_to: Name | None
    tools: ToolsRow
    commands: tuple[str, ...] = ()
    complexity: Literal["triage", "work", "deep"] = "work"
    concurrency_max: Positive = 2
    batch_max: Positive = 4
    task_seconds_max: Positive = 900
    budget: BudgetRow = BudgetRow()
    permissions: PermissionsRow = PermissionsRow()
    escalates_to: tuple[str, ...] = ()
    reach: ReachRow = ReachRow()
    skills: tuple[Name, ...] = ()
    judged_by: Name | None = None


class HandRow(msgspec.Struct, frozen=True, kw_only=True):
    """`from: a, to: b`."""

    source: Name = msgspec.field(name="from")
    target: Name = msgspec.field(name="to")
    kinds: Annotated[tuple[Name, ...], Meta(min_length=1)]
    when: str = ""


class CommandRow(msgspec.Struct, frozen=True, kw_only=True):
    argv: Annotated[tuple[str, ...], Meta(min_length=1)]
    about: str = ""
    args: dict[str, Json] = {}
    tier: Literal["read", "internal", "external", "financial", "infrastructure"] = "infrastructure"
    effect: Literal["read", "idempotent", "queryable", "once"] = "once"
    resource: str = ""
    says: str = ""
    seconds_max: Positive = 120
    untrusted: bool = False


class MemoryRow(msgspec.Struct, frozen=True, kw_only=True):
    """How long what is kept, how much of it is shown, who reads the board, and who may keep what is about people."""

    notes_hours: Positive = 24
    in_view_max: Annotated[int, Meta(ge=0, le=500)] = 50
    superseded_days: Positive = 90
    bulletin: tuple[str, ...] = ()
    clearance: dict[str, Literal["public", "internal", "personal"]] = {}


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    version: Literal[1]
    team: HeadRow
    people: tuple[PersonRow, ...] = ()
    platform_roles: dict[str, HoldersRow] = {}
    roles: Annotated[tuple[RoleRow, ...], Meta(min_length=1)]
    teams: dict[str, tuple[str, ...]] = {}
    matrix: tuple[HandRow, ...] = ()
    channels: dict[str, Name] = {}
    commands: dict[str, CommandRow] = {}
    tools: dict[str, ToolRow] = {}
    repos: dict[str, str] = {}
    servers: dict[str, ServerRow] = {}
    kinds: dict[str, tuple[Name, ...]] = {}
    memory: MemoryRow = MemoryRow()
    policy: PolicyRow = PolicyRow()


class ModelRow(msgspec.Struct, frozen=True, kw_only=True):
    provider: Literal["anthropic", "openai", "offline", "scripted"]
    model: str
    input_usd_per_mtok: Amount = 0.0
    output_usd_per_mtok: Amount = 0.0
    cache_read_usd_per_mtok: Amount = 0.0
    cache_write_usd_per_mtok: Amount = 0.0
    window_tokens: Positive = 200_000
    output_tokens_max: Positive = 8_192
    thinking_tokens: Count = 0
    base_url: str = ""


class ComplexityRow(msgspec.Struct, frozen=True, kw_only=True):
    triage: ModelRow
    work: ModelRow
    deep: ModelRow


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    version: Literal[1]
    prices_as_of: str = ""
    models: ComplexityRow
    roles: dict[str, ModelRow] = {}


class Front(msgspec.Struct, frozen=True, kw_only=True):
    """The front matter of a SOUL. `model` only echoes what the preset decides."""

    id: Name
    name: str
    role: str
    department: str = ""
    model: str = ""


# --- The reader -----------------------------------------------------------------------------------------------------

T = TypeVar("T")
Path_ = tuple[str | int, ...]


class Document(Generic[T]):
    """A file as read: its value (None when a required part is missing or wrong), its errors, its lines."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.value: T | None = None
        self.errors: list[ConfigError] = []
        self.lines: dict[Path_, int] = {}

    def line(self, *path: str | int) -> int:
        """The line of the nearest thing written on the way to `path`; 0 when there is none."""
        while path not in self.lines and path:
            path = path[:-1]
        return self.lines.get(path, 0)

    def fail(self, what: str, expected: str, *path: str | int) -> None:
        """Note an error at the line of `path`."""
        self.errors.append(ConfigError(what, file=self.file, line=self.line(*path), expected=expected))


def read_file(path: Path, file: str, shape: type[T]) -> Document[T]:
    """Read YAML or JSON; a file that cannot be read is an error of the document. `file` is the name errors show."""
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8")
    except OSError as error:
        missing = isinstance(error, FileNotFoundError) and path.name == "team.yaml"
        expected = "a workspace: `signoff init DIR` makes one" if missing else "a readable file"
        return _refused(file, f"cannot be read ({error.strerror})", expected)
    except UnicodeDecodeError:
        return _refused(file, "is not UTF-8", "text in UTF-8")
    if len(raw) > BYTES_MAX:
        return _refused(file, f"has {len(raw)} bytes", f"at most {BYTES_MAX}")
    return read(text, file, shape)


def read(text: str, file: str, shape: type[T], *, lines_before: int = 0) -> Document[T]:
    """Read YAML or JSON text that starts after `lines_before` lines of its file."""
    document: Document[T] = Document(file)
    try:
        _bound(text)
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        document.lines[()] = lines_before + (mark.line + 1 if mark else 1)
        document.fail(f"not YAML ({error.problem or error.context})", "YAML with two spaces for each level")
        return document
    except yaml.YAMLError as error:
        document.lines[()] = lines_before + 1
        document.fail(f"not YAML ({type(error).__name__})", "plain text and few levels")
        return document
    if node is None:
        document.lines[()] = lines_before + 1
        document.fail("it is empty", _expected(shapes.type_info(shape)))
        return document
    value = _Reader(document, lines_before).value(node, shapes.type_info(shape), ())
    document.value = None if value is _BAD else value
    return document


def _bound(text: str) -> None:
    """Refuse what is too deep: libyaml's composer recurses in C and would take the process with it."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH_MAX:
            mark: Any = event.start_mark  # libyaml has a Mark of its own
            raise yaml.MarkedYAMLError(problem=f"more than {DEPTH_MAX} levels", problem_mark=mark)


def _refused(file: str, what: str, expected: str) -> Document[Any]:
    document: Document[Any] = Document(file)
    document.fail(what, expected)
    return document


def _keys(shape: Any) -> str:
    return "the keys " + ", ".join(field.encode_name for field in msgspec.structs.fields(shape))


_BAD: Any = object()
"""In place of a value that has an error, which is already noted."""


class _Reader:
    def __init__(self, document: Document[Any], lines_before: int) -> None:
        self._document = document
        self._before = lines_before
        self._seen: set[int] = set()
        self._plain = yaml.constructor.SafeConstructor()

    def value(self, node: yaml.Node, kind: shapes.Type, path: Path_) -> Any:
        """Read a node as what `kind` says, or note why it is not that."""
        self._document.lines.setdefault(path, self._before + node.start_mark.line + 1)
        if id(node) in self._seen:
            return self._bad("an alias (*name)", "the value itself, written out", path)
        self._seen.add(id(node))
        if node.tag.removeprefix(_STANDARD) not in _PLAIN:
            return self._bad(f"a tag ({node.tag.removeprefix(_STANDARD)})", "plain YAML without tags", path)
        match kind:
            case shapes.UnionType(types=types):
                if node.tag == f"{_STANDARD}null":
                    return None
                self._seen.discard(id(node))
                return self.value(node, _meant(node, types), path)
            case shapes.StructType():
                return self._struct(node, kind, path)
            case shapes.VarTupleType():
                return self._list(node, kind, path)
            case shapes.DictType():
                return self._dict(node, kind.value_type, path)
            case shapes.AnyType():
                return self._anything(node, path)
            case _:
                return self._scalar(node, kind, path)

    def _bad(self, what: str, expected: str, path: Path_) -> Any:
        name = next((part for part in reversed(path) if isinstance(part, str)), "")
        self._document.fail(f"{name}: {what}" if name else what, expected, *path)
        return _BAD

    def _items(self, node: yaml.Node, path: Path_) -> dict[str, yaml.Node]:
        items: dict[str, yaml.Node] = {}
        for key, below in node.value:
            self._document.lines[*path, str(key.value)] = self._before + key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode) or key.tag != f"{_STANDARD}str":
                self._bad(f"{key.value!r} as a key", "text; put it in quotes", (*path, str(key.value)))
            elif key.value in items:
                self._bad("is there twice", "each key once", (*path, key.value))
            else:
                items[key.value] = below
        return items

    def _struct(self, node: yaml.Node, kind: shapes.StructType, path: Path_) -> Any:
        if not isinstance(node, yaml.MappingNode):
            return self._bad(_shown(node), _keys(kind.cls), path)
        items = self._items(node, path)
        values: dict[str, Any] = {}
        whole = True
        for field in kind.fields:
            below = items.pop(field.encode_name, None)
            if below is not None:
                value = self.value(below, field.type, (*path, field.encode_name))
                if value is not _BAD:
                    values[field.name] = value
                    continue
            elif field.required:
                self._bad(f"{field.encode_name} is missing", _expected(field.type), path)
            whole = whole and not field.required
        for key in items:
            self._bad("unknown key", _keys(kind.cls), (*path, key))
        return kind.cls(**values) if whole else _BAD

    def _list(self, node: yaml.Node, kind: shapes.VarTupleType, path: Path_) -> Any:
        if not isinstance(node, yaml.SequenceNode):
            return self._bad(_shown(node), _expected(kind), path)
        if len(node.value) < (kind.min_length or 0):
            return self._bad("an empty list", f"at least {kind.min_length}", path)
        values = [self.value(below, kind.item_type, (*path, n)) for n, below in enumerate(node.value)]
        return _BAD if _BAD in values else tuple(values)

    def _dict(self, node: yaml.Node, kind: shapes.Type, path: Path_) -> Any:
        if not isinstance(node, yaml.MappingNode):
            return self._bad(_shown(node), "a mapping, name: value", path)
        items = self._items(node, path).items()
        values = {key: self.value(below, kind, (*path, key)) for key, below in items}
        return _BAD if any(value is _BAD for value in values.values()) else values

    def _anything(self, node: yaml.Node, path: Path_) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self._dict(node, shapes.AnyType(), path)
        if isinstance(node, yaml.SequenceNode):
            values = self._list(node, shapes.VarTupleType(shapes.AnyType()), path)
            return values if values is _BAD else list(values)  # as JSON has it
        try:
            value = self._plain.construct_object(node)
        except (yaml.YAMLError, ValueError):
            return self._bad(_shown(node), "text, a number, true, false or null", path)
        if isinstance(value, float) and not math.isfinite(value):
            return self._bad(_shown(node), "a number that ends", path)
        if value is None or isinstance(value, str | int | float):
            return value
        return self._bad(_shown(node), "text; put it in quotes", path)

    def _scalar(self, node: yaml.Node, kind: shapes.Type, path: Path_) -> Any:
        value = self._anything(node, path) if isinstance(node, yaml.ScalarNode) else _BAD
        if value is _BAD and isinstance(node, yaml.ScalarNode):
            return _BAD
        try:
            return msgspec.convert(value, _TYPES[type(kind)](kind), strict=True)
        except (msgspec.ValidationError, TypeError):
            return self._bad(_shown(node), _expected(kind), path)


def _meant(node: yaml.Node, types: tuple[shapes.Type, ...]) -> shapes.Type:
    """Of several types, the one that is written as this node is; the first, where none is."""
    some = [kind for kind in types if not isinstance(kind, shapes.NoneType)]
    return next((kind for kind in some if _is_written_so(node, kind)), some[0])


def _is_written_so(node: yaml.Node, kind: shapes.Type) -> bool:
    match kind:
        case shapes.VarTupleType():
            return isinstance(node, yaml.SequenceNode)
        case shapes.StructType():
            return isinstance(node, yaml.MappingNode)
        case _:
            flag = node.tag == f"{_STANDARD}bool"
            return isinstance(node, yaml.ScalarNode) and isinstance(kind, shapes.BoolType) == flag


def _bounded(plain: type) -> Any:
    def build(kind: Any) -> Any:
        bounds = {name: getattr(kind, name, None) for name in ("ge", "gt", "le", "pattern")}
        return Annotated[plain, Meta(**{name: bound for name, bound in bounds.items() if bound is not None})]

    return build


_TYPES: dict[type, Any] = {
    shapes.StrType: _bounded(str),
    shapes.IntType: _bounded(int),
    shapes.FloatType: _bounded(float),
    shapes.BoolType: lambda _: bool,
    shapes.LiteralType: lambda kind: Literal[kind.values],
}


def _shown(node: yaml.Node) -> str:
    match node:
        case yaml.ScalarNode():
            return f"{node.value[:60]!r}" if node.value else "nothing"
        case yaml.SequenceNode():
            return "a list"
        case _:
            return "a mapping"


def _expected(kind: shapes.Type) -> str:
    match kind:
        case shapes.LiteralType(values=values):
            return "one of: " + ", ".join(str(value) for value in values)
        case shapes.StrType(pattern=None):
            return "text; put it in quotes if it looks like something else"
        case shapes.StrType():
            return "a name: a small letter first, then small letters, digits, - or _, at most 32"
        case shapes.IntType() | shapes.FloatType():
            number = "a whole number" if isinstance(kind, shapes.IntType) else "a number"
            least = f" of at least {kind.ge}" if kind.ge is not None else ""
            return number + (f" above {kind.gt}" if kind.gt is not None else least)
        case shapes.BoolType():
            return "true or false"
        case shapes.VarTupleType(item_type=item):
            return f"a list [...] of {_expected(item)}"
        case shapes.UnionType(types=types):
            return " or ".join("null" if isinstance(t, shapes.NoneType) else _expected(t) for t in types)
        case shapes.StructType(cls=cls):
            return _keys(cls)
        case _:
            return "a mapping, name: value"
