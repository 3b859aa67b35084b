"""Networks and losses; they know arrays, not patients."""

from planar3d.nn.loss import ActivityLoss
from planar3d.nn.unet import CorrectionUNet

__all__ = ["ActivityLoss", "CorrectionUNet"]
