"""Patients treated with 177Lu-PSMA-617 and the decays that truly happen in them; for `population.py` and `planar.py`.

Phantoms of ``conf/phantom/psma_population.yaml``: wide uptake, tumour sink, voiding bladder, one to sixty lesions. Of what makes the
image differ from the anatomy given, the deformation alone is kept (``conf/benchmark/sim_v1_coarse.yaml``), drawn anew for each time;
lesions and uptake outside the labels are put into the anatomy before it moves, so that they stay with their patient.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import Tensor

from planar3d.config import CONFIG_DIR
from planar3d.dosimetry import EffectiveHalfLifePrior
from planar3d.phantom import PhantomRecord, PhantomSynthesizer
from planar3d.phantom.deformation import Deformation
from planar3d.radionuclide import Radionuclide
from planar3d.units import SECONDS_PER_HOUR

HOURS = (4.0, 24.0, 72.0, 168.0)
HALF_LIFE_S = Radionuclide.from_name("Lu-177").half_life_s
UPTAKE_SEED = 1_000_000  # added to a patient's seed for what is not anatomy, so that no normal is used twice
UNLABELLED_HALF_TIME_H = 30.0  # of uptake in no mask, as of the bowel: `PhantomSynthesizer.at` leaves it as it is at 24 h
NOT_EXPONENTIAL_LOG_SD = 1.0
_TIMES_H = torch.cat([torch.tensor([0.0]), torch.logspace(-2.5, 3.5, 500)])


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """Patients of seeds.

    Attributes:
        synthesizer: Without mismatch.
        deformation: The mismatch.
    """

    synthesizer: PhantomSynthesizer
    deformation: Deformation

    @classmethod
    def of_config(cls) -> Cohort:
        """As configured."""
        with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
            cfg = compose("simulate", ["phantom=psma_population", "output_dir=out"])
        full: PhantomSynthesizer = instantiate(cfg.phantom, _convert_="all")
        assert full.deformation is not None
        still = PhantomSynthesizer(
            biodistribution=full.biodistribution,
            texture=full.texture,
            lesions=full.lesions,
            unlabelled=full.unlabelled,
            sink=full.sink,
        )
        return cls(synthesizer=still, deformation=full.deformation)

    @property
    def administered_bq(self) -> float:
        """Activity given to each [Bq]."""
        return self.synthesizer.biodistribution.administered_bq

    def draw(self, seeds: list[int]) -> PhantomRecord:
        """The patients of seeds."""
        return self.synthesizer.draw(torch.tensor(seeds) + UPTAKE_SEED)

    def at(self, record: PhantomRecord, hours: float) -> PhantomRecord:
        """The same patients at a time after injection [h]."""
        then = self.synthesizer.at(record, hours * SECONDS_PER_HOUR)
        return replace(then, unlabelled_scale=torch.full((len(then),), 2.0 ** (-(hours - 24.0) / UNLABELLED_HALF_TIME_H)))

    def integrated(self, record: PhantomRecord) -> PhantomRecord:
        """Concentrations integrated from injection to infinity [Bq s/mL]: rendered, they are decays per volume.

        Between 500 times from 11 s to 3162 h concentrations go as exponentials. The bladder jumps at every void and is not to be used.
        """
        seconds = _TIMES_H * SECONDS_PER_HOUR
        levels = [self.synthesizer.at(record, float(s)) for s in seconds]
        organs, lesions = (torch.stack([getattr(r, name) for r in levels]).double() for name in ("concentration", "lesion_concentration"))
        unlabelled_s = UNLABELLED_HALF_TIME_H * SECONDS_PER_HOUR / torch.log(torch.tensor(2.0)) * 2.0 ** (24.0 / UNLABELLED_HALF_TIME_H)
        return replace(
            record,
            concentration=_integral(organs, seconds.double()).float(),
            lesion_concentration=_integral(lesions, seconds.double()).float(),
            unlabelled_scale=torch.full((len(record),), float(unlabelled_s)),
        )

    def priors(self) -> dict[str, EffectiveHalfLifePrior]:
        """Of the half-lives of organs that have one, from the table that patients are drawn from."""
        return {
            organ: EffectiveHalfLifePrior(median_h=tissue.half_time_h, log_sd=tissue.half_time_log_sd)
            for tissue in self.synthesizer.biodistribution.table
            for organ in tissue.organs
            if tissue.fast_share == 0.0 and tissue.half_time_log_sd > 0.0
        }

    def deviations(self, log_sd: float) -> dict[str, float]:
        """How far organs may lie off one exponential: those that follow none are left free."""
        free = [o for t in self.synthesizer.biodistribution.table if t.fast_share > 0.0 for o in t.organs]
        return {"default": log_sd} | dict.fromkeys([*free, "urinary_bladder"], NOT_EXPONENTIAL_LOG_SD)


def _integral(values: Tensor, times: Tensor) -> Tensor:
    """Integral over the first axis of values that go as exponentials between times, straight from zero at the first."""
    step = times.diff().view(-1, *[1] * (values.ndim - 1))
    left, right = values[:-1], values[1:]
    log_ratio = torch.log(left.clamp(min=1e-300) / right.clamp(min=1e-300))
    straight = log_ratio.abs() < 1e-6
    exponential = (left - right) / torch.where(straight, 1.0, log_ratio)
    parts = torch.where(straight, 0.5 * (left + right), exponential) * step
    return torch.cat([0.5 * (left[:1] + right[:1]) * step[:1], parts[1:]]).sum(dim=0)
