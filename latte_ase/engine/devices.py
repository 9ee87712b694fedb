"""Devices by name."""

from __future__ import annotations

from typing import Any

import jax


def find_device(device) -> Any:
    """JAX device by None (the default), "cpu", "gpu", "cuda", "cuda:1", or a device.

    Raises:
        ValueError: there is no such device.
    """
    if device is None:
        return jax.devices()[0]
    if not isinstance(device, str):
        return device
    name, _, number = device.partition(":")
    try:
        return jax.devices(name)[int(number or 0)]
    except (RuntimeError, IndexError, ValueError) as error:
        present = ", ".join(f"{d.platform}:{d.id}" for d in jax.devices())
        raise ValueError(
            f"There is no device {device!r} here; JAX sees {present}. For a GPU install jax[cuda12] or "
            "jax[cuda13], or leave device out."
        ) from error
