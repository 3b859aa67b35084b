"""Phantoms: what activity a patient might hold, drawn apart from being rendered into an anatomy."""

from planar3d.phantom.biodistribution import Biodistribution
from planar3d.phantom.deformation import Deformation
from planar3d.phantom.lesion import LesionPopulation
from planar3d.phantom.synthesis import Phantom, PhantomRecord, PhantomSynthesizer
from planar3d.phantom.texture import Texture
from planar3d.phantom.unlabelled_uptake import UnlabelledUptake
from planar3d.phantom.uptake_table import UPTAKE_TABLES, TissueUptake

__all__ = [
    "UPTAKE_TABLES",
    "Biodistribution",
    "Deformation",
    "LesionPopulation",
    "Phantom",
    "PhantomRecord",
    "PhantomSynthesizer",
    "Texture",
    "TissueUptake",
    "UnlabelledUptake",
]
