"""From anatomy to a planar acquisition of a synthetic patient: phantom, camera, count level, noise.

``a = s phantom(theta)``, ``y ~ Poisson(A a)`` with ``s`` such that the expected counts of the anterior view equal a drawn level. Every
sample has its own seed, so sample k is the same at any batch size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool
from torch import Tensor

from planar3d.batch import Batch
from planar3d.grid import Grid
from planar3d.phantom.synthesis import PhantomSynthesizer
from planar3d.physics.gamma_camera import GammaCamera
from planar3d.physics.noise import poisson
from planar3d.shapes import LabelMap, ViewPair, Volume

__all__ = ["PlanarSimulator"]

NOISE_STREAM = 0x5EED  # keeps the generator of counts apart from the one that draws the phantom of the same seed


class PlanarSimulator:
    """Draws synthetic patients and images them.

    Args:
        camera: The gamma camera.
        synthesizer: Draws and renders phantoms.
        anterior_counts: Expected counts in the anterior view: one figure, or a range from which it is drawn log-uniformly.
    """

    def __init__(
        self, *, camera: GammaCamera, synthesizer: PhantomSynthesizer, anterior_counts: float | Sequence[float] = (3.5e5, 1.4e6)
    ) -> None:
        low, high = (anterior_counts, anterior_counts) if isinstance(anterior_counts, int | float) else anterior_counts
        if not 0 < low <= high:
            raise ValueError(f"anterior_counts must be positive and in order, got {anterior_counts}")
        self.camera = camera
        self.synthesizer = synthesizer
        self.anterior_counts = (float(low), float(high))

    def simulate(
        self,
        *,
        labels: LabelMap,
        given_labels: LabelMap,
        mu_map: Volume,
        grid: Grid,
        seeds: Tensor,
        given_mu_map: Volume | None = None,
        pet: Volume | None = None,
        outlined: Bool[Tensor, " b"] | None = None,
    ) -> Batch:
        """Image one synthetic patient per seed.

        Args:
            labels: Organ ids of the anatomy before it moves, ``(b, 1, x, y, z)``.
            given_labels: Organ ids that a method will be given, ``(b, 1, x, y, z)``.
            mu_map: Attenuation before it moves, ``(b, 1, x, y, z)`` [1/mm].
            grid: Where the volumes lie.
            seeds: One integer per sample, ``(b,)``.
            given_mu_map: Attenuation that a method will be given where that is another, as of a CT with raised arms, ``(b, 1, x, y, z)``
                [1/mm]; None for ``mu_map``.
            pet: Pre-therapy PET in the anatomy before it moves, of any unit, ``(b, 1, x, y, z)``; None where there is none.
            outlined: Samples of which a method will be given the lesions too, outlined before the anatomy moved, ``(b,)``; None for none.

        Raises:
            ValueError: There is a PET, but the synthesiser has no guide for it.
        """
        if pet is not None and self.synthesizer.pet is None:
            raise ValueError(
                "patient.pet is given, but the phantom has no guide for a PET; set phantom.pet to a planar3d.phantom.pet.PetGuide, or take "
                "a phantom that has one, as phantom=psma_population"
            )
        record = self.synthesizer.draw(seeds).to(labels.device)
        phantom = self.synthesizer.render(record, labels, mu_map, grid, pet=pet, outline=outlined is not None)
        if outlined is not None and phantom.outlines is not None:
            known = outlined.to(labels.device).view(-1, 1, 1, 1, 1) & (phantom.outlines > 0)
            given_labels = torch.where(known, phantom.outlines, given_labels)
        projector = self.camera.projector(phantom.mu_map, grid)
        activity, views = self._expose(phantom.activity, projector(phantom.activity), seeds)
        given_mu_map = mu_map if given_mu_map is None else given_mu_map
        return Batch(activity=activity, views=views, mu_map=given_mu_map, labels=given_labels, imaged_labels=phantom.imaged_labels)

    def _expose(self, activity: Volume, expected: ViewPair, seeds: Tensor) -> tuple[Volume, ViewPair]:
        """Scale each sample to its count level and count."""
        generators = [torch.Generator(device=expected.device).manual_seed(int(s) ^ NOISE_STREAM) for s in seeds.tolist()]
        low, high = (math.log(c) for c in self.anterior_counts)
        uniform = torch.stack([torch.rand((), generator=g, device=g.device) for g in generators]).to(expected)
        level = torch.exp(low + (high - low) * uniform)
        scale = (level / expected[:, 0].sum(dim=(1, 2)).clamp(min=torch.finfo(expected.dtype).tiny)).reshape(-1, 1, 1, 1)
        # a generator per sample draws its own counts: a handful of launches, and reproducible at any batch size
        counts = torch.stack([poisson(e, g) for e, g in zip(expected * scale, generators, strict=True)])
        return activity * scale.unsqueeze(-1), counts
