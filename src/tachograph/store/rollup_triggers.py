"""Triggers on `calls`: whatever changes a call that is rolled up leaves a note for `roll_up`.

In the database, so that nothing can forget them: a late call, a bill that was looked up, a price
that was filled in, a hand in psql. A row that is inserted costs a twentieth more.

- inserted or changed before `rollup_progress.watched_until_us`: its hour goes to `rollup_changes`,
  once each time, since a note that is being worked on must not swallow the next one
- deleted: its hour goes to `rollup_gaps`, and is not rolled up from this database alone again

In PostgreSQL they hold a lock, shared among them, until their transaction ends: `roll_up` takes it
alone while it moves `watched_until_us`, so every transaction either is seen or has left its note.
They run with the rights of the owner, since who may insert calls need not be allowed to do this;
temporary tables of the same names, to which a writer could tie code of its own, are looked at last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

HOUR_US = 3_600_000_000

# any number that others are unlikely to lock: "rollups" in ASCII
ADVISORY_LOCK = 0x726F6C6C757073

_SQLITE_CHANGED = """
CREATE TRIGGER calls_rollup_{event} AFTER {event} ON calls
WHEN NEW.started_us < (SELECT watched_until_us FROM rollup_progress)
BEGIN
    INSERT INTO rollup_changes (hour_us) VALUES (NEW.started_us - NEW.started_us % {hour});
END
"""
_SQLITE_DELETED = """
CREATE TRIGGER calls_rollup_delete AFTER DELETE ON calls
BEGIN
    INSERT INTO rollup_gaps (hour_us) VALUES (OLD.started_us - OLD.started_us % {hour})
    ON CONFLICT DO NOTHING;
END
"""
_POSTGRES = """
CREATE FUNCTION rollup_note_changes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared({lock});
    INSERT INTO rollup_changes (hour_us)
    SELECT DISTINCT started_us - mod(started_us, {hour}) FROM touched
    WHERE started_us < (SELECT watched_until_us FROM rollup_progress);
    RETURN NULL;
END $$;
CREATE FUNCTION rollup_note_gaps() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
BEGIN
    INSERT INTO rollup_gaps (hour_us)
    SELECT DISTINCT started_us - mod(started_us, {hour}) FROM touched
    ORDER BY 1 ON CONFLICT DO NOTHING; -- in one order, so that two deletions do not lock crosswise
    RETURN NULL;
END $$;
CREATE TRIGGER calls_rollup_insert AFTER INSERT ON calls REFERENCING NEW TABLE AS touched
FOR EACH STATEMENT EXECUTE FUNCTION rollup_note_changes();
CREATE TRIGGER calls_rollup_update AFTER UPDATE ON calls REFERENCING NEW TABLE AS touched
FOR EACH STATEMENT EXECUTE FUNCTION rollup_note_changes();
CREATE TRIGGER calls_rollup_delete AFTER DELETE ON calls REFERENCING OLD TABLE AS touched
FOR EACH STATEMENT EXECUTE FUNCTION rollup_note_gaps();
"""


def create_triggers(connection: Connection) -> None:
    """Makes them; the tables of rollups are there."""
    if connection.dialect.name == "postgresql":
        schema = connection.exec_driver_sql("SELECT quote_ident(current_schema())").scalar()
        connection.exec_driver_sql(
            _POSTGRES.format(hour=HOUR_US, lock=ADVISORY_LOCK, schema=schema)
        )
        return
    for event in ("insert", "update"):
        connection.exec_driver_sql(_SQLITE_CHANGED.format(event=event, hour=HOUR_US))
    connection.exec_driver_sql(_SQLITE_DELETED.format(hour=HOUR_US))


def drop_triggers(connection: Connection) -> None:
    """Takes them away."""
    on = " ON calls" if connection.dialect.name == "postgresql" else ""
    for event in ("insert", "update", "delete"):
        connection.exec_driver_sql(f"DROP TRIGGER calls_rollup_{event}{on}")
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("DROP FUNCTION rollup_note_changes")
        connection.exec_driver_sql("DROP FUNCTION rollup_note_gaps")
