"""Anatomy: what organs a patient has, where they are and what they attenuate."""

from planar3d.anatomy.ct import SCANNERS, body_mask, hu_to_mu
from planar3d.anatomy.digital import digital_patient, render_patient
from planar3d.anatomy.field import TORSO, WHOLE_BODY
from planar3d.anatomy.habitus import Habitus, draw_habitus
from planar3d.anatomy.patient import Patient
from planar3d.anatomy.warp import Warp, draw_warp, warp_patient

__all__ = [
    "SCANNERS", "TORSO", "WHOLE_BODY", "Habitus", "Patient", "Warp", "body_mask", "digital_patient", "draw_habitus", "draw_warp",
    "hu_to_mu", "render_patient", "warp_patient",
]  # fmt: skip
