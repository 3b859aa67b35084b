"""Phantoms: what activity a patient might hold, drawn apart from being rendered into an anatomy."""

from planar3d.phantom.arm_position import ArmPosition
from planar3d.phantom.biodistribution import Biodistribution
from planar3d.phantom.breathing import Breathing
from planar3d.phantom.deformation import Deformation
from planar3d.phantom.filling import Filling
from planar3d.phantom.lesion import LesionPopulation
from planar3d.phantom.lesion_count import LesionCount
from planar3d.phantom.mu_error import MuError
from planar3d.phantom.pet import PetGuide
from planar3d.phantom.synthesis import Phantom, PhantomRecord, PhantomSynthesizer
from planar3d.phantom.texture import Texture
from planar3d.phantom.tissue_uptake import TissueUptake
from planar3d.phantom.tracers import UPTAKE_TABLES
from planar3d.phantom.tumour_sink import TumourSink
from planar3d.phantom.unlabelled_uptake import UnlabelledUptake

__all__ = [
    "UPTAKE_TABLES",
    "ArmPosition",
    "Biodistribution",
    "Breathing",
    "Deformation",
    "Filling",
    "LesionCount",
    "LesionPopulation",
    "MuError",
    "PetGuide",
    "Phantom",
    "PhantomRecord",
    "PhantomSynthesizer",
    "Texture",
    "TissueUptake",
    "TumourSink",
    "UnlabelledUptake",
]
