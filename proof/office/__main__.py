"""The office on the command line: ``python -m proof.office [--seeds N] [--first N]``."""

from __future__ import annotations

from proof.seeded.cases import command

from .fleet import play

main = command("proof.office", __doc__, play)

if __name__ == "__main__":
    raise SystemExit(main())
