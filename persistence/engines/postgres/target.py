"""What a URL names: a server, a database of it, and the schema that holds the store."""

from __future__ import annotations

import re
from typing import Final, final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import psycopg
from attrs import field, frozen
from psycopg.conninfo import conninfo_to_dict

from tenure.errors import InvalidInput

SCHEMA: Final = "tenure"
"""The schema of a store whose URL names none."""

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")


@final
@frozen(kw_only=True, slots=True)
class Target:
    """Where a store is.

    Attributes:
        url: What libpq connects to, with a password where there is one.
        schema: The schema of the store.
        shown: How errors name it: without a password.
    """

    url: str = field(repr=False)
    schema: str
    shown: str


def target_of(text: str) -> Target:
    """Read ``postgresql://user@host:port/database?schema=name``; every other setting is libpq's.

    Raises:
        InvalidInput: It is another URL, or the name of the schema is not plain and lower-case.
    """
    parts = urlsplit(text)
    settings = parse_qsl(parts.query, keep_blank_values=True)
    schemas = [value for name, value in settings if name == "schema"]
    schema = schemas[-1] if schemas else SCHEMA
    if not _NAME.fullmatch(schema) or schema.startswith("pg_"):
        raise InvalidInput(detail=f"{schema!r} is not a plain lower-case name of a schema", field="target")
    rest = urlencode([(name, value) for name, value in settings if name != "schema"])
    url = urlunsplit(parts._replace(scheme="postgresql", query=rest))
    try:
        known = conninfo_to_dict(url)
    except psycopg.ProgrammingError as exc:
        detail = str(exc).strip().replace(parts.password or "\0", "...")
        raise InvalidInput(detail=detail, field="target") from exc
    place = f"{known.get('host') or ''}:{known.get('port') or 5432}/{known.get('dbname') or ''}"
    return Target(url=url, schema=schema, shown=f"postgresql://{place} (schema {schema})")
