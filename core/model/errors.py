"""Errors say who must act: wait (Retryable), mend the request (Terminal, Denied) or mend the configuration (Config).

`str(error)` is the one line a person reads: what happened, then what to do.
"""

from __future__ import annotations


class SignoffError(Exception):
    """Every error of ours. `remedy` is what the reader can do about it, in words."""

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(f"{what}: {remedy}" if remedy else what)
        self.what = what
        self.remedy = remedy


class RetryableError(SignoffError):
    """The same request may succeed later; `retry_after_ms` is the other side's wish, None when it named none."""

    def __init__(self, what: str, remedy: str = "", *, retry_after_ms: int | None = None) -> None:
        super().__init__(what, remedy)
        self.retry_after_ms = retry_after_ms


class TerminalError(SignoffError):
    """The same request will fail again."""


class DeniedError(SignoffError):
    """Policy, the matrix, a budget or a person said no."""


class ConfigError(SignoffError):
    """A file a person wrote is wrong. `line` counts from 1; 0 means the file as a whole."""

    def __init__(self, what: str, *, file: str, line: int = 0, expected: str = "") -> None:
        super().__init__(f"{file}:{line}: {what}" if line else f"{file}: {what}", expected)
        self.file = file
        self.line = line


class OverloadedError(RetryableError):
    """A model or platform asked us to slow down (429, 529) or is out of order (5xx, timeout, cut connection)."""


class ContextOverflowError(TerminalError):
    """The request is larger than the model's window."""


class AuthenticationError(TerminalError):
    """A key is missing, wrong or revoked (401, 403)."""


class RateLimitedError(RetryableError):
    """A platform's limit. `scope` says whose: only that conversation waits, or the whole account."""

    def __init__(self, what: str, *, retry_after_ms: int, scope: str) -> None:
        super().__init__(what, retry_after_ms=retry_after_ms)
        self.scope = scope


class AmbiguousError(SignoffError):
    """Nobody can know whether the message was delivered (a timeout after the write)."""


class StoreFullError(RetryableError):
    """The disk is full; nothing of the unit was written."""


class StoreRefusedError(TerminalError):
    """The database cannot be opened: corrupt, newer than this release, read-only, or on a network filesystem."""


class EngineRunningError(DeniedError):
    """Another process holds the engine lock of this workspace."""
