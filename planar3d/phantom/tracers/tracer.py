"""A tracer: its radionuclide, the uptake of every tissue, and its excretion."""

from __future__ import annotations

from dataclasses import dataclass

from planar3d.phantom.bladder import VoidingBladder
from planar3d.phantom.tissue_uptake import TissueUptake

__all__ = ["Tracer"]


@dataclass(frozen=True, kw_only=True)
class Tracer:
    """What is known of a tracer.

    Attributes:
        isotope: Radionuclide.
        administered_bq: Usual activity [Bq].
        tissues: Uptake of each tissue; organs in none of them take that of ``body``.
        urine: Excretion by the kidneys.
    """

    isotope: str
    administered_bq: float
    tissues: tuple[TissueUptake, ...]
    urine: VoidingBladder
