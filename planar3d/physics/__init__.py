"""The gamma camera: a differentiable linear operator from activity to expected counts, and the noise and likelihood that go with it."""

from planar3d.physics.background import RoomBackground
from planar3d.physics.camera_head import CameraHead, camera_head, camera_names
from planar3d.physics.collimator import Collimator, CollimatorResponse, ResponseTail
from planar3d.physics.dead_time import DeadTime
from planar3d.physics.detector import Detector
from planar3d.physics.exposure import Exposure, apply_dead_time, correct_dead_time
from planar3d.physics.gamma_camera import GammaCamera
from planar3d.physics.likelihood import poisson_deviance, poisson_log_likelihood
from planar3d.physics.noise import poisson
from planar3d.physics.null_space import split_visible
from planar3d.physics.operator import LinearOperator
from planar3d.physics.orbit import Orbit
from planar3d.physics.planar_projector import PlanarProjector
from planar3d.physics.rotating_projector import RotatingProjector
from planar3d.physics.scatter import ObjectScatter
from planar3d.physics.side_windows import SideWindowScatter
from planar3d.physics.spots import StaticSpots
from planar3d.physics.sweep import WholeBodySweep

__all__ = [
    "CameraHead",
    "Collimator",
    "CollimatorResponse",
    "DeadTime",
    "Detector",
    "Exposure",
    "GammaCamera",
    "LinearOperator",
    "ObjectScatter",
    "Orbit",
    "PlanarProjector",
    "ResponseTail",
    "RoomBackground",
    "RotatingProjector",
    "SideWindowScatter",
    "StaticSpots",
    "WholeBodySweep",
    "apply_dead_time",
    "camera_head",
    "camera_names",
    "correct_dead_time",
    "poisson",
    "poisson_deviance",
    "poisson_log_likelihood",
    "split_visible",
]
