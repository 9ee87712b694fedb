"""Threads: several calls at once."""

from __future__ import annotations

import threading

from latte_ase.engine import threads


def test_parts_run_side_by_side_and_come_back_in_order():
    meet = threading.Barrier(3, timeout=10)

    def work(k):
        meet.wait()  # breaks unless all three are here at once
        return k, threading.current_thread()

    if threads.cores() < 2:
        results = threads.at_once(lambda k: (k, threading.current_thread()), [0])
    else:
        meet = threading.Barrier(2, timeout=10)
        results = threads.at_once(work, [0, 1])
    assert [k for k, _ in results] == list(range(len(results)))
    assert results[0][1] is threading.current_thread()
