"""Mean absorbed dose of organs, from a dose map and by S values of the patient's own organs.

    D_t = sum_v m_v D_v / sum_v m_v        over the voxels v of target t, of mass m_v
    D_t = sum_s S(t <- s) A_s              with the decays A_s of source s

``S(t <- s)`` is the mean dose in t per decay, spread evenly over s (MIRD Pamphlet 21, J Nucl Med 2009;50:477). In a uniform medium it is
symmetric. Within an organ it holds self-dose, electrons and photons; between organs the photons, and electrons at shared borders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from planar3d.dosimetry.emissions import Emissions
from planar3d.dosimetry.voxel_dose import GRAY_PER_KEV_PER_G, KernelDose
from planar3d.organs import BACKGROUND, organ_name
from planar3d.shapes import LabelMap, Volume

__all__ = ["OrganDoses", "OrganSValues", "cumulated", "local_s_values", "organ_doses", "organ_s_values"]


@dataclass(frozen=True, kw_only=True)
class OrganDoses:
    """Mean doses.

    Attributes:
        ids: Organ ids of `planar3d.organs`, ``k`` of them.
        dose_gy: Mean absorbed dose, ``(b, k)`` [Gy].
        mass_g: Mass, ``(b, k)`` [g].
    """

    ids: tuple[int, ...]
    dose_gy: Float[Tensor, "b k"]
    mass_g: Float[Tensor, "b k"]

    @property
    def names(self) -> tuple[str, ...]:
        """Organ names."""
        return tuple(organ_name(i) for i in self.ids)


@dataclass(frozen=True, kw_only=True)
class OrganSValues:
    """Mean dose per decay between organs.

    Attributes:
        ids: Organ ids, ``k`` of them.
        gy_per_decay: Target by source, ``(k, k)`` [Gy/(Bq s)].
        mass_g: Mass of each organ, ``(k,)`` [g].
    """

    ids: tuple[int, ...]
    gy_per_decay: Float[Tensor, "k k"]
    mass_g: Float[Tensor, " k"]

    def dose(self, decays: Float[Tensor, "*batch k"]) -> Float[Tensor, "*batch k"]:
        """Mean doses by the MIRD sum.

        Args:
            decays: Time-integrated activity of each source [Bq s].

        Returns:
            Of the same shape [Gy].
        """
        if decays.shape[-1] != len(self.ids):
            raise ValueError(f"decays has {decays.shape[-1]} organs in its last axis; the S values are of {len(self.ids)}: {self.names}")
        return decays @ self.gy_per_decay.to(decays).T

    def self_dose(self, decays: Float[Tensor, "*batch k"]) -> Float[Tensor, "*batch k"]:
        """The part of `dose` that an organ's own decays give it [Gy]."""
        return decays * self.gy_per_decay.to(decays).diagonal()

    def scaled_to(self, mass_g: Float[Tensor, " k"]) -> OrganSValues:
        """The same for other masses of the targets: self-dose by the inverse ratio, cross-dose as it is.

        Electrons do so exactly; the photons' share of self-dose grows a little less fast (mass^(-2/3)).
        """
        ratio = self.mass_g / mass_g
        diagonal = torch.diag_embed(self.gy_per_decay.diagonal() * (ratio - 1.0))
        return OrganSValues(ids=self.ids, gy_per_decay=self.gy_per_decay + diagonal, mass_g=mass_g)

    @property
    def names(self) -> tuple[str, ...]:
        """Organ names."""
        return tuple(organ_name(i) for i in self.ids)


def organ_doses(
    dose_gy: Volume,
    labels: Integer[Tensor, "c 1 i j k"],
    *,
    voxel_volume_ml: float,
    density_g_per_ml: Float[Tensor, "d 1 l m n"] | None = None,
    ids: Sequence[int] | None = None,
) -> OrganDoses:
    """Mean dose of each organ, weighted by mass.

    Args:
        dose_gy: Absorbed dose, ``(b, 1, x, y, z)`` [Gy].
        labels: Organ ids, ``(b, 1, x, y, z)`` or one map for all.
        voxel_volume_ml: Volume of a voxel [mL].
        density_g_per_ml: Mass density, of the shape of either; None for water [g/mL].
        ids: Organs wanted; None for all in any of the maps but the background.

    Raises:
        ValueError: An organ has no voxel, or the volumes lie on different grids.
    """
    _require_same_voxels(dose_gy, labels, "labels")
    wanted = _wanted(labels, ids)
    mass = _voxel_mass(labels, voxel_volume_ml, density_g_per_ml, dose_gy)
    index = _index_of(labels, wanted).expand(dose_gy.shape).flatten(1)
    organ_mass = _added_up(mass.expand(dose_gy.shape).flatten(1), index, len(wanted))
    energy = _added_up((mass * dose_gy).flatten(1), index, len(wanted))
    return OrganDoses(ids=wanted, dose_gy=energy / organ_mass.clamp(min=torch.finfo(energy.dtype).tiny), mass_g=organ_mass)


def cumulated(cycles: Sequence[OrganDoses]) -> Float[Tensor, "cycle b k"]:
    """Dose after each cycle of a treatment, all cycles before it added.

    Args:
        cycles: Doses of each cycle, the same organs in the same order.

    Returns:
        ``(cycle, b, k)`` [Gy].

    Raises:
        ValueError: There is no cycle, or the organs differ.
    """
    if not cycles or any(cycle.ids != cycles[0].ids for cycle in cycles):
        raise ValueError("cycles must hold one cycle or more, all with the same organs; compute each with the same ids")
    return torch.stack([cycle.dose_gy for cycle in cycles]).cumsum(dim=0)


def organ_s_values(
    labels: LabelMap, dose: KernelDose, *, density_g_per_ml: Float[Tensor, "d 1 l m n"] | None = None, ids: Sequence[int] | None = None
) -> OrganSValues:
    """S values between the organs of one patient, from the voxel kernel.

    Args:
        labels: Organ ids, ``(1, 1, x, y, z)``.
        dose: Convolution on the grid of the labels.
        density_g_per_ml: Mass density, ``(1, 1, x, y, z)``; None for water [g/mL].
        ids: Organs wanted; None for all but the background.

    Raises:
        ValueError: An organ has no voxel, or the volumes lie on different grids.
    """
    wanted = _wanted(labels, ids)
    precision = dose.photon_kev.dtype if density_g_per_ml is None else density_g_per_ml.dtype
    volume_ml = dose.grid.voxel_volume_ml
    columns, mass = [], labels.new_zeros(())
    for identifier in wanted:
        inside = labels == identifier
        per_ml = inside.to(precision) / (inside.sum() * volume_ml)
        found = organ_doses(
            dose(per_ml, density_g_per_ml), labels, voxel_volume_ml=volume_ml, density_g_per_ml=density_g_per_ml, ids=wanted
        )
        columns.append(found.dose_gy[0])
        mass = found.mass_g[0]
    return OrganSValues(ids=wanted, gy_per_decay=torch.stack(columns, dim=1), mass_g=mass)


def local_s_values(mass_g: Float[Tensor, " k"], *, ids: Sequence[int], isotope: str) -> OrganSValues:
    """S values from masses alone: electrons stay in their organ, photons leave the body.

    Args:
        mass_g: Mass of each organ [g].
        ids: Organ ids.
        isotope: Radionuclide.

    Raises:
        ValueError: A mass is not positive.
    """
    if len(ids) != len(mass_g) or not bool((mass_g > 0.0).all()):
        raise ValueError(f"mass_g must be positive, one for each of {len(ids)} organs, got {mass_g.tolist()}")
    per_mass = Emissions.of(isotope).electron_kev * GRAY_PER_KEV_PER_G / mass_g
    return OrganSValues(ids=tuple(ids), gy_per_decay=torch.diag(per_mass), mass_g=mass_g)


def _wanted(labels: Tensor, ids: Sequence[int] | None) -> tuple[int, ...]:
    """Ids of the organs wanted, each with at least one voxel."""
    present = set(labels.unique().tolist())
    if ids is None:
        return tuple(sorted(present - {BACKGROUND}))
    for identifier in ids:
        if identifier not in present:
            raise ValueError(f"organ {organ_name(identifier)!r} has no voxel in labels; leave it out of ids or label it")
    return tuple(ids)


def _index_of(labels: Tensor, wanted: tuple[int, ...]) -> Tensor:
    """Place of each voxel's organ among those wanted; their number where it is none of them."""
    place = labels.new_full((max(*wanted, int(labels.max()), 0) + 1,), len(wanted), dtype=torch.long)
    place[torch.tensor(wanted, device=labels.device)] = torch.arange(len(wanted), device=labels.device)
    return place[labels.long()]


def _voxel_mass(labels: Tensor, voxel_volume_ml: float, density_g_per_ml: Tensor | None, like: Tensor) -> Tensor:
    """Mass of each voxel [g]."""
    if density_g_per_ml is None:
        return torch.full_like(labels, voxel_volume_ml, dtype=like.dtype)
    _require_same_voxels(density_g_per_ml, labels, "labels")
    return density_g_per_ml.to(like) * voxel_volume_ml


def _added_up(values: Float[Tensor, "b n"], index: Tensor, k: int) -> Float[Tensor, "b k"]:
    """Sums over the voxels of each organ."""
    return values.new_zeros(len(values), k + 1).scatter_add_(1, index, values)[:, :k]


def _require_same_voxels(volume: Tensor, other: Tensor, name: str) -> None:
    """Raise unless both have the same voxels and batches that fit."""
    if volume.shape[1:] != other.shape[1:] or (len(volume) != len(other) and 1 not in (len(volume), len(other))):
        raise ValueError(
            f"{name} has shape {tuple(other.shape)} and the dose or density has {tuple(volume.shape)}; they must lie on one grid: "
            "resample one first"
        )
