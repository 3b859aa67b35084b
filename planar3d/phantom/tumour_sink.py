"""The tumour sink: tracer bound in tumour is not to be had for the organs.

``c_organ -> c_organ ((1 - B) / (1 - B_0))^k`` with B the share of the administered activity that the tumour takes up, decay left out, and
B_0 that of the patients behind an uptake table. The table then holds for a usual tumour.

With k = 1 organs share what is left; they lose more than that in patients: uptake of 68Ga-PSMA-11 in salivary glands, kidneys, liver and
spleen is significantly lower where the tumour has 1.4 L or more (Gafita et al., J Nucl Med 2022;63:226), and falls with tumour uptake in
parotids, submandibular glands and kidneys with correlations of -0.45, -0.35 and -0.39 (92 patients, "Competition ('steal' phenomenon)
between [68Ga]Ga-PSMA-11 uptake in prostate tumor tissue versus healthy tissue"). k = 1.5 turns a tumour share of 15 % into an organ
uptake lower by a fifth (judgement).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from planar3d.organs import LESIONS, ORGANS

__all__ = ["TumourSink"]

_LARGEST = 0.8


@dataclass(frozen=True, kw_only=True)
class TumourSink:
    """How organs fare beside a tumour.

    Attributes:
        exponent: k; 0 for no sink.
        usual_share: Share B_0 of the tumours of the patients behind the table.
    """

    exponent: float = 1.5
    usual_share: float = 0.02

    def __post_init__(self) -> None:
        if not (self.exponent >= 0.0 and 0.0 <= self.usual_share < 1.0):
            raise ValueError(
                f"exponent must be zero or more and usual_share at least 0 and below 1, got {self.exponent}, {self.usual_share}"
            )

    def __call__(self, concentration: Tensor, tumour_share: Tensor) -> Tensor:
        """Concentrations beside a tumour, ``(b, organs)`` [Bq/mL]; those of lesions stay.

        Args:
            concentration: Without, ``(b, organs)`` [Bq/mL].
            tumour_share: Share B, ``(b,)``.
        """
        factor = ((1.0 - tumour_share.clamp(0.0, _LARGEST)) / (1.0 - self.usual_share)).pow(self.exponent)
        is_lesion = torch.tensor([name in LESIONS for name in ORGANS], device=concentration.device)
        return torch.where(is_lesion, concentration, concentration * factor[..., None])
