"""What the host shows of its work: a bar and tables on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Final, Protocol, final

PLAIN_PROGRESS_LINES: Final = 10
"""So many lines show the progress of one run where there is no terminal."""


class Display(Protocol):
    """Where the host shows its work."""

    def say(self, line: str) -> None:
        """Show one line."""
        ...

    def advance(self, done: int, total: int) -> None:
        """Show that `done` of `total` files have been read."""
        ...

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show a table: the first column is text, the others are numbers."""
        ...

    def leave(self, line: str) -> None:
        """Show one last line and give the terminal back; the process may die right after."""
        ...


@contextmanager
def open_display() -> Generator[Display]:
    """Open the display that fits standard output; a terminal without rich gets plain lines."""
    # Looked for, not imported: what is written to a pipe does not wait for rich.
    if sys.stdout.isatty() and find_spec("rich") is not None:
        with _open_rich() as display:
            yield display
    else:
        yield _PlainDisplay()


@final
class _PlainDisplay:
    """Lines for logs and pipes, each flushed, so that a killed host has shown what it did."""

    def __init__(self) -> None:
        self._told = 0

    def say(self, line: str) -> None:
        print(line, flush=True)

    def advance(self, done: int, total: int) -> None:
        tenths = PLAIN_PROGRESS_LINES * done // max(total, 1)
        if tenths > self._told:
            self._told = tenths
            self.say(f"read {done} of {total} files")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        lines = [columns, *rows]
        widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
        for first, *numbers in lines:
            cells = [cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=True)]
            self.say("  ".join([first.ljust(widths[0]), *cells]))

    def leave(self, line: str) -> None:
        self.say(line)


@contextmanager
def _open_rich() -> Generator[Display]:
    # Imported here, so that plain output needs no rich.
    from rich import progress  # noqa: PLC0415
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    bar = progress.Progress(
        progress.TextColumn("reading"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        # What was said and the closing tables stay; the bar has nothing left to say when all is
        # read.
        transient=True,
    )

    @final
    class RichDisplay:
        """A progress bar that appears with the first file, above it everything else."""

        def __init__(self) -> None:
            self._task: progress.TaskID | None = None

        def say(self, line: str) -> None:
            bar.console.print(line, highlight=False, markup=False, soft_wrap=True)

        def advance(self, done: int, total: int) -> None:
            if self._task is None:
                self._task = bar.add_task("reading", total=total)
            bar.update(self._task, completed=done)

        def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
            table = Table(header_style="bold")
            for index, column in enumerate(columns):
                table.add_column(column, justify="right" if index else "left", overflow="fold")
            for row in rows:
                table.add_row(*(escape(cell) for cell in row))
            bar.console.print(table)

        def leave(self, line: str) -> None:
            bar.stop()  # else a killed process leaves a terminal without a cursor
            self.say(line)

    with bar:
        yield RichDisplay()
