"""Array shapes as types, checked while the tests run (jaxtyping and beartype) and free otherwise.

Axes: ``b`` sample, ``x`` toward the patient's right, ``y`` anterior, ``z`` superior; ``view`` 0 anterior, 1 posterior. Pixels of any
detector are ``u`` (across the patient) and ``w`` (along z); where they are as large as voxels and lie before them, ``x`` and ``z``.
"""

from jaxtyping import Bool, Float, Integer
from torch import Tensor

__all__ = ["BodyMask", "LabelMap", "ViewPair", "Views", "Volume"]

Volume = Float[Tensor, "b 1 x y z"]
Views = Float[Tensor, "b view u w"]
ViewPair = Float[Tensor, "b view x z"]
LabelMap = Integer[Tensor, "b 1 x y z"]
BodyMask = Bool[Tensor, "b 1 x y z"]
