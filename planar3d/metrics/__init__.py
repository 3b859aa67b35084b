"""Metrics of the benchmark: image, organs and lesions, calibration, and intervals over cases."""

from planar3d.metrics.bootstrap import MeanInterval, bootstrap_mean, paired_difference
from planar3d.metrics.calibration import interval_coverage, sample_coverage
from planar3d.metrics.image import nmae, ssim3d
from planar3d.metrics.quantification import LesionRecovery, OrganErrors, lesion_recovery, organ_errors
from planar3d.metrics.ranks import crps, sample_ranks
from planar3d.physics import poisson_deviance

__all__ = [
    "LesionRecovery",
    "MeanInterval",
    "OrganErrors",
    "bootstrap_mean",
    "crps",
    "interval_coverage",
    "lesion_recovery",
    "nmae",
    "organ_errors",
    "paired_difference",
    "poisson_deviance",
    "sample_coverage",
    "sample_ranks",
    "ssim3d",
]
