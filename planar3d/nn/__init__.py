"""Networks and losses; they know arrays, not patients."""

from planar3d.nn.denoiser import PreconditionedDenoiser
from planar3d.nn.loss import ActivityLoss
from planar3d.nn.posterior_net import PosteriorNet
from planar3d.nn.spread_loss import spread_loss
from planar3d.nn.unet import CorrectionUNet

__all__ = ["ActivityLoss", "CorrectionUNet", "PosteriorNet", "PreconditionedDenoiser", "spread_loss"]
