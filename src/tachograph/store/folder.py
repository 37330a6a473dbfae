"""Where the journals of a database are."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from tachograph.errors import StoreError
from tachograph.store.database import no_folder, sqlite_path, without_secret


def journal_folder(url: str, named: Path | None = None) -> Path:
    """The folder of this database's journals, and of no other's.

    Beside a SQLite file; for a server in the user's state directory, or below the one that was
    named, under a hash of the URL without its secret. It is not made.
    """
    path = sqlite_path(url)
    if path is not None and not path.parent.is_dir():
        raise no_folder(path)
    if named is None and path is not None:
        return path.with_name(path.name + ".journal")
    if path is None and url.startswith("sqlite"):
        raise StoreError(
            "a SQLite database in memory ends with its connection: name a file, like "
            "sqlite:///calls.db"
        )
    base = named or _state_directory() / "tachograph"
    identity = str(path) if path is not None else without_secret(url)
    return base / hashlib.sha256(identity.encode()).hexdigest()[:16]


def _state_directory() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
