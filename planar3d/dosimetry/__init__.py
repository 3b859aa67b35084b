"""From activity over time to absorbed dose."""

from planar3d.dosimetry.biological import biologically_effective_dose, equivalent_uniform_bed, equivalent_uniform_dose
from planar3d.dosimetry.budget import UncertaintyBudget, uncertainty_budget
from planar3d.dosimetry.decay import decay_correct
from planar3d.dosimetry.density import hu_to_density
from planar3d.dosimetry.dose_posterior import DosePosterior, dose_posterior
from planar3d.dosimetry.dose_volume import DoseVolume
from planar3d.dosimetry.effective_half_life import EffectiveHalfLifePrior
from planar3d.dosimetry.emissions import Emissions
from planar3d.dosimetry.kernel import VoxelKernel, voxel_kernel
from planar3d.dosimetry.kinetics import MODELS, fit_kinetics
from planar3d.dosimetry.marrow import marrow_dose_from_blood, marrow_dose_from_image, marrow_to_blood_ratio
from planar3d.dosimetry.organ import OrganDoses, OrganSValues, cumulated, local_s_values, organ_doses, organ_s_values
from planar3d.dosimetry.single_time_point import haenscheid_half_lives_s
from planar3d.dosimetry.time_axis import TimeAxis, parse_time
from planar3d.dosimetry.time_integrated_activity import METHODS, TimeIntegratedActivity
from planar3d.dosimetry.volume_error import RecoveryCurve
from planar3d.dosimetry.voxel_dose import KernelDose, local_dose

__all__ = [
    "METHODS",
    "MODELS",
    "DosePosterior",
    "DoseVolume",
    "EffectiveHalfLifePrior",
    "Emissions",
    "KernelDose",
    "OrganDoses",
    "OrganSValues",
    "RecoveryCurve",
    "TimeAxis",
    "TimeIntegratedActivity",
    "UncertaintyBudget",
    "VoxelKernel",
    "biologically_effective_dose",
    "cumulated",
    "decay_correct",
    "dose_posterior",
    "equivalent_uniform_bed",
    "equivalent_uniform_dose",
    "fit_kinetics",
    "haenscheid_half_lives_s",
    "hu_to_density",
    "local_dose",
    "local_s_values",
    "marrow_dose_from_blood",
    "marrow_dose_from_image",
    "marrow_to_blood_ratio",
    "organ_doses",
    "organ_s_values",
    "parse_time",
    "uncertainty_budget",
    "voxel_kernel",
]
