"""The picture of the rooms of the package and of their imports: docs/rooms.svg.

    python docs/rooms.py

Rooms are the folders and modules directly below latte_ase/, in the order of tests/test_imports.py.  An arc leads from a
room to one that it imports, thick where no other path of imports connects the two.  Imports from top to bottom, which
there are none of, would be arcs on the left.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "rooms.svg"
STEP, WIDTH, HEIGHT = 40, 120, 26
"""Distance of two rooms, and size of a room, in pixels."""
LEFT, RIGHT, MARGIN = 60, 250, 16
"""Space beside the rooms for arcs, and around the picture."""
STYLE = """
.paper { fill: #ffffff }
.room { fill: #e0f2f1; stroke: #00897b }
text { font: 13px sans-serif; fill: #222222; dominant-baseline: central; text-anchor: middle }
path { fill: none; stroke: #b0bec5; stroke-width: 1 }
path.direct { stroke: #00796b; stroke-width: 2 }
path.back { stroke: #d32f2f; stroke-width: 2 }
"""


def main() -> None:
    """Write the picture."""
    PICTURE.write_text(picture())


def picture() -> str:
    """The text of the picture, from the code as it is."""
    rooms = order()
    imports = {room: imported(room, rooms) for room in rooms}
    direct = {(a, b) for a in rooms for b in imports[a] if not elsewhere(a, b, imports)}
    arcs = [arc(rooms.index(a), rooms.index(b), (a, b) in direct) for a in rooms for b in sorted(imports[a])]
    boxes = [box(place, room) for place, room in enumerate(rooms)]
    width, height = LEFT + WIDTH + 0.85 * RIGHT, 2 * MARGIN + STEP * len(rooms)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height}" viewBox="0 0 {width:g} {height}">',
            f"<style>{STYLE}</style>",
            f'<rect class="paper" width="{width:g}" height="{height}"/>',
            *sorted(arcs, key=lambda text: "direct" in text),  # thick ones above thin ones
            *boxes,
            "</svg>\n",
        ]
    )


def order() -> list[str]:
    """The rooms, in the order of the data flow."""
    tree = ast.parse((ROOT / "tests" / "test_imports.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ROOMS":
            return ast.literal_eval(node.value)
    raise LookupError("tests/test_imports.py has no ROOMS.")


def files(room: str) -> list[Path]:
    """The modules of a room."""
    folder = ROOT / "latte_ase" / room
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


def imported(room: str, rooms: list[str]) -> set[str]:
    """Other rooms that the modules of a room import, be it in a function."""
    found = set()
    for path in files(room):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("latte_ase"):
                names = [f"{node.module}.{alias.name}".split(".")[1] for alias in node.names]
                found |= {name for name in names if name in rooms} - {room}
    return found


def elsewhere(a: str, b: str, imports: dict[str, set[str]]) -> bool:
    """Whether a imports b through other rooms too."""
    return any(b in reachable(other, imports) for other in imports[a] - {b})


def reachable(room: str, imports: dict[str, set[str]], seen: frozenset[str] = frozenset()) -> set[str]:
    """The rooms that a room imports, at once or through others."""
    further = imports[room] - seen
    return imports[room].union(*(reachable(other, imports, seen | imports[room]) for other in further))


def centre(place: int) -> int:
    """Height of the middle of a room."""
    return MARGIN + STEP * place + STEP // 2


def box(place: int, room: str) -> str:
    """A room with its name."""
    y = centre(place)
    return (
        f'<rect class="room" x="{LEFT}" y="{y - HEIGHT // 2}" width="{WIDTH}" height="{HEIGHT}" rx="4"/>'
        f'<text x="{LEFT + WIDTH // 2}" y="{y}">{room}</text>'
    )


def arc(start: int, end: int, direct: bool) -> str:
    """An arc with an arrow head, from the room that imports to the one that is imported."""
    back = end > start
    side = -1 if back else 1
    x, reach = (LEFT, LEFT * 0.9) if back else (LEFT + WIDTH, 30 + RIGHT * (start - end) / 14)
    top, bottom = centre(start) - 4 * side, centre(end) + 4 * side
    bend = x + side * reach
    curve = f"M{x},{top} C{bend:.0f},{top} {bend:.0f},{bottom} {x + side * 5},{bottom}"
    head = f"m{side * 5},-4 l{-side * 7},4 l{side * 7},4"
    kind = "back" if back else "direct" if direct else "through"
    return f'<path class="{kind}" d="{curve} {head}"/>'


if __name__ == "__main__":
    main()
