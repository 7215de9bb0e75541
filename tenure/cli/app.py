"""The commands of ``tenure``, gathered; each stands in a module of its own."""

from __future__ import annotations

import click

from . import backups, inspection
from .command import command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tenure", prog_name="tenure")
def app() -> None:
    """Look after a tenure store. Every command takes --json; exit codes are in the documentation."""


command(app, "backup")(backups.backup)
command(app, "restore")(backups.restore)
command(app, "list")(inspection.list_all)
command(app, "show")(inspection.show)
command(app, "verify")(inspection.verify)
