"""Write into a shipped model what its domain of use is: the fewest neighbours, and the limit of its committee.

    python models/make_domain.py NAME DATA

DATA is the folder that the recipe speaks of.  The fewest neighbours are those of all training frames
(`training.dataset.fewest_neighbours`), the limit is that of `uncertainty.limit`.  Parameters, closest approaches and E0 stay what they
are to the last bit; models/NAME/model.safetensors and SHA256SUMS are written anew.  A model that was trained and given its
committee since has both entries already.
"""

import sys
from dataclasses import replace
from functools import partial

from rich.progress import track

from latte_ase import load_model
from latte_ase.io import model_file
from latte_ase.io.model_file import save_model
from latte_ase.io.pretrained import models_folder
from latte_ase.training.config import load_config
from latte_ase.training.dataset import fewest_neighbours, prepare
from latte_ase.training.train import frames_of
from latte_ase.uncertainty.limit import with_limit


def main(name: str, data: str) -> None:
    """The model of this name, in place."""
    folder = models_folder() / name
    config = replace(load_config(folder / "recipe.toml"), folder=data)
    frames, potential = frames_of(config)[0], load_model(name)
    prepared = (prepare(potential, [atoms])[0] for atoms in track(frames, description=name))
    fewest = fewest_neighbours(prepared, len(potential.elements), potential.domain.radius)
    potential = replace(potential, constants={**potential.constants, "fewest_neighbours": fewest})
    potential = with_limit(potential, frames, progress=partial(track, description=f"{name}, committee"))
    path = save_model(potential, folder / "model.safetensors")
    (folder / "SHA256SUMS").write_text(f"{model_file.file_sha256(path)}  {path.name}\n")
    print(f"{name}: fewest neighbours {potential.domain.neighbours}, limit {potential.committee.limit:.3g} eV/Angstrom")


if __name__ == "__main__":
    main(*sys.argv[1:])
