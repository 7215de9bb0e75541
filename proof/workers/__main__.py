"""Workers on the command line: ``python -m proof.workers [--seeds N] [--first N]``."""

from __future__ import annotations

from proof.seeded.cases import command

from .fleet import play

main = command("proof.workers", __doc__, play)

if __name__ == "__main__":
    raise SystemExit(main())
