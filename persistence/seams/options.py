"""What only one engine has: a value whose type no other engine takes."""

from __future__ import annotations

from attrs import frozen


@frozen(kw_only=True, slots=True)
class EngineOptions:
    """The base of every engine's options; `Seams.engine` carries them to the engine that a target leads to."""
