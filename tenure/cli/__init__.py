"""The command line: ``tenure``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and end the process with one of `tenure.cli.exits`."""
    try:
        from .app import app  # noqa: PLC0415 - the libraries of the command line are an extra
        from .command import in_json  # noqa: PLC0415 - as above
    except ModuleNotFoundError as exc:
        if exc.name not in ("click", "rich"):
            raise
        sys.stderr.write("tenure: the command line needs more: pip install 'tenure[cli]'\n")
        sys.exit(2)
    if "--json" not in sys.argv:
        app(prog_name="tenure")
    else:
        sys.exit(in_json(app))
