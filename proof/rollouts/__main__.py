"""Roll-outs on the command line: ``python -m proof.rollouts [--seeds N] [--first N]``."""

from __future__ import annotations

from proof.seeded.cases import command

from .fleet import play

main = command("proof.rollouts", __doc__, play)

if __name__ == "__main__":
    raise SystemExit(main())
