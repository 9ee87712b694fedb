"""Simulations that are steered while they run: in a notebook, in a browser, from Python."""

from latte_ase.live.frame import LiveFrame
from latte_ase.live.session import Session, live

__all__ = ["LiveFrame", "Session", "live"]
