"""Progress on the terminal: one bar, with a text behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(title: str, total: int, *, done: int = 0) -> Iterator[Callable[[int, str], None]]:
    """Show a bar, and yield a function (done, text) that moves it.

    Args:
        title: stands before the bar.
        total: what is to be done, such as epochs or steps.
        done: how much of it was done before.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    def whole():
        return Column(no_wrap=True)  # where the terminal is narrow, the bar gives way

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
