"""The SQL side: the only room with sqlalchemy, alembic and database drivers."""
