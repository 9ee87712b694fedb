"""Progress bar on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")


@contextmanager
def progress_bar(title: str, total: int, *, done: int = 0) -> Iterator[Callable[[int, str], None]]:
    """Context with a progress bar; yields a function (done, text) that updates it.

    Args:
        title: text before the bar.
        total: total number of steps or epochs.
        done: number of them that are already done.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    def whole():
        return Column(no_wrap=True)  # in a narrow terminal the bar becomes shorter

    columns = (
        TextColumn("{task.description}", table_column=whole()),
        BarColumn(bar_width=20),
        MofNCompleteColumn(table_column=whole()),
        TimeRemainingColumn(table_column=whole()),
        TextColumn("{task.fields[text]}", table_column=whole()),
    )
    with Progress(*columns) as bar:
        task = bar.add_task(title, total=total, completed=done, text="")
        yield lambda done, text: bar.update(task, completed=done, text=text)


def track(items: Sequence[Item], title: str) -> Iterator[Item]:
    """The items one by one, with a progress bar."""
    with progress_bar(title, len(items)) as show:
        for done, item in enumerate(items):
            show(done, "")
            yield item
        show(len(items), "")
