"""Call one function of a file that people wrote, and say what it returned or why not.

A program of its own, run as `python -I -X utf8 runner.py` under the supervisor, with limits; a JSON job on stdin, the
answer on stdout: a line `ok` or `failed`, then text. Law: the bytes that are run are those whose digest was asked for,
read once. What the function prints is nobody's; what it raises is one line and where, never a stack trace.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import types
from typing import Any, NoReturn

LINE_MAX = 500
CHANGED = "the tool's file is not the one this task was started with"


def main() -> NoReturn:
    """Never returns: threads that the function left behind do not keep the process."""
    answer = os.dup(1)
    job = json.load(sys.stdin)
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)
    os.umask(0o022)
    try:
        text, said = _called(job), "ok"
    except BaseException as error:  # noqa: BLE001 - whatever it is, and SystemExit too, it is the tool's, told in a line
        text, said = _line(error, job["path"]), "failed"
    raw = text.encode("utf-8", "replace")
    most = int(job["bytes_max"])
    if len(raw) > most:
        raw = raw[:most].decode("utf-8", "ignore").encode() + f"\n… cut: {len(raw)} bytes in all".encode()
    view = memoryview(f"{said}\n".encode() + raw)
    while view:
        view = view[os.write(answer, view) :]
    os._exit(0 if said == "ok" else 1)


def _called(job: dict[str, Any]) -> str:
    path = job["path"]
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib is a tenth of the start
        source = file.read()
    if "sha256:" + hashlib.sha256(source).hexdigest() != job["digest"]:
        raise RuntimeError(CHANGED)
    module = types.ModuleType(os.path.basename(path).removesuffix(".py"))  # noqa: PTH119 - as above
    module.__file__ = path
    sys.modules[module.__name__] = module  # dataclasses look themselves up there
    exec(compile(source.decode("utf-8"), path, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - people's own file, in a process of its own
    value = getattr(module, job["function"])(**job["arguments"])
    if value is None:
        return "done"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _line(error: BaseException, path: str) -> str:
    """The last line of what Python would print, and the line of the tool's file it came from."""
    at = [trace.tb_lineno for trace in _traces(error) if trace.tb_frame.f_code.co_filename == path]
    where = f" (line {at[-1]})" if at else ""
    said = " ".join(str(error).split("\n", 1)[0].split())
    return f"{type(error).__name__}: {said}"[:LINE_MAX].removesuffix(": ") + where


def _traces(error: BaseException) -> list[types.TracebackType]:
    found, trace = [], error.__traceback__
    while trace is not None:
        found.append(trace)
        trace = trace.tb_next
    return found


if __name__ == "__main__":
    main()
