"""What a reading of the team's files came to: all that is wrong, and all that works but deserves a look."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.model.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that works and deserves a look. `line` counts from 1; 0 means the file as a whole."""

    what: str
    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}" if self.line else f"{self.file}: {self.what}"


@dataclass(slots=True)
class Findings:
    """All that is wrong (`errors`) or odd (`notices`)."""

    errors: list[ConfigError] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

    def fail(self, what: str, expected: str, *, file: str, line: int = 0) -> None:
        """Note an error."""
        self.errors.append(ConfigError(what, file=file, line=line, expected=expected))

    def notice(self, what: str, *, file: str, line: int = 0) -> None:
        """Note an oddity."""
        self.notices.append(Notice(what=what, file=file, line=line))
