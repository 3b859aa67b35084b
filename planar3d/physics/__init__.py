"""The gamma camera: a differentiable linear operator from activity to expected counts, and the noise and likelihood that go with it."""

from planar3d.physics.camera_head import CameraHead, camera_head, camera_names
from planar3d.physics.collimator import Collimator, CollimatorResponse, ResponseTail
from planar3d.physics.detector import Detector
from planar3d.physics.gamma_camera import GammaCamera
from planar3d.physics.likelihood import poisson_deviance, poisson_log_likelihood
from planar3d.physics.noise import poisson
from planar3d.physics.operator import LinearOperator
from planar3d.physics.orbit import Orbit
from planar3d.physics.planar_projector import PlanarProjector
from planar3d.physics.rotating_projector import RotatingProjector
from planar3d.physics.scatter import ObjectScatter

__all__ = [
    "CameraHead",
    "Collimator",
    "CollimatorResponse",
    "Detector",
    "GammaCamera",
    "LinearOperator",
    "ObjectScatter",
    "Orbit",
    "PlanarProjector",
    "ResponseTail",
    "RotatingProjector",
    "camera_head",
    "camera_names",
    "poisson",
    "poisson_deviance",
    "poisson_log_likelihood",
]
