"""Labelling processes: a teacher in each, with a time limit per task, further attempts, and a list of what failed."""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from importlib import import_module
from multiprocessing import Pipe
from typing import Any

from ase import Atoms

from latte_ase.labelling.tasks import Failure, Task

ONE_THREAD = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "RAYON_NUM_THREADS",
)
"""Variables by which libraries are told how many threads to use: processes share the cores, threads of one would compete."""

START_SECONDS = 120.0
"""The making of a calculator may take at least so long: libraries and weights are read."""

Teacher = Callable[[], Any] | str
"""A function without arguments that makes an ASE calculator, or "MODULE:FUNCTION"."""


class TeacherError(RuntimeError):
    """Error of a teacher that cannot be made, or that labels nothing."""


def find_teacher(teacher: Teacher) -> Callable[[], Any]:
    """The factory that a name stands for; a function is returned unchanged.

    Raises:
        ValueError, TypeError: it is no factory; says what is needed.
    """
    if isinstance(teacher, str):
        module, colon, name = teacher.partition(":")
        if not (module and colon and name):
            raise ValueError(
                f"teacher is {teacher!r}; MODULE:FACTORY is needed, such as ase.calculators.emt:EMT, where FACTORY makes an ASE "
                "calculator without arguments."
            )
        try:
            return getattr(import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise ValueError(f"The teacher {teacher!r} cannot be imported: {error}.") from error
    if not callable(teacher):
        raise TypeError(
            f"teacher is a {type(teacher).__name__}; a function without arguments that makes an ASE calculator is needed, such "
            "as `lambda: EMT()`: every labelling process makes one of its own."
        )
    return teacher


class Workers:
    """Labelling processes, for use in a `with` statement.

    Args:
        teacher: factory of the calculator; it is pickled by value where it stands in a script or a notebook.
        count: number of processes; each is told to use one thread.
        timeout: seconds that a task may take; the process is then ended and replaced.
        retries: further attempts at a task that failed.
    """

    def __init__(self, teacher: Teacher, *, count: int, timeout: float, retries: int):
        import cloudpickle

        self._factory = cloudpickle.dumps(find_teacher(teacher))
        self._count, self._timeout, self._retries = count, timeout, retries
        self._processes: queue.SimpleQueue[_Process | None] = queue.SimpleQueue()
        for _ in range(count):
            self._processes.put(None)  # started when it is needed
        self._worked, self._closed = False, threading.Event()
        self._running: set[_Process] = set()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: Any) -> None:
        self._closed.set()
        for process in list(self._running):
            process.kill()  # which ends the thread that waits for it
        for thread in self._threads:
            thread.join()
        for process in list(self._running):
            process.end()

    def label(self, tasks: Iterable[tuple[Any, Task]]) -> Iterator[tuple[Any, list[Atoms] | Failure]]:
        """Answers of tasks, in the order in which they are done.

        Args:
            tasks: pairs of a name and a task.

        Yields:
            Pairs of the name and the labelled structures, or the failure.

        Raises:
            TeacherError: the calculator could not be made, and never has been.
        """
        waiting: queue.SimpleQueue = queue.SimpleQueue()
        for item in tasks:
            waiting.put(item)
        total, answers = waiting.qsize(), queue.SimpleQueue()
        threads = [
            threading.Thread(target=self._work, args=(waiting, answers), daemon=True)
            for _ in range(min(self._count, total))
        ]
        self._threads += threads
        for thread in threads:
            thread.start()
        for _ in range(total):
            name, answer = answers.get()
            if isinstance(answer, BaseException):
                raise answer
            yield name, answer

    def _work(self, waiting: queue.SimpleQueue, answers: queue.SimpleQueue) -> None:
        process = self._processes.get()
        try:
            while not self._closed.is_set():
                with suppress(queue.Empty):
                    name, task = waiting.get_nowait()
                    process, answer = self._attempts(process, task)
                    answers.put((name, answer))
                    continue
                break
        except BaseException as error:
            answers.put((None, error))
        finally:
            self._processes.put(process)

    def _attempts(self, process: _Process | None, task: Task) -> tuple[_Process | None, list[Atoms] | Failure]:
        """The process for the next task, and the answer to this one."""
        reasons: list[str] = []
        for _ in range(1 + self._retries):
            if self._closed.is_set():
                break
            if process is None:
                process, reason = self._started()
                if process is None:
                    if not self._worked:
                        raise TeacherError(f"The teacher could not be made: {reason}.")
                    reasons.append(reason)
                    continue
            kind, answer = process.ask(pickle.dumps(task), self._timeout)
            if kind == "labelled":
                self._worked = True
                return process, answer
            reasons.append(answer)
            process.end()  # a calculator that raised may be left in any state
            self._running.discard(process)
            process = None
        return process, Failure(task.atoms, "; then ".join(dict.fromkeys(reasons)))

    def _started(self) -> tuple[_Process | None, str]:
        """A process with its calculator, or why there is none."""
        process = _Process()
        self._running.add(process)
        kind, answer = process.ask(self._factory, max(self._timeout, START_SECONDS))
        if kind == "labelled":
            return process, ""
        process.end()
        self._running.discard(process)
        return None, answer


class _Process:
    """One labelling process and the connection to it."""

    def __init__(self):
        self._connection, other = Pipe()
        environment = os.environ | dict.fromkeys(ONE_THREAD, "1")
        # what can be imported here can be imported there, where the factory is imported by name
        environment["PYTHONPATH"] = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        command = [sys.executable, "-m", "latte_ase.labelling.worker", str(other.fileno())]
        # teachers print; standard output is for the results of this process
        self._process = subprocess.Popen(
            command, pass_fds=(other.fileno(),), env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        other.close()

    def ask(self, message: bytes, timeout: float) -> tuple[str, Any]:
        """("labelled", structures) or ("failed", reason)."""
        try:
            self._connection.send_bytes(message)
            if self._connection.poll(timeout):
                return pickle.loads(self._connection.recv_bytes())
            return "failed", f"no answer within {timeout:g} s"
        except (EOFError, OSError):
            self.kill()
            return "failed", f"its process ended with status {self._process.wait()}"

    def kill(self) -> None:
        """Kill the process; any thread may do so."""
        self._process.kill()

    def end(self) -> None:
        """Kill the process and close the connection; for the thread that uses it, since another file may soon have its number."""
        self._process.kill()
        self._process.wait()
        self._connection.close()
