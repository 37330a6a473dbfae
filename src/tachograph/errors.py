"""The errors that tachograph raises, as a tree.

TachographError
|- StoreError
|  |- SchemaOutOfDateError
|  '- JournalError
'- SettingsError

None of them is ever raised into a recorded call: there the SDK's own errors pass untouched,
and a failure of the recorder is logged and counted.
"""

from __future__ import annotations


class TachographError(Exception):
    """Any error of this library."""


class StoreError(TachographError):
    """The database could not be opened, read or written."""


class SchemaOutOfDateError(StoreError):
    """The database has another revision than this version of tachograph; says what to do."""

    def __init__(self, message: str, *, found: str | None, expected: str) -> None:
        super().__init__(message)
        self.found = found
        self.expected = expected


class JournalError(StoreError):
    """The journal could not be opened or understood."""


class SettingsError(TachographError):
    """A setting is unknown or has a value that cannot be used."""
