from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from latte_ase.engine import kernels
from latte_ase.engine.kernels import choose_kernel

CPU = jax.devices("cpu")[0]
GPU = SimpleNamespace(platform="gpu", id=0)


def test_cpu_has_one_kernel_and_imports_no_other():
    code = (
        "import sys, jax\n"
        "from latte_ase import load_model\n"
        "from latte_ase.engine.kernels import choose_kernel\n"
        "print(choose_kernel(load_model('latte-si'), jax.devices('cpu')[0]), 'jax.experimental.pallas' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    kernel, pallas = result.stdout.split()
    assert kernel == "xla"  # the native kernel has no bumps
    assert pallas == "False"


@pytest.mark.parametrize("name", ["xla", "interpreted"])
def test_kernels_that_run_everywhere_are_taken_by_name(tiny_potential, name):
    assert choose_kernel(tiny_potential(), CPU, name) == name


def test_pallas_by_name_on_a_cpu_says_why_not(tiny_potential):
    message = r"'pallas' cannot run on cpu:0: it is written for GPUs, and this device is a cpu\. Use kernel='xla'"
    with pytest.raises(RuntimeError, match=message):
        choose_kernel(tiny_potential(), CPU, "pallas")


def test_unknown_name(tiny_potential):
    with pytest.raises(
        ValueError, match="kernel is 'triton'; allowed are 'auto', 'native', 'xla', 'pallas', 'interpreted'"
    ):
        choose_kernel(tiny_potential(), CPU, "triton")


@pytest.mark.parametrize("fastest", ["xla", "pallas"])
def test_the_fastest_is_taken_on_a_gpu(tiny_potential, monkeypatch, fastest):
    monkeypatch.setattr(kernels, "_trial", lambda device: "")
    monkeypatch.setattr(kernels, "measure", lambda *a: {"xla": 2.0, "pallas": 2.0} | {fastest: 1.0})
    assert choose_kernel(tiny_potential(), GPU) == fastest
    assert choose_kernel(tiny_potential(), GPU, "pallas") == "pallas"


def test_a_kernel_that_fails_its_trial_is_not_taken(tiny_potential, monkeypatch):
    monkeypatch.setattr(kernels, "_trial", lambda device: "LoweringError: no such thing.")
    assert choose_kernel(tiny_potential(), GPU) == "xla"
    with pytest.raises(RuntimeError, match=r"cannot run on gpu:0: LoweringError: no such thing\. Use kernel='xla'"):
        choose_kernel(tiny_potential(), GPU, "pallas")


def test_trial_reports_what_the_compiler_says():
    """Pallas refuses to compile for a CPU."""
    assert "interpret mode" in kernels._trial(CPU)


def test_trial_compares_numbers(monkeypatch):
    monkeypatch.setattr(kernels, "moments", lambda *a: (np.float32({"xla": 1.0}.get(kernels.kernel.value, 1.5)),))
    monkeypatch.setattr(
        kernels, "jax", SimpleNamespace(jit=lambda f: f, device_get=lambda a: a, default_device=jax.default_device)
    )
    assert kernels._trial.__wrapped__(CPU) == "a small case differs by 5.0e-01 from the kernel 'xla'."


def test_measurement_gives_a_time_per_kernel(tiny_potential, monkeypatch):
    monkeypatch.setattr(kernels, "EDGE", 4)
    times = kernels.measure(tiny_potential("reduced", repulsion=False).architecture, CPU, ("xla",))
    assert set(times) == {"xla"}
    assert 0 < times["xla"] < 600


@pytest.mark.gpu
def test_pallas_runs_on_a_gpu():
    assert kernels.why_not_pallas(jax.devices("gpu")[0]) == ""
