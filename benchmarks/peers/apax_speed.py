"""apax: its default GMNN with random weights, the bare compiled energy and forces on a fixed neighbour list.

    pip install apax==0.14.0

A fixed list and no calculator around is the best that can be said for it.
"""

import jax
import jax.numpy as jnp
import numpy as np
from apax.config.model_config import GMNNConfig
from ase.io import read
from serve import serve
from vesin import NeighborList


def make(structure, cutoff):
    """The call; the box and the list are those of apax's own conventions (vectors are columns)."""
    atoms = read(structure)
    if atoms.cell.volume == 0:
        atoms.center(vacuum=2 * cutoff)
    box = atoms.cell.array.T
    found = NeighborList(cutoff=cutoff, full_list=True).compute(atoms.positions, atoms.cell.array, True, "ijS")
    i, j, shift = found
    config = GMNNConfig(basis={"name": "bessel", "n_basis": 16, "r_max": cutoff})
    builder = config.get_builder()(config.model_dump(), n_species=119)
    model = builder.build_energy_derivative_model(apply_mask=True, init_box=np.array(box))
    inputs = [
        jnp.array(np.linalg.solve(box, atoms.positions.T).T),
        jnp.array(atoms.numbers),
        jnp.array(np.stack([i, j]), jnp.int32),
        jnp.array(box),
        jnp.array(shift @ atoms.cell.array),
    ]
    weights = model.init(jax.random.PRNGKey(0), *inputs)
    compiled = jax.jit(model.apply)
    return lambda: jax.block_until_ready(compiled(weights, *inputs))


if __name__ == "__main__":
    serve(make, "apax", "default GMNN, bare compiled call, fixed neighbour list")
