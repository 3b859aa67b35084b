"""What a correction network makes of a problem, in one pass or several.

``x^(i+1) = EM(s (sqrt(x^i / s) + net(channels(x^i)))^2)`` from the baseline ``x^0``, always with the same network: after each pass
the camera says anew where the images ask for more or less than the estimate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import nn

from planar3d.reconstruction.features import NetworkInputs, PhysicsInputs
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.shapes import Volume

__all__ = ["NetworkEstimate", "apply_network"]


@dataclass(frozen=True, kw_only=True)
class NetworkEstimate:
    """An estimate and what it was made from.

    Attributes:
        mean: Activity, ``(b, 1, x, y, z)`` [Bq/mL].
        root_spread: Standard deviation of the root of the activity over the scale; None where the network states none.
        inputs: What the network saw in its last pass.
        passes: The estimate of every pass, the last one being `mean`.
        baseline: What the first pass corrected, ``(b, 1, x, y, z)`` [Bq/mL].
    """

    mean: Volume
    root_spread: Volume | None
    inputs: NetworkInputs
    passes: tuple[Volume, ...]
    baseline: Volume

    @property
    def std(self) -> Volume | None:
        """Standard deviation of the activity, ``(b, 1, x, y, z)`` [Bq/mL]; None where the network states none."""
        return None if self.root_spread is None else self.inputs.std(self.mean, self.root_spread)

    def detached(self) -> NetworkEstimate:
        """The same without a way back for gradients."""
        spread = None if self.root_spread is None else self.root_spread.detach()
        return replace(self, mean=self.mean.detach(), root_spread=spread, passes=())


def apply_network(net: nn.Module, inputs: PhysicsInputs, problem: PlanarProblem, *, passes: int = 1) -> NetworkEstimate:
    """Estimate a batch.

    Args:
        net: Channels to answers, as `planar3d.nn.CorrectionUNet`.
        inputs: Makes the channels.
        problem: What is given.
        passes: How often the network goes over the estimate.

    Raises:
        ValueError: There is no pass.
    """
    if passes < 1:
        raise ValueError(f"passes must be at least 1, got {passes}")
    seen = first = inputs(problem)
    answer = net(seen.channels)
    estimates = [seen.estimate(answer)]
    for _ in range(passes - 1):
        seen = inputs.again(seen, estimates[-1])
        answer = net(seen.channels)
        estimates.append(seen.estimate(answer))
    return NetworkEstimate(
        mean=estimates[-1], root_spread=seen.root_spread(answer), inputs=seen, passes=tuple(estimates), baseline=first.baseline
    )
