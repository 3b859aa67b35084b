"""From depth-mixed columns to images on the detector, and back: the collimator-detector response and wide components.

The first rows of the mixed columns (`planar3d.physics.columns`) hold one image per width node; each is blurred along z and x by the
matrices of its node, and their sum is taken within the second product. The other rows are slabs of depth of a coarse grid: there every
coarse node shares out what is wide (object scatter, the tail of the collimator) among wide width nodes by weights of its own. What is
blurred by centimetres loses nothing on a grid of a centimetre.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from planar3d.physics.columns import Mixed
from planar3d.shapes import Views

__all__ = ["ViewBlur", "WideBlur"]

WideWeights = Float[Tensor, "view #cx cy #p node #cz"]


class WideBlur(nn.Module):
    """Matrices of the wide nodes.

    Args:
        share_x: How voxels are shared out among coarse nodes, ``(coarse x, x)``.
        share_z: ``(coarse z, z)``.
        along_x: Blur from coarse nodes to pixels, ``(node, u, coarse x)``.
        along_z: ``(node, w, coarse z)``.
    """

    def __init__(self, *, share_x: Tensor, share_z: Tensor, along_x: Tensor, along_z: Tensor) -> None:
        super().__init__()
        for name, matrix in (("share_x", share_x), ("share_z", share_z), ("along_x", along_x), ("along_z", along_z)):
            self.register_buffer(name, matrix, persistent=False)
        self.share_x: Tensor
        self.share_z: Tensor
        self.along_x: Tensor
        self.along_z: Tensor

    def forward(self, slabs: Mixed, weights: WideWeights, rows: slice = slice(None)) -> Views:
        """Images of slabs ``(view, x, cy, b, z)``, where ``b`` is a multiple of p and x runs over some of the voxels."""
        coarse = torch.einsum("cx,vxybz->vcybz", self.share_x[:, rows], slabs) @ self.share_z.T
        by_patient = coarse.unflatten(3, (weights.shape[3], -1)).unsqueeze(5)
        shared = (weights.unsqueeze(4) * by_patient).sum(dim=2).flatten(2, 3)
        return _to_views(shared.permute(0, 3, 1, 2, 4), self.along_x, self.along_z)

    def adjoint(self, y: Views, weights: WideWeights, rows: slice = slice(None)) -> Mixed:
        """Transpose of `forward`."""
        shared = _from_views(y, self.along_x, self.along_z).permute(0, 2, 3, 1, 4)
        by_patient = shared.unflatten(2, (weights.shape[3], -1)).unsqueeze(2)
        coarse = (weights.unsqueeze(4) * by_patient).sum(dim=5).flatten(3, 4)
        return torch.einsum("cx,vcybz->vxybz", self.share_x[:, rows], coarse @ self.share_z)


class ViewBlur(nn.Module):
    """Matrices of the width nodes; one camera on one grid, the same for every patient on it.

    Args:
        along_x: Blur from voxels to pixels, ``(node, u, x)``.
        along_z: ``(node, w, z)``.
        wide: Blur of the wide components; None if there are none.
    """

    def __init__(self, *, along_x: Tensor, along_z: Tensor, wide: WideBlur | None = None) -> None:
        super().__init__()
        self.register_buffer("along_x", along_x, persistent=False)
        self.register_buffer("along_z", along_z, persistent=False)
        self.wide = wide
        self.along_x: Tensor
        self.along_z: Tensor

    def own(self) -> ViewBlur:
        """The same matrices in a module of its own, which can be moved without those who share them."""
        wide = self.wide and WideBlur(**dict(self.wide.named_buffers()))
        return ViewBlur(along_x=self.along_x, along_z=self.along_z, wide=wide)

    @property
    def rows(self) -> int:
        """Number of rows of the image, along w."""
        return self.along_z.shape[1]

    def forward(self, mixed: Mixed, wide_weights: WideWeights | None, rows: slice = slice(None)) -> Views:
        """Images ``(b, view, u, w)``.

        Args:
            mixed: Mixed columns, ``(view, x, j, b, z)``.
            wide_weights: Shares of the coarse nodes; None leaves out what is wide.
            rows: Which of the voxels along x the columns are.
        """
        nodes = len(self.along_x)
        views = _to_views(mixed[:, :, :nodes].permute(0, 2, 1, 3, 4), self.along_x[:, :, rows], self.along_z)
        if self.wide is None or wide_weights is None:
            return views
        return views + self.wide(mixed[:, :, nodes:], wide_weights, rows)

    def adjoint(self, y: Views, wide_weights: WideWeights | None, rows: slice = slice(None)) -> Mixed:
        """Transpose of `forward`."""
        mixed = _from_views(y, self.along_x[:, :, rows], self.along_z).permute(0, 2, 1, 3, 4)
        if self.wide is None or wide_weights is None:
            return mixed.contiguous()
        return torch.cat([mixed, self.wide.adjoint(y, wide_weights, rows)], dim=2)


def _to_views(images: Float[Tensor, "view node x b z"], kx: Tensor, kz: Tensor) -> Views:
    """Blur the image of each node and add them up; the second product runs over (node, x) at once."""
    v, n, x, b, z = images.shape
    along_z = (images.reshape(v, n, x * b, z) @ kz.transpose(1, 2)).view(v, n * x, -1)
    along_x = kx.transpose(0, 1).reshape(kx.shape[1], n * x)
    return (along_x @ along_z).view(v, len(along_x), b, kz.shape[1]).permute(2, 0, 1, 3)


def _from_views(y: Views, kx: Tensor, kz: Tensor) -> Float[Tensor, "view node x b z"]:
    """Transpose of `_to_views`."""
    b, v, u, w = y.shape
    n, _, x = kx.shape
    along_x = kx.transpose(1, 2).reshape(n * x, u)
    rows = (along_x @ y.permute(1, 2, 0, 3).reshape(v, u, b * w)).view(v, n, x * b, w)
    return (rows @ kz).view(v, n, x, b, kz.shape[2])
