"""The command line, called in this process."""

from __future__ import annotations

from click.testing import CliRunner, Result

from tenure.cli.app import app


def call(*arguments: object) -> Result:
    """What ``tenure`` with these arguments printed, and how it ended."""
    return CliRunner().invoke(app, [str(each) for each in arguments])
