"""Tasks of a round, labelled into a database: what is there already is not asked for again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from latte_ase.io.progress import progress_bar
from latte_ase.labelling import Failure, LabelDatabase, Task, TeacherError, Workers

HELD_EVERY = 8
"""One task of so many is held out."""
LABELLED_SHARE = 0.5
"""Share of the tasks of a round that must be labelled."""


class NamedTask(NamedTuple):
    """A task and where its structure comes from.

    Attributes:
        task: the task.
        origin: "seed", "rattled", "teacher", "pupil 600 K" or what else is to be told apart.
        labels: number of labels that it gives.
    """

    task: Task
    origin: str
    labels: int = 1


def label(
    database: LabelDatabase, tasks: Sequence[NamedTask], processes: Workers, *, round: int, title: str
) -> dict[str, int]:
    """Label the tasks of a round, each into the database as soon as it is done.

    Args:
        database: where labels and failures go; tasks of the round that are there are done.
        tasks: the same ones in the same order whenever the round is resumed.
        processes: the teacher.
        round: number of the round in the database.
        title: what is labelled, for the progress bar and messages.

    Returns:
        Number of "labels" of the round, and of tasks that "failed".

    Raises:
        TeacherError: fewer than half of the tasks could be labelled.
    """
    done = database.done(round)
    missing = [(k, named.task) for k, named in enumerate(tasks) if k not in done]
    failed = 0
    with progress_bar(title, len(tasks), done=len(tasks) - len(missing)) as show:
        for count, (k, answer) in enumerate(processes.label(missing), len(tasks) - len(missing) + 1):
            if isinstance(answer, Failure):
                database.add_failure(answer, round=round, task=k)
                failed += 1
            else:
                # the structures of a run stay together
                held = (database.tasks() + 1) % HELD_EVERY == HELD_EVERY // 2
                database.add(answer, round=round, task=k, origin=tasks[k].origin, held=held)
            show(count, f"{failed} failed" if failed else "")
    reasons = database.reasons(round)
    if len(reasons) > (1 - LABELLED_SHARE) * len(tasks):
        raise TeacherError(
            f"{len(reasons)} of {len(tasks)} {title} failed, the first one with: {reasons[0]}. Correct the teacher, "
            f"delete {database.failures}, and go on with resume=True (--resume)."
        )
    return {"labels": database.count(f"round={round}"), "failed": len(reasons)}
