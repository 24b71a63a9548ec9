"""Read what anybody may have made, in a process of its own.

Law: the child gets a file, no environment, no secrets and no terminal; what it wrote in its time is all that counts.
Its limits it sets itself (pdf, webpage), before it looks at a byte.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import IO, Final, TypeVar

T = TypeVar("T")
_FLAGS: Final = ("-E", "-P", "-X", "utf8")  # neither the environment nor a folder says what is imported


def read(
    program: str, arguments: tuple[str, ...], data: bytes, seconds_max: float, told: Callable[[IO[bytes]], T]
) -> T:
    """What `told` makes of what the program has written about `data`, be it ended or not. Blocks for `seconds_max` at
    most. Raises OSError.
    """
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as written:
        given.write(data)
        given.seek(0)
        process = subprocess.Popen(  # noqa: S603 - ourselves; what came from outside is read from a file
            (sys.executable, *_FLAGS, program, *arguments),
            stdin=given,
            stdout=written,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"PATH": ""},
            start_new_session=True,
        )
        try:
            process.wait(seconds_max)
        except subprocess.TimeoutExpired:
            pass  # what it has written by now counts
        finally:
            process.kill()
            process.wait()
        written.seek(0)
        return told(written)
