"""Anatomy: what organs a patient has, where they are and what they attenuate."""

from planar3d.anatomy.ct import SCANNERS, body_mask, hu_to_mu
from planar3d.anatomy.digital import digital_patient, render_patient
from planar3d.anatomy.habitus import Habitus, draw_habitus
from planar3d.anatomy.patient import Patient

__all__ = ["SCANNERS", "Habitus", "Patient", "body_mask", "digital_patient", "draw_habitus", "hu_to_mu", "render_patient"]
