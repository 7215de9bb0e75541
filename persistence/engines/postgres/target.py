"""What a URL names: a server, a database of it, and the schema that holds the store."""

from __future__ import annotations

import re
from typing import Final, final
from urllib.parse import unquote

import psycopg
from attrs import field, frozen
from psycopg.conninfo import conninfo_to_dict

from tenure.errors import InvalidInput

SCHEMA: Final = "tenure"
"""The schema of a store whose URL names none."""

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_NAMED: Final = "schema="
_QUOTED: Final = re.compile(r'".*"', re.DOTALL)


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
    """Read ``postgresql://user@host:port/database?schema=name``; every other setting is libpq's, and goes to it as it stands.

    Raises:
        InvalidInput: It is another URL, or the name of the schema is not plain and lower-case. It quotes nothing that may be a
            piece of a password.
    """
    rest = text.partition("://")[2]
    login = rest.partition("@")[0] + "@" if "@" in rest.partition("/")[0] else ""
    place, _, query = rest.removeprefix(login).partition("?")
    settings = [each for each in query.split("&") if each]
    schemas = [unquote(each.removeprefix(_NAMED)) for each in settings if each.startswith(_NAMED)]
    schema = schemas[-1] if schemas else SCHEMA
    if not _NAME.fullmatch(schema) or schema.startswith("pg_"):
        raise InvalidInput(detail=f"{schema!r} is not a plain lower-case name of a schema", field="target")
    if "@" in place:
        raise InvalidInput(detail="an @ or / of a user or password is written %40 or %2F", field="target")
    others = "&".join(each for each in settings if not each.startswith(_NAMED))
    url = f"postgresql://{login}{place}?{others}"
    if not url.isprintable():
        raise InvalidInput(detail="a URL has a character that cannot be printed", field="target")
    try:
        known = conninfo_to_dict(url)
    except psycopg.ProgrammingError as exc:
        raise InvalidInput(detail=_QUOTED.sub('"..."', str(exc).strip()), field="target") from None
    host, address, port, database, service = (
        known.get(each) or "" for each in ("host", "hostaddr", "port", "dbname", "service")
    )
    # What a service says stands in a file of libpq's; here two of them differ by their names alone.
    of = f"service {service}, " if service else ""
    at = f"{host or address}:{port or ('' if service else 5432)}"
    return Target(url=url, schema=schema, shown=f"postgresql://{at}/{database} ({of}schema {schema})")
