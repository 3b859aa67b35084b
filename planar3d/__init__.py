"""planar3d: 3D activity maps, with uncertainty, from two planar gamma-camera images and the patient's own anatomy."""

__version__ = "0.1.0"
