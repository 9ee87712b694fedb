"""Devices that share every batch of a training: each has a part of the structures and all parameters, and gradients are summed.

With one device nothing is divided, and the compiled functions are the plain ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from latte_ase.settings import shortened

AXIS = "devices"
"""Name of the axis over devices."""
EVERYWHERE, DIVIDED = PartitionSpec(), PartitionSpec(AXIS)
"""Of arrays that all devices have the same of, and of those divided along their first axis."""


@dataclass(frozen=True)
class DeviceGroup:
    """Devices that share the batches of a training; hashable, so that functions are compiled once for them.

    Attributes:
        devices: JAX devices of one kind.
    """

    devices: tuple[Any, ...]

    @property
    def count(self) -> int:
        """Number of devices."""
        return len(self.devices)

    def total(self, values):
        """Sum of a pytree over the devices, inside a function of `each`."""
        return values if self.count == 1 else jax.lax.psum(values, AXIS)

    def number(self):
        """Index of the device, inside a function of `each`."""
        return 0 if self.count == 1 else jax.lax.axis_index(AXIS)

    def each(self, function: Callable, *, result: PartitionSpec = EVERYWHERE) -> Callable:
        """Function that runs on every device, with its share of the last argument, which `place` made, and all of the others.

        Args:
            function: what runs on a device.
            result: `EVERYWHERE` where its result is the same on all devices, `DIVIDED` where results are put one after the other.
        """
        if self.count == 1:
            return function

        def on_one(*arguments):
            return function(*arguments[:-1], jax.tree.map(lambda a: a[0], arguments[-1]))

        def on_all(*arguments):
            specs = (*[EVERYWHERE] * (len(arguments) - 1), DIVIDED)
            # gradients are summed by `total`; JAX, if it checked what varies between devices, would sum them too
            mapped = jax.shard_map(on_one, mesh=self._mesh, in_specs=specs, out_specs=result, check_vma=False)
            return mapped(*arguments)

        return on_all

    def place(self, shares: Sequence[Any]) -> Any:
        """One pytree of the shares of all devices, which have equal shapes; of one device its share, on the host."""
        if self.count == 1:
            return shares[0]
        stacked = jax.tree.map(lambda *arrays: np.stack(arrays), *shares)
        return jax.device_put(stacked, NamedSharding(self._mesh, DIVIDED))

    @property
    def _mesh(self) -> Mesh:
        return Mesh(np.array(self.devices), (AXIS,))


def find_devices(count: int | str = 1) -> DeviceGroup:
    """The first devices that JAX sees.

    Args:
        count: how many, or "all".

    Raises:
        ValueError: there are fewer; says how a CPU becomes several.
    """
    found = jax.devices()
    wanted = len(found) if count == "all" else int(count)
    if wanted > len(found):
        raise ValueError(
            f"devices is {shortened(count)}, but JAX sees {len(found)} ({', '.join(f'{d.platform}:{d.id}' for d in found)}). Set it to "
            f'{len(found)} or "all"; the cores of a CPU are {wanted} devices where Python starts with '
            f"XLA_FLAGS=--xla_force_host_platform_device_count={wanted} in its environment."
        )
    return DeviceGroup(tuple(found[:wanted]))
