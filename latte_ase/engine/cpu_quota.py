"""The CPU time that a container or a batch system allows: control groups of Linux, versions 1 and 2.

A quota does not hide cores: a process that runs more threads than it may is stopped for the rest of each period.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

MOUNTS = {
    1: ("sys/fs/cgroup/cpu", "sys/fs/cgroup/cpu,cpuacct"),
    2: ("sys/fs/cgroup", "sys/fs/cgroup/unified"),
}
"""Where the control groups of CPU time are mounted, by version."""


@cache
def cpu_quota(root: Path = Path("/")) -> float:
    """Seconds of CPU time per second that this process may use; infinite without a limit.

    The smallest limit counts of the process's control group and of those that it is in.  A container may see its own group as
    the root, whatever /proc says, so that groups which do not exist are left out.

    Args:
        root: of the file system.
    """
    return min(_limits(root), default=math.inf)


def _limits(root: Path) -> Iterator[float]:
    for version, group in _groups(root / "proc/self/cgroup"):
        for mount in MOUNTS[version]:
            for folder in (group, *group.parents):
                with suppress(OSError, ValueError, ZeroDivisionError):
                    yield _limit(root / mount / folder.relative_to("/"), version)


def _groups(path: Path) -> Iterator[tuple[int, Path]]:
    """Version and name of the control groups of CPU time, from lines HIERARCHY:CONTROLLERS:NAME."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return  # no Linux
    for line in lines:
        hierarchy, controllers, name = line.split(":", 2)
        if hierarchy == "0" or "cpu" in controllers.split(","):
            yield (2 if hierarchy == "0" else 1), Path(name)


def _limit(folder: Path, version: int) -> float:
    """The limit of one group; raises ValueError where it has none."""
    if version == 2:
        quota, period = (folder / "cpu.max").read_text().split()
    else:
        quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
    if quota.strip() in ("max", "-1"):
        raise ValueError("no limit")
    return int(quota) / int(period)
