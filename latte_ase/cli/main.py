"""The command `latte-ase`."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Machine-learned potentials for ASE: list, inspect, evaluate, train, fine-tune, check models, and doubt them.",
)


MISTAKES = (ValueError, TypeError, OSError, ImportError, FloatingPointError, RuntimeError, MemoryError)
"""Errors whose messages say what to do."""


def _plain_errors(command):
    """Mistakes of the user end with one line on standard error, not with a traceback."""

    @functools.wraps(command)
    def wrapped(*args, **kwargs):
        try:
            return command(*args, **kwargs)
        except MISTAKES as error:
            print(f"latte-ase: {error}", file=sys.stderr)
            raise typer.Exit(1) from error
        except Exception as error:
            if type(error).__name__ != "UnknownFileTypeError":  # of ase.io, which is not imported for this
                raise
            print(f"latte-ase: ASE does not know the type of this file ({error}).", file=sys.stderr)
            raise typer.Exit(1) from error

    return wrapped


@app.command()
@_plain_errors
def models():
    """List the shipped models."""
    from latte_ase import list_models, load_model

    for name in list_models():
        potential = load_model(name)
        print(f"{name:16s} {' '.join(potential.elements):12s} {potential.metadata.get('level_of_theory', '')}")


@app.command()
@_plain_errors
def info(model: Annotated[str, typer.Argument(help="name, file, folder or hub address")]):
    """Show what is known about a model."""
    from rich import print_json

    from latte_ase import load_model
    from latte_ase.io.hyperparameters import architecture_to_json

    potential = load_model(model)
    energies = dict(zip(potential.elements, potential.reference_energies.tolist(), strict=True))
    print_json(
        data={
            "architecture": architecture_to_json(potential.architecture),
            "reference_energies": energies,
            "committee": 0 if potential.committee is None else len(potential.committee),
            **potential.metadata,
        }
    )


@app.command()
@_plain_errors
def evaluate(
    model: Annotated[str, typer.Argument(help="name, file, folder or hub address")],
    file: Annotated[Path, typer.Argument(help="labelled structures, any format of ase.io.read")],
    plot: Annotated[Path | None, typer.Option(help="where to write the parity plot")] = Path("parity.png"),
    dtype: Annotated[str, typer.Option(help="float32 or float64")] = "float32",
):
    """Print errors of a model on labelled structures, per element, and draw a parity plot."""
    from rich.console import Console
    from rich.progress import track
    from rich.table import Table

    from latte_ase import evaluation, plots

    result = evaluation.evaluate(model, file, dtype=dtype, progress=functools.partial(track, description="evaluating"))
    m = result.metrics
    table = Table("", "MAE", "RMSE", "unit", title=f"{model} on {file.name}: {len(result.energy)} frames")
    table.add_row("energy", f"{m['energy_mae']:.3f}", f"{m['energy_rmse']:.3f}", "meV/atom")
    table.add_row("forces", f"{m['forces_mae']:.2f}", f"{m['forces_rmse']:.2f}", "meV/Å")
    for symbol, e in result.per_element.items():
        table.add_row(f"forces on {symbol}", f"{e['forces_mae']:.2f}", f"{e['forces_rmse']:.2f}", "meV/Å")
    Console().print(table)
    if plot is not None:
        plots.parity(result, plot)
        print(f"parity plot: {plot}")


@app.command()
@_plain_errors
def train(
    config: Annotated[Path, typer.Argument(help="TOML file, such as models/latte-si-large/recipe.toml")],
    data: Annotated[Path | None, typer.Option(help="folder of the data; default: that of CONFIG")] = None,
    out: Annotated[Path | None, typer.Option(help="folder to write; default: the model's name")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="continue from the checkpoint in OUT")] = False,
):
    """Train a model from scratch."""
    from dataclasses import replace

    from latte_ase.training import load_config
    from latte_ase.training import train as run

    settings = load_config(config)
    if data is not None:
        settings = replace(settings, folder=data)
    result = run(settings, out=out, resume=resume)
    _report_best(result.history)
    print(f"model: {result.path}")


@app.command()
@_plain_errors
def finetune(
    model: Annotated[str, typer.Argument(help="name, file, folder or hub address")],
    file: Annotated[Path, typer.Argument(help="labelled structures, any format of ase.io.read")],
    out: Annotated[Path, typer.Option(help="folder to write")],
    valid: Annotated[Path | None, typer.Option(help="held-out structures; default: a tenth of FILE")] = None,
    strategy: Annotated[str, typer.Option(help="full, network, last-layer or lora")] = "full",
    replayed: Annotated[
        Path | None, typer.Option(help="structures of the model's own data, against forgetting")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="passes over FILE; default: about 2500 steps, at least 10 passes")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="continue from the checkpoint in OUT")] = False,
):
    """Adapt a model to new labels; elements that it does not know are added."""
    from latte_ase.finetuning import finetune as run

    length: dict[str, Any] = {} if epochs is None else {"epochs": epochs}
    result = run(model, file, out=out, valid=valid, strategy=strategy, replayed=replayed, resume=resume, **length)
    print(result.table)
    try:
        result.plot(out.expanduser() / "finetuning.png")
    except ImportError as error:
        print(error)
    print(f"model: {result.path}")


@app.command()
@_plain_errors
def uncertainty(
    model: Annotated[str, typer.Argument(help="name, file, folder or hub address")],
    file: Annotated[Path, typer.Argument(help="the labelled structures that it was trained on")],
    held_out: Annotated[Path, typer.Option(help="labelled structures that it was not trained on")],
    out: Annotated[Path, typer.Option(help="model file to write")],
    members: Annotated[int, typer.Option(help="uncertainties cost so many force calls")] = 16,
):
    """Give a model a committee of last layers, so that it can say how uncertain it is."""
    from rich.progress import track

    from latte_ase.io.model_file import save_model
    from latte_ase.uncertainty import assess, last_layer

    if out.is_dir():
        raise IsADirectoryError(f"{out} is a folder; give the name of a file, such as {out / 'certain.safetensors'}.")
    show = functools.partial(track, description="structures")
    potential = last_layer(model, file, held_out=held_out, members=members, progress=show)
    _print_coverage(assess(potential, held_out).metrics)
    print(f"model: {save_model(potential, out)}")


@app.command()
@_plain_errors
def select(
    model: Annotated[str, typer.Argument(help="name, file, folder or hub address; with a committee")],
    file: Annotated[Path, typer.Argument(help="trajectory, any format of ase.io.read")],
    count: Annotated[int, typer.Option(help="how many structures to choose")],
    out: Annotated[Path, typer.Option(help="extended XYZ file to write")],
):
    """Pick the most informative structures of a trajectory, to be labelled: uncertain ones that are not alike."""
    from ase.io import write
    from rich.progress import track

    from latte_ase import uncertainty as package
    from latte_ase.io.frames import read_frames

    out.parent.mkdir(parents=True, exist_ok=True)
    frames = read_frames(file)
    chosen = package.select(model, frames, count, progress=functools.partial(track, description="structures"))
    picked = []
    for index, sigma in chosen:
        atoms = frames[index].copy()
        atoms.info |= {"frame": index, "uncertainty": sigma}
        picked.append(atoms)
        print(f"frame {index}: a force is uncertain by {sigma:.3g} eV/Å")
    write(out, picked, format="extxyz")
    print(f"{len(picked)} of {len(frames)} structures: {out}")


@app.command()
@_plain_errors
def check(
    calculator: Annotated[str, typer.Argument(help="model (name, file, folder, hub address), or MODULE:CLASS")],
    json: Annotated[Path | None, typer.Option(help="where to write the report as JSON")] = None,
    dtype: Annotated[
        str | None, typer.Option(help="float64 (default) or float32: of a model, and of the tolerances")
    ] = None,
    elements: Annotated[str | None, typer.Option(help="such as Cu,Au; default: what the calculator knows")] = None,
    structures: Annotated[Path | None, typer.Option(help="structures to check on, any format of ase.io.read")] = None,
    only: Annotated[list[str] | None, typer.Option(help="a property; may be given several times")] = None,
):
    """Check the physics of an ASE calculator, and what ASE asks of it; exit status 1 if something fails.

    MODULE:CLASS is called without arguments, such as ase.calculators.emt:EMT.
    """
    from ase.io import read
    from rich.console import Console

    from latte_ase.testing import check_calculator
    from latte_ase.testing.find import is_import_path, load_calculator

    if is_import_path(calculator):
        calc = load_calculator(calculator)
    else:
        from latte_ase import LatteCalculator

        calc = LatteCalculator.from_pretrained(calculator, dtype=dtype or "float64")
    if json is not None:
        json.parent.mkdir(parents=True, exist_ok=True)
    frames = None
    if structures is not None:
        if not structures.is_file():
            raise FileNotFoundError(f"There is no file {structures}; give one with structures.")
        frames = read(structures, ":")
    with Console(stderr=True).status("") as status:
        report = check_calculator(
            calc,
            frames,  # pyright: ignore[reportArgumentType]  # ":" gives a list
            elements=None if elements is None else elements.replace(",", " ").split(),
            precision=dtype,
            only=only,
            progress=lambda name: status.update(f"checking: {name}"),
        )
    Console().print(report, soft_wrap=True)
    if json is not None:
        json.write_text(report.to_json())
        print(f"report: {json}")
    if not report.passed:
        raise typer.Exit(1)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
@_plain_errors
def run(context: typer.Context):
    """ASE's own command `ase run`, with this calculator: latte-ase run si.xyz -p potential=latte-si -f 0.01"""
    from latte_ase import ase_plugin

    ase_plugin.run(context.args)


def _print_coverage(found: dict[str, float]):
    for name in ("energy", "forces"):
        print(
            f"{name} of the structures it was scaled by (68 % by construction): {found[f'{name}_within_1']:.0%} within one sigma, "
            f"{found[f'{name}_within_2']:.0%} within two, rank correlation {found[f'{name}_rank']:.2f}"
        )


def _report_best(history):
    best = min(history, key=lambda row: row["criterion"])
    print(
        f"best epoch {best['epoch']}: energy {best['valid_energy_mae']:.2f} / {best['valid_energy_rmse']:.2f} meV/atom, "
        f"forces {best['valid_forces_mae']:.1f} / {best['valid_forces_rmse']:.1f} meV/Å (MAE / RMSE)"
    )


def main():
    """The command, with compiled functions kept from one call to the next."""
    from latte_ase.io.compilation_cache import prepare_command

    prepare_command()
    app()


if __name__ == "__main__":
    main()
