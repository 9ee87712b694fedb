"""`latte-ase live`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def live(
    file: Annotated[
        Path, typer.Argument(help="a structure, any format of ase.io.read; of several frames the last one")
    ],
    potential: Annotated[
        str, typer.Option("--potential", "-p", help="model (name, file, folder, hub address), or MODULE:CLASS")
    ],
    port: Annotated[int, typer.Option(help="of the page on 127.0.0.1; 0 for any that is free")] = 0,
    mode: Annotated[str, typer.Option(help="nve, langevin, npt or relax")] = "langevin",
    temperature: Annotated[float, typer.Option(help="of the thermostat in Kelvin")] = 300.0,
    timestep: Annotated[
        float | None, typer.Option(help="in fs; default 0.5 with hydrogen, 2 without", show_default=False)
    ] = None,
    imd: Annotated[
        int | None,
        typer.Option(help="port for programs that speak IMD, version 3; 0 for any that is free", show_default=False),
    ] = None,
    browser: Annotated[bool, typer.Option(help="whether a browser is opened")] = True,
):
    """Run a simulation and open a page on which it is watched and steered; Ctrl-C ends it.

    MODULE:CLASS, such as ase.calculators.emt:EMT, is called without arguments.
    """
    import webbrowser

    from ase import units

    from latte_ase.io.frames import read_frames
    from latte_ase.live import live as begin
    from latte_ase.live.server import require_websockets
    from latte_ase.testing.find import is_import_path, load_calculator

    require_websockets()  # before anything takes time
    if is_import_path(potential):
        calc = load_calculator(potential)
    else:
        from latte_ase import LatteCalculator

        calc = LatteCalculator.from_pretrained(potential)
    atoms = read_frames(file)[-1]
    step = None if timestep is None else timestep * units.fs
    with begin(atoms, calc, mode=mode, temperature_K=temperature, timestep=step) as session:
        try:
            url = session.serve(port=port)
            print(f"{file.name} with {potential}: {url}")
            if imd is not None:
                print(f"IMD: port {session.serve_imd(port=imd)} of 127.0.0.1")
            print("Ctrl-C ends the simulation.", flush=True)
            if browser:
                webbrowser.open(url)
            session.join()
        except KeyboardInterrupt:
            print("ended")
