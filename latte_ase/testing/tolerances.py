"""Tolerances of the checks and the reasons for them: one set for float64, one for float32."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tolerances:
    """Largest deviations that pass, and steps of finite differences.

    `energy`, `forces` and `stress` hold for quantities that are equal in exact arithmetic (a rotated structure, a
    second call).  The tolerances of forces hold for forces up to 1 eV/Angstrom and grow in proportion to larger
    forces, as rounding errors do; those of the stress likewise from 0.1 eV/Angstrom^3 on.

    Attributes:
        energy: deviation of the energy in eV/atom.
        forces: deviation of forces in eV/Angstrom.
        stress: deviation of the stress in eV/Angstrom^3.
        step: step in Angstrom of finite differences with respect to positions.
        forces_difference: deviation of forces from finite differences in eV/Angstrom.
        strain: step of finite differences with respect to strain.
        stress_difference: deviation of the stress from finite differences in eV/Angstrom^3.
        energy_jump: jump of the energy of a dimer in eV.
        forces_jump: jump of the force in a dimer in eV/Angstrom.
        slope_jump: jump of the derivative of the force in a dimer in eV/Angstrom^2.
        drift: drift of the total energy in meV/atom/ps.
    """

    energy: float
    forces: float
    stress: float
    step: float
    forces_difference: float
    strain: float
    stress_difference: float
    energy_jump: float
    forces_jump: float
    slope_jump: float
    drift: float


# Rounding of an energy of 1e4 eV/atom is 2e-12; coordinates shifted by 1000 Angstrom are rounded to
# 1e-13, times force constants of 100 eV/Angstrom^2.  The tolerances are three orders of magnitude larger,
# and far below what matters in a simulation.
# Five-point differences: truncation step^4/30 times the fifth derivative (1e6 eV/Angstrom^5 for the
# stiffest bonds) is 5e-7 eV/Angstrom; rounding 1e-12 eV / step is 1e-9.  Of the strain: the same
# displacements per atom, divided by a volume.
# Jumps: 1e-6 eV is a hundred-thousandth of kT at room temperature; larger ones add up to a drift in
# long runs.  Those of force and slope are a factor of ten above what a step of 5e-8 Angstrom leaves
# of a third derivative of 1000 eV/Angstrom^3.
# Drift: velocity Verlet keeps the energy to about (omega dt)^2 kT / 8 without a trend; over a tenth
# of a picosecond that leaves some 0.1 meV/atom/ps of slope in the fit.
FLOAT64 = Tolerances(
    energy=1e-8,
    forces=1e-7,
    stress=1e-8,
    step=2e-3,
    forces_difference=1e-5,
    strain=5e-4,
    stress_difference=3e-7,
    energy_jump=1e-6,
    forces_jump=1e-5,
    slope_jump=1e-3,
    drift=1.0,
)

# float32 has 6e-8 of relative rounding.  Energies of a few eV per atom keep 1e-6 eV; total energies
# of hundreds of eV per atom do so only if they are added in float64, which is asked for.  Forces are
# sums of some hundred pair terms of ten eV/Angstrom that cancel: 1e-5.  Coordinates of 1000 Angstrom
# keep 3e-5 Angstrom, which shows.
# Differences: 1e-5 eV of rounding over a step of 0.02 is 5e-4 eV/Angstrom, truncation (0.02^4/30
# times 1e5) as much.  Over a strain of 5e-3 and a volume of 40 Angstrom^3 the rounding is 5e-5.
# Jumps are followed until rounding takes over; of the slope that is early.
FLOAT32 = Tolerances(
    energy=1e-5,
    forces=2e-4,
    stress=2e-5,
    step=2e-2,
    forces_difference=3e-3,
    strain=5e-3,
    stress_difference=2e-4,
    energy_jump=1e-5,
    forces_jump=1e-3,
    slope_jump=0.5,
    drift=1.0,
)

TOLERANCES = {"float64": FLOAT64, "float32": FLOAT32}
"""Tolerances by precision, "float64" and "float32"."""


def precision_of(calc) -> str:
    """Precision that a calculator declares, "float64" where it declares none.

    The attributes `dtype` and `default_dtype`, and the same keys of `todict()`, are read.
    """
    stated = [getattr(calc, name, None) for name in ("dtype", "default_dtype")]
    try:
        described = calc.todict()
        stated += [described.get(name) for name in ("dtype", "default_dtype")]
    except Exception:  # todict is optional, and may fail
        pass
    for value in stated:
        if value is not None and "32" in str(value):
            return "float32"
    return "float64"
