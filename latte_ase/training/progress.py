"""Progress on the terminal: one bar over epochs with the errors of the last one."""

from __future__ import annotations

from contextlib import contextmanager


@contextmanager
def epoch_bar(epochs: int, title: str, report=None):
    """Yield a function (row, epochs) that shows a finished epoch; `report` replaces the bar."""
    if report is not None:
        yield report
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    def whole():
        return Column(no_wrap=True)  # where the terminal is narrow, the bar gives way

    columns = (
        TextColumn("{task.description}", table_column=whole()),
        BarColumn(bar_width=20),
        MofNCompleteColumn(table_column=whole()),
        TimeRemainingColumn(table_column=whole()),
        TextColumn("{task.fields[errors]}", table_column=whole()),
    )
    with Progress(*columns) as bar:
        task = bar.add_task(title, total=epochs, errors="")

        def show(row, _):
            text = (
                f"valid {row['valid_energy_rmse']:.2f} meV/atom {row['valid_forces_rmse']:.1f} meV/Å "
                f"(train {row['train_forces_rmse']:.1f})"
            )
            bar.update(task, completed=row["epoch"], errors=text)

        yield show
