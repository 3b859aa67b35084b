"""Absorbed dose in every voxel from the decays in every voxel.

    local:   D = c Delta_e / rho
    kernel:  D = (c * K_e) / rho + (c * K_ph) / rho_water

with c the decays per volume (time-integrated activity concentration), Delta_e the energy of electrons per decay, and ``*`` the
convolution with the kernels of `planar3d.dosimetry.kernel`. Electrons leave the same energy in a lighter voxel of the same
decays, hence more dose. Photons have the same fluence there, so their dose is that of water. Limits: kernels are those of
unbounded water, so paths through lung or bone are as long as in water (cross-dose through lung too small, electrons that leave
lung counted too near), bone absorbs as water does, and scatter from outside the body is counted at the skin. Voxels lighter than
0.1 g/mL get no dose. Dose rate comes the same way from activity instead of decays [Gy/s].
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from planar3d.dosimetry.emissions import Emissions
from planar3d.dosimetry.kernel import unfolded, voxel_kernel
from planar3d.grid import Grid
from planar3d.units import GRAMS_PER_KG, JOULES_PER_KEV

__all__ = ["KernelDose", "local_dose"]

GRAY_PER_KEV_PER_G = JOULES_PER_KEV * GRAMS_PER_KG
LIGHTEST_G_PER_ML = 0.1


def local_dose(
    decays_per_ml: Float[Tensor, "*shape"], *, isotope: str, density_g_per_ml: Float[Tensor, "*#shape"] | float = 1.0
) -> Float[Tensor, "*shape"]:
    """Dose if all electrons stay in their voxel and all photons leave the body.

    Args:
        decays_per_ml: Time-integrated activity concentration, any shape [Bq s/mL].
        isotope: Radionuclide, as in ``"Lu-177"``.
        density_g_per_ml: Mass density, of a shape that broadcasts [g/mL].

    Returns:
        Absorbed dose, of the same shape [Gy].

    Raises:
        ValueError: The radionuclide is not known, or activity or density is negative or not finite.
    """
    _require_activity(decays_per_ml)
    return decays_per_ml * _per_density(density_g_per_ml, decays_per_ml) * (Emissions.of(isotope).electron_kev * GRAY_PER_KEV_PER_G)


class KernelDose(nn.Module):
    """Convolution with dose kernels on one grid.

    Args:
        grid: Grid of activity and density.
        isotope: Radionuclide, as in ``"Lu-177"``.
        tail: Share of all energy emitted that may lie beyond the kernel.

    Raises:
        ValueError: The radionuclide is not known, or ``tail`` is out of range.
    """

    electron_kev: Tensor
    photon_kev: Tensor

    def __init__(self, *, grid: Grid, isotope: str, tail: float = 0.01) -> None:
        super().__init__()
        self.grid = grid
        # an offset beyond the grid joins no two of its voxels
        kernel = voxel_kernel(isotope, grid.spacing_mm, reach=[n - 1 for n in grid.shape], tail=tail)
        self.isotope = kernel.isotope
        self.register_buffer("electron_kev", unfolded(_cropped(kernel.electron_kev, grid.shape)), persistent=False)
        self.register_buffer("photon_kev", unfolded(kernel.photon_kev), persistent=False)
        reach = [max(e, p) // 2 for e, p in zip(self.electron_kev.shape, self.photon_kev.shape, strict=True)]
        self._padded = tuple(_fast_length(n + r) for n, r in zip(grid.shape, reach, strict=True))
        self._spectra: dict[tuple[torch.device, torch.dtype], tuple[Tensor, Tensor]] = {}

    def forward(
        self,
        decays_per_ml: Float[Tensor, "*batch"],
        density_g_per_ml: Float[Tensor, "*density"] | None = None,
    ) -> Float[Tensor, "*batch"]:
        """Absorbed dose.

        Args:
            decays_per_ml: Time-integrated activity concentration, ``(..., x, y, z)``, leading axes such as ``(b, 1)`` or time [Bq s/mL].
            density_g_per_ml: Mass density, ``(..., x, y, z)``, leading axes that broadcast; None for water everywhere [g/mL].

        Returns:
            Of the shape of ``decays_per_ml`` [Gy].

        Raises:
            ValueError: The activity lies on another grid, or activity or density is negative or not finite.
        """
        _require_shape("decays_per_ml", decays_per_ml, self.grid)
        _require_activity(decays_per_ml)
        if density_g_per_ml is not None:
            _require_shape("density_g_per_ml", density_g_per_ml, self.grid)
        per_density = None if density_g_per_ml is None else _per_density(density_g_per_ml, decays_per_ml)
        spectra = self._spectra_like(decays_per_ml)
        volumes = decays_per_ml.reshape(-1, *self.grid.shape)
        # one volume at a time: a transform of this size gains nothing from company, and memory would grow with it
        parts = [torch.stack([self._convolved(volume, spectrum) for volume in volumes]) for spectrum in spectra]
        electrons, photons = (part.reshape(decays_per_ml.shape) for part in parts)
        if per_density is None:
            return (electrons + photons) * GRAY_PER_KEV_PER_G
        return (electrons * per_density + photons * (per_density > 0.0)) * GRAY_PER_KEV_PER_G

    def _convolved(self, volume: Float[Tensor, "x y z"], spectrum: Tensor) -> Float[Tensor, "x y z"]:
        """Energy per volume [keV/mL]; what rounding makes negative is zero."""
        transformed = torch.fft.rfftn(volume, s=self._padded, dim=(-3, -2, -1)) * spectrum
        nx, ny, nz = self.grid.shape
        return torch.fft.irfftn(transformed, s=self._padded, dim=(-3, -2, -1))[:nx, :ny, :nz].clamp(min=0.0)

    def _spectra_like(self, volume: Tensor) -> tuple[Tensor, Tensor]:
        """Transforms of both kernels on the device and in the precision of a volume."""
        key = (volume.device, volume.dtype)
        if key not in self._spectra:
            self._spectra[key] = (self._spectrum(self.electron_kev, volume), self._spectrum(self.photon_kev, volume))
        return self._spectra[key]

    def _spectrum(self, kernel: Tensor, like: Tensor) -> Tensor:
        """Transform of a kernel whose middle stands at the origin."""
        padded = torch.zeros(self._padded, dtype=kernel.dtype, device=kernel.device)
        nx, ny, nz = kernel.shape
        padded[:nx, :ny, :nz] = kernel
        centred = padded.roll([-(n // 2) for n in kernel.shape], dims=(0, 1, 2))
        return torch.fft.rfftn(centred.to(like), dim=(-3, -2, -1))


def _fast_length(n: int) -> int:
    """The least length from n on that has no prime factor above 5."""
    while True:
        rest = n
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return n
        n += 1


def _cropped(octant: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """A kernel without the offsets that a grid does not have."""
    nx, ny, nz = shape
    return octant[:nx, :ny, :nz]


def _per_density(density_g_per_ml: Tensor | float, like: Tensor) -> Tensor:
    """Reciprocal of the density, 0 where there is next to no mass [mL/g]."""
    density = torch.as_tensor(density_g_per_ml, dtype=like.dtype, device=like.device)
    if not bool((torch.isfinite(density) & (density >= 0.0)).all()):
        raise ValueError("density_g_per_ml has negative or infinite voxels; give the mass density in g/mL, as hu_to_density returns it")
    return torch.where(density < LIGHTEST_G_PER_ML, 0.0, 1.0 / density.clamp(min=LIGHTEST_G_PER_ML))


def _require_activity(decays_per_ml: Tensor) -> None:
    """Raise unless every voxel is finite and not negative."""
    bad = int((~(torch.isfinite(decays_per_ml) & (decays_per_ml >= 0.0))).sum())
    if bad:
        raise ValueError(
            f"decays_per_ml has {bad} voxels that are negative or not finite; activity must be zero or more, clip or repair it first"
        )


def _require_shape(name: str, volume: Tensor, grid: Grid) -> None:
    """Raise unless the last three axes are those of the grid."""
    if tuple(volume.shape[-3:]) != grid.shape:
        raise ValueError(
            f"{name} has shape {tuple(volume.shape)}; its last three axes must be those of the grid, {grid.shape}: resample it first"
        )
