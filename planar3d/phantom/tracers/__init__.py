"""Tracers by name: uptake tables with their sources, one file each."""

from planar3d.phantom.tissue_uptake import TissueUptake
from planar3d.phantom.tracers.bone_agent import BONE_AGENT
from planar3d.phantom.tracers.dotatate import DOTATATE
from planar3d.phantom.tracers.iodine import IODINE
from planar3d.phantom.tracers.psma import PSMA617, PSMA_IT
from planar3d.phantom.tracers.tracer import Tracer

__all__ = ["TRACERS", "UPTAKE_TABLES", "Tracer"]

TRACERS: dict[str, Tracer] = {"psma617": PSMA617, "dotatate": DOTATATE, "psma_it": PSMA_IT, "iodine": IODINE, "bone_agent": BONE_AGENT}
"""177Lu-PSMA-617, 177Lu-DOTATATE, 177Lu-PSMA-I&T, 131I after thyroidectomy, and a 99mTc diphosphonate."""

UPTAKE_TABLES: dict[str, tuple[TissueUptake, ...]] = {name: tracer.tissues for name, tracer in TRACERS.items()}
"""Their tissues alone."""
