"""Quotas of CPU time, in file systems that look like those of containers."""

import math
import os

import pytest

from latte_ase.engine import threads
from latte_ase.engine.cpu_quota import cpu_quota


@pytest.fixture
def machine(tmp_path):
    """Function (files) -> the root of a file system with them."""

    def made(files):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    return made


GROUP = "proc/self/cgroup"
V1 = "7:cpuset:/\n4:cpu,cpuacct:/docker/ab\n0::/docker/ab\n"


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, math.inf),
        ({GROUP: "0::/\n"}, math.inf),
        ({GROUP: "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, math.inf),
        ({GROUP: "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        (
            {
                GROUP: "0::/system.slice/job/step\n",
                "sys/fs/cgroup/system.slice/cpu.max": "800000 100000\n",
                "sys/fs/cgroup/system.slice/job/cpu.max": "200000 100000\n",
                "sys/fs/cgroup/system.slice/job/step/cpu.max": "max 100000\n",
            },
            2.0,
        ),
        (
            {GROUP: V1, "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "1"},
            math.inf,
        ),
        (
            {
                GROUP: V1,
                "sys/fs/cgroup/cpu,cpuacct/docker/ab/cpu.cfs_quota_us": "400000\n",
                "sys/fs/cgroup/cpu,cpuacct/docker/ab/cpu.cfs_period_us": "100000\n",
            },
            4.0,
        ),
        (  # a container that sees its own group as the root
            {GROUP: V1, "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"},
            0.5,
        ),
        ({GROUP: "0::/\n", "sys/fs/cgroup/cpu.max": "nonsense\n"}, math.inf),
        ({GROUP: "0::/\n", "sys/fs/cgroup/cpu.max": "100000 0\n"}, math.inf),
    ],
)
def test_quota(machine, files, quota):
    assert cpu_quota(machine(files)) == quota


@pytest.mark.parametrize(("quota", "expected"), [(math.inf, 8), (16.0, 8), (3.0, 3), (2.2, 3), (0.3, 1)])
def test_threads_keep_to_the_quota(quota, expected, monkeypatch):
    """Part of a core is one thread more: the quota is used up, and the last thread waits."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(threads, "cpu_quota", lambda: quota)
    assert threads.cores() == expected
