"""What the conversation of a runtime is, and what its runs make of it: the model beside the store."""

from __future__ import annotations

import attrs

from tenure.persistence.model.conversation.paths import RunPath

Path = tuple[int, ...]
"""Messages from the first one on, each by its number among all that the conversation ever had."""


@attrs.define
class Seen:
    """What one run has done to a conversation.

    Attributes:
        base: The path that it began over.
        path: The path as it sees it.
        left_behind: The path that it has forked from last, where nothing was hidden since.
        own: What it appended.
        moved: What it had appended at each of its moves, how much of the base was left, and where the head stood then.
    """

    base: Path
    path: RunPath = attrs.field(init=False)
    left_behind: list[RunPath] = attrs.field(factory=list[RunPath])
    own: list[int] = attrs.field(factory=list[int])
    moved: list[tuple[int, int, int | None]] = attrs.field(factory=list[tuple[int, int, "int | None"]])

    def __attrs_post_init__(self) -> None:
        self.path = RunPath(len(self.base))

    def on(self, path: RunPath) -> Path:
        return (*self.base[: path.kept], *[self.own[at] for start, end in path.own for at in range(start, end)])

    @property
    def left(self) -> int | None:
        """The message that the head stood on when the run wrote last, else where it began."""
        if self.moved and self.moved[-1][0] == len(self.own):
            return self.moved[-1][2]
        return last(self.own) if self.own else last(self.base)


@attrs.define
class Talk:
    """A conversation: all messages with the one before each, the active path, what is hidden, and where branches end."""

    messages: list[bytes] = attrs.field(factory=list[bytes])
    before: list[int | None] = attrs.field(factory=list["int | None"])
    path: Path = ()
    hidden: set[int] = attrs.field(factory=set[int])
    ends: set[int] = attrs.field(factory=set[int])

    def append(self, seen: Seen, messages: tuple[bytes, ...]) -> None:
        start = len(seen.own)
        self._append(seen, messages)
        seen.path = seen.path.extended(start, len(seen.own))

    def _append(self, seen: Seen, messages: tuple[bytes, ...]) -> None:
        for message in messages:
            self.before.append(last(self.path))
            self.messages.append(message)
            seen.own.append(len(self.messages) - 1)
            self.path = (*self.path, len(self.messages) - 1)

    def can_move(self, seen: Seen, count: int) -> bool:
        """Whether nobody else has moved the head since the run wrote."""
        return (last(self.path), len(self.path)) == (seen.left, count)

    def move(self, seen: Seen, path: RunPath, messages: tuple[bytes, ...], *, hides: bool) -> None:
        self.stand(seen.on(path.first(path.count - len(messages))), hides=hides)
        self._append(seen, messages)
        seen.path = path
        seen.moved.append((len(seen.own), path.kept, last(self.path)))

    def stand(self, target: Path, *, hides: bool) -> None:
        """Let the head stand elsewhere."""
        head = last(self.path)
        if hides:
            spared = {each for end in self.ends for each in self.path_to(end)}
            self.hidden |= {each for each in self.path[len(target) :] if each not in spared}
        elif head is not None and target[: len(self.path)] != self.path and not self.is_passed(head):
            self.ends.add(head)
        if target:
            self.ends.discard(target[-1])
        self.path = target

    def is_passed(self, message: int) -> bool:
        return any(message in self.path_to(end) for end in self.ends)

    def path_to(self, message: int | None) -> list[int]:
        found: list[int] = []
        while message is not None:
            found.append(message)
            message = self.before[message]
        return found

    def go_back(self, seen: Seen) -> None:
        """A run is taken back, where nobody else has written since."""
        if not (seen.own or seen.moved) or last(self.path) != seen.left:
            return
        kept = min([each[1] for each in seen.moved], default=len(seen.base))
        self.hidden -= set(seen.base[kept:])
        self.stand(seen.base, hides=False)


def last(path: Path | list[int]) -> int | None:
    return path[-1] if path else None
