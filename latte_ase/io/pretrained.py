"""Models by name, folder, file or hub address, with their checksums.

A model folder holds NAME.safetensors (or model.safetensors), README.md (the card), recipe.toml,
reference.json, and SHA256SUMS with the checksum of the model file.
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path

from latte_ase.io import model_file
from latte_ase.io.model_file import ModelFileError
from latte_ase.model.potential import Potential

FILE = "model.safetensors"


def models_folder() -> Path:
    """The folder of the shipped models: in the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "models"
    return installed if installed.is_dir() else package.parent / "models"


def list_models() -> list[str]:
    """Names of the shipped models."""
    return sorted(p.parent.name for p in models_folder().glob(f"*/{FILE}"))


def load_model(model: Potential | str | os.PathLike) -> Potential:
    """Potential of a name, folder, file or hub address.

    Args:
        model: a name of `list_models`; a model file; a model folder; a hub address
            "hf://OWNER/NAME" (needs the package huggingface_hub, and looks into its local cache first);
            or a `Potential`, or a calculator, whose potential is returned.

    Returns:
        The potential.

    Raises:
        ValueError: no such name; lists the names.
        FileNotFoundError: a path that does not exist.
        ModelFileError: damaged, changed, or from a newer version.
    """
    if isinstance(model, Potential):
        return model
    if isinstance(of_calculator := getattr(model, "potential", None), Potential):
        return of_calculator
    path = find(model)
    return _from_folder(path) if path.is_dir() else model_file.load(path)


def find(model: str | os.PathLike) -> Path:
    """The model folder or file that a name, a path or a hub address stands for; raises as `load_model`."""
    text = os.fspath(model)
    if text.startswith("hf://"):
        return _from_hub(text)
    if isinstance(model, str) and text in list_models():
        return _shipped(text)
    path = Path(text).expanduser()
    if path.exists():
        return path
    if path.suffix or os.sep in text:
        raise FileNotFoundError(
            f"There is no model file or folder {text}. Check the path; names of shipped models are "
            f"{', '.join(list_models())}."
        )
    close = difflib.get_close_matches(text, list_models(), n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(
        f"There is no model {text!r}.{hint} Shipped models are {', '.join(list_models())}; or give a model "
        "file, a folder, or a hub address 'hf://OWNER/NAME'."
    )


def _shipped(name: str) -> Path:
    """The folder of a shipped model: a name never changes its numbers, and hides no model of the user.

    Raises:
        ValueError: a model of that name is in the working folder too.
    """
    shipped, here = models_folder() / name, Path(name)
    if (here.is_file() or (here / FILE).is_file()) and not here.samefile(shipped):
        raise ValueError(
            f"{name!r} is the name of a shipped model, and there is a model at {here.resolve()} too. Write './{name}' for that one, "
            f"'{shipped}' for the shipped one; or rename yours."
        )
    return shipped


def refuse_shipped_name(folder: Path) -> None:
    """Raise ValueError where a model in this folder would go by the name of a shipped model."""
    name, shipped = folder.name, models_folder() / folder.name
    if name not in list_models() or folder.resolve().parent != Path.cwd().resolve():
        return
    if not (folder.exists() and folder.samefile(shipped)):
        raise ValueError(
            f"The model would be written to ./{name}, but {name!r} is the name of a shipped model. Name another folder as out "
            "(--out)."
        )


def _from_folder(folder: Path) -> Potential:
    path = folder / FILE
    if not path.is_file():
        raise FileNotFoundError(f"The folder {folder} has no {FILE}. A model folder holds one; check the path.")
    sums = folder / "SHA256SUMS"
    if sums.is_file():
        # as `sha256sum` writes it: "HASH  NAME" or "HASH *NAME"
        line = re.search(
            rf"^([0-9a-f]+) [ *](?:\./)?{re.escape(FILE)}$", sums.read_text(errors="replace"), re.MULTILINE
        )
        if line is None:
            raise ModelFileError(
                f"{sums} has no line for {FILE}, so the model cannot be checked. Download or copy the folder again; if the model "
                f"is your own, write the line (sha256sum {FILE} > SHA256SUMS) or delete SHA256SUMS."
            )
        expected, actual = line[1], model_file.file_sha256(path)
        if actual != expected:
            raise ModelFileError(
                f"{path} is not the file that {sums} describes: its SHA-256 is {actual[:12]}..., expected "
                f"{expected[:12]}... Download or copy the model again; do not use it."
            )
    return model_file.load(path)


def _from_hub(address: str) -> Path:
    match = re.fullmatch(r"hf://([\w.-]+/[\w.-]+)(?:@([\w./-]+))?", address)
    if not match:
        raise ValueError(f"{address!r} is not a hub address; write 'hf://OWNER/NAME' or 'hf://OWNER/NAME@REVISION'.")
    repository, revision = match.groups()
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError as error:
        raise ImportError(
            f"Loading {address} needs the package huggingface_hub: pip install 'latte_ase[hub]'."
        ) from error
    try:
        return Path(snapshot_download(repository, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError:
        pass  # not in the local cache: ask the hub
    try:
        return Path(snapshot_download(repository, revision=revision))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise FileNotFoundError(
            f"{address} is not in the local cache and could not be downloaded ({type(error).__name__}). On a "
            f"machine with a network run 'hf download {repository}', copy the folder, and give its path instead."
        ) from error
