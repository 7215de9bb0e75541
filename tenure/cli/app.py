"""The commands of ``tenure``, gathered; each stands in its own module."""

from __future__ import annotations

import os

import click

from . import (
    content,
    inspection,
    one_runtime,
    queued,
    records,
    schedules,
    verbs,
)
from .command import command
from .console.command import console
from .lives import draining, verbs as lives
from .upkeep import (
    backups,
    cut_log,
    erase,
    health,
    metrics,
    migrate,
    promote,
    rekey,
    room,
)
from .upkeep.keys import KEY_FILE


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tenure", prog_name="tenure")
@click.option(
    "--key-file", type=click.Path(readable=False), help=f"Keys of a sealed store; as the variable {KEY_FILE}."
)
def app(key_file: str | None) -> None:
    """Look after a tenure store. Every command takes --json; exit codes are in the documentation."""
    if key_file is not None:
        os.environ[KEY_FILE] = key_file


command(app, "backup")(backups.backup)
command(app, "restore")(backups.restore)
command(app, "list")(inspection.list_all)
command(app, "unowned")(inspection.unowned)
command(app, "show")(inspection.show)
command(app, "verify")(inspection.verify)
command(app, "prune")(room.prune)
command(app, "shrink")(room.shrink)
command(app, "vacuum")(room.vacuum)
command(app, "migrate")(migrate.migrate)
command(app, "promote")(promote.promote)
command(app, "rekey")(rekey.rekey)
command(app, "cut-log")(cut_log.cut_log)
command(app, "health")(health.health)
command(app, "metrics")(metrics.metrics)
command(app, "why")(one_runtime.why)
command(app, "steps")(records.steps)
command(app, "runs")(records.runs)
command(app, "tail")(one_runtime.tail)
command(app, "output")(one_runtime.output)
command(app, "dead-letters")(inspection.dead_letters)
command(app, "hosts")(content.hosts)
command(app, "drain")(draining.drain)
command(app, "undrain")(draining.undrain)
command(app, "inbox")(content.inbox)
command(app, "queue")(queued.queue)
command(app, "messages")(content.messages)
command(app, "state")(content.state)
command(app, "accept")(verbs.accept)
command(app, "ask")(verbs.ask)
command(app, "steer")(verbs.steer)
command(app, "retry")(lives.retry)
command(app, "drop")(verbs.drop)
command(app, "relabel")(verbs.relabel)
command(app, "retire")(lives.retire)
command(app, "reset")(lives.reset)
command(app, "stop")(lives.stop)
command(app, "recycle")(verbs.recycle)
command(app, "destroy")(lives.destroy)
command(app, "erase")(erase.erase)
command(app, "hold")(lives.hold)
command(app, "resume")(lives.resume)
command(app, "cancel")(verbs.cancel)
command(app, "settle-step")(verbs.settle_step)
app.add_command(console)
schedules.add_to(app)
