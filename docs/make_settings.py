"""The table of all settings, docs/settings.md, made of the dataclasses that hold them.

    python docs/make_settings.py

Defaults and what is allowed come from their fields and annotations, meanings from their docstrings.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
from pathlib import Path
from typing import Any

import griffe

from latte_ase import settings
from latte_ase.finetuning.finetune import DEFAULTS
from latte_ase.model.descriptors import DESCRIPTORS
from latte_ase.training.config import DataConfig, ModelConfig, TrainingConfig

PAGE = Path(__file__).parent / "settings.md"
HEAD = """\
# Settings

<!-- written by docs/make_settings.py -->

All entries of a [recipe](howto/training.md). Each is checked when the recipe is read: an entry that is unknown, of another type or out of range
is named with its value and what is allowed. `preset = "small"`, `"medium"` or `"large"` at the top of a recipe gives other defaults, which
are in [latte_ase/training/presets](../latte_ase/training/presets/medium.toml); they go with any descriptor.
"""
MODEL = """
Beside these, the table takes the entries of its descriptor.
"""
TRAINING = """
These are also keywords of [`latte_ase.finetune`](finetuning.md), whose own defaults are {defaults}, and `epochs` for 2500 steps.
"""
DESCRIPTOR = """
[Choose a descriptor](howto/descriptor.md) says which to take, [Descriptors compared](family.md) has their formulas.
"""


def page() -> str:
    """The text of docs/settings.md."""
    defaults = ", ".join(f"`{name} = {toml(value)}`" for name, value in DEFAULTS.items())
    parts = [
        HEAD,
        f"## [model]\n\n{table(ModelConfig, leave_out=['options'])}{MODEL}",
        f"## [data]\n\n{table(DataConfig)}",
        f"## [training]\n\n{table(TrainingConfig)}{TRAINING.format(defaults=defaults)}",
        f"## Descriptors\n{DESCRIPTOR}",
        *(f'### descriptor = "{name}"\n\n{table(cls, leave_out=["cutoff"])}' for name, cls in DESCRIPTORS.items()),
        "## [card]\n\nFacts about the model and its data, such as `level_of_theory`; any entries, kept in the metadata of the model file.\n",
    ]
    return "\n".join(parts)


def table(cls: type, *, leave_out: tuple[str, ...] | list[str] = ()) -> str:
    """The settings of a dataclass as a Markdown table."""
    meanings, kinds = meanings_of(cls), settings.field_types(cls)
    lines = ["| entry | default | unit | allowed | meaning |", "| --- | --- | --- | --- | --- |"]
    for field in dataclasses.fields(cls):
        if field.name not in leave_out:
            kind = kinds[field.name]
            allowed = settings.describe(kind).removesuffix(",")
            lines.append(
                f"| `{field.name}` | {default(field)} | {settings.unit(kind)} | {allowed} | {meanings[field.name]} |"
            )
    return "\n".join(lines) + "\n"


def default(field: dataclasses.Field) -> str:
    """The default of a field as in a recipe."""
    if field.default_factory is not dataclasses.MISSING:
        return f"`{toml(field.default_factory())}`"
    return "required" if field.default is dataclasses.MISSING else f"`{toml(field.default)}`"


def toml(value: Any) -> str:
    """A value as TOML writes it."""
    return "inf" if value == float("inf") else json.dumps(value)


def meanings_of(cls: type) -> dict[str, str]:
    """What the docstring of a dataclass says of each attribute, in one line."""
    sections = griffe.Docstring(inspect.getdoc(cls) or "", parser="google").parse()
    (attributes,) = (s.value for s in sections if s.kind is griffe.DocstringSectionKind.attributes)
    return {a.name: " ".join(a.description.split()).replace("|", "\\|") for a in attributes}


if __name__ == "__main__":
    PAGE.write_text(page())
