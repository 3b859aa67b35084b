"""Reconstruction: from two views and the anatomy, or from the views of a SPECT, to an activity map with its uncertainty."""

from planar3d.reconstruction.conjugate_view import ConjugateView
from planar3d.reconstruction.couple import CoupledActivities, couple, organ_activities_of_samples
from planar3d.reconstruction.joint_qplanar import JointPosterior, JointQPlanar
from planar3d.reconstruction.kinetic_activities import KineticActivities
from planar3d.reconstruction.margin import between_margins, with_spill_known
from planar3d.reconstruction.mlem import MLEM, mlem_update
from planar3d.reconstruction.osem import OSEM, TomographicProblem
from planar3d.reconstruction.posterior import OrganActivities, Posterior
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.reconstruction.qplanar import QPlanar
from planar3d.reconstruction.qplanar_em import QPlanarEM
from planar3d.reconstruction.registration import OffsetPrior
from planar3d.reconstruction.rigid_offset import RigidOffset

__all__ = [
    "MLEM",
    "OSEM",
    "ConjugateView",
    "CoupledActivities",
    "JointPosterior",
    "JointQPlanar",
    "KineticActivities",
    "OffsetPrior",
    "OrganActivities",
    "PlanarProblem",
    "Posterior",
    "QPlanar",
    "QPlanarEM",
    "RigidOffset",
    "TomographicProblem",
    "between_margins",
    "couple",
    "mlem_update",
    "organ_activities_of_samples",
    "with_spill_known",
]
