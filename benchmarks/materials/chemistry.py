"""Which elements form a crystal that is worth a label: by common oxidation states."""

CHARGES = {
    "H": (1, -1), "Li": (1,), "Na": (1,), "K": (1,), "Rb": (1,), "Cs": (1,), "Be": (2,), "Mg": (2,), "Ca": (2,), "Sr": (2,), "Ba": (2,),
    "B": (3, -3), "Al": (3,), "Ga": (3,), "In": (3, 1), "Tl": (1, 3), "C": (4, -4), "Si": (4, -4), "Ge": (4, 2, -4), "Sn": (4, 2), "Pb": (2, 4),
    "N": (-3, 5), "P": (-3, 5, 3), "As": (-3, 3, 5), "Sb": (-3, 3, 5), "Bi": (3, -3), "O": (-2,), "S": (-2, 6, 4), "Se": (-2, 4), "Te": (-2, 4),
    "F": (-1,), "Cl": (-1,), "Br": (-1,), "I": (-1, 5), "Sc": (3,), "Y": (3,), "La": (3,), "Ti": (4, 3, 2), "Zr": (4,), "Hf": (4,),
    "V": (5, 4, 3, 2), "Nb": (5, 4), "Ta": (5,), "Cr": (3, 6, 2), "Mo": (6, 4), "W": (6, 4), "Mn": (2, 3, 4, 7), "Tc": (7, 4), "Re": (7, 4, 6),
    "Fe": (3, 2), "Ru": (4, 3), "Os": (4, 8), "Co": (2, 3), "Rh": (3,), "Ir": (4, 3), "Ni": (2, 3), "Pd": (2, 4), "Pt": (4, 2), "Cu": (2, 1),
    "Ag": (1,), "Au": (1, 3), "Zn": (2,), "Cd": (2,), "Hg": (2,), "Ce": (3, 4), "Eu": (2, 3), "Yb": (3, 2), "Th": (4,), "U": (6, 4, 5), "Pa": (5, 4),
    "Np": (5, 4), "Pu": (4, 3), "Xe": (2,), "Ac": (3,),
} | {e: (3,) for e in ["Pr", "Nd", "Pm", "Sm", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Lu"]}  # fmt: skip
"""Common oxidation states."""
NONMETALS = frozenset(
    [
        "H",
        "B",
        "C",
        "N",
        "O",
        "F",
        "Si",
        "P",
        "S",
        "Cl",
        "Ge",
        "As",
        "Se",
        "Br",
        "Te",
        "I",
        "He",
        "Ne",
        "Ar",
        "Kr",
        "Xe",
    ]
)
NOBLE = frozenset(["He", "Ne", "Ar", "Kr", "Xe"])


def balanced(symbols: list[str], counts: list[int]) -> bool:
    """Whether common oxidation states of these elements, so many atoms of each, sum to zero."""
    sums = {0}
    for symbol, count in zip(symbols, counts, strict=True):
        sums = {total + count * charge for total in sums for charge in CHARGES.get(symbol, (0,))}
    return 0 in sums


def likely(symbols: list[str], counts: list[int]) -> bool:
    """Whether such a crystal is worth a label: an element, metals only, or charges that sum to zero."""
    if any(s in NOBLE for s in symbols):
        return len(symbols) == 1
    return len(symbols) == 1 or not any(s in NONMETALS for s in symbols) or balanced(symbols, counts)
