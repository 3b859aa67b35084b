"""bfloat16 for networks where the processor multiplies it in hardware; elsewhere it is emulated, and slower than float32."""

from __future__ import annotations

import torch

__all__ = ["half_precision", "has_bfloat16"]


def has_bfloat16(device: torch.device | str) -> bool:
    """Whether a device multiplies bfloat16 in hardware.

    Args:
        device: Where the network runs.
    """
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()  # from torch 2.10 on
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def half_precision(device: torch.device | str) -> torch.autocast:
    """Context in which networks run in bfloat16 where that is faster.

    Args:
        device: Where the network runs.
    """
    kind = torch.device(device).type
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=kind in ("cpu", "cuda") and has_bfloat16(device))
