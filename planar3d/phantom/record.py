"""Records: the plain tensors that a synthesis draws, kept with what is rendered from them.

A component draws a record for one sample, without batch axis; `TensorRecord.stack` gives every tensor its leading ``b``. What is
rendered is a deterministic function of the record and the anatomy. `TensorRecord.tensors` lays a record out as named tensors, for a
safetensors file or ``torch.save``, and `TensorRecord.from_tensors` makes it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar, get_args, get_type_hints

import torch
from torch import Tensor

__all__ = ["TensorRecord"]

Record = TypeVar("Record", bound="TensorRecord")


@dataclass(frozen=True, kw_only=True)
class TensorRecord:
    """Base of the records: every field is a tensor, a record of tensors, or None where that component is left out."""

    @classmethod
    def stack(cls: type[Record], records: Sequence[Record]) -> Record:
        """One batched record from records of single samples."""
        return cls(**{f.name: _stacked([getattr(r, f.name) for r in records]) for f in fields(cls)})

    def to(self: Record, device: torch.device | str, dtype: torch.dtype | None = None) -> Record:
        """The same record on another device.

        Args:
            device: Where the tensors go.
            dtype: Type of the floating-point tensors; as they are if None.
        """
        return type(self)(**{f.name: _moved(getattr(self, f.name), device, dtype) for f in fields(self)})

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name, those of a record within a record as ``outer.inner``; what is left out has no entry."""
        flat: dict[str, Tensor] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, TensorRecord):
                flat |= {f"{f.name}.{name}": tensor for name, tensor in value.tensors().items()}
            elif value is not None:
                flat[f.name] = value.contiguous()
        return flat

    @classmethod
    def from_tensors(cls: type[Record], tensors: Mapping[str, Tensor]) -> Record:
        """The record that `tensors` laid out.

        Raises:
            ValueError: A tensor is missing, or belongs to no field.
        """
        types, values, used = get_type_hints(cls), {}, set()
        for f in fields(cls):
            inner = {name.removeprefix(f"{f.name}."): t for name, t in tensors.items() if name.startswith(f"{f.name}.")}
            used |= {f"{f.name}.{name}" for name in inner} | {f.name}
            kind = next((k for k in (types[f.name], *get_args(types[f.name])) if isinstance(k, type) and issubclass(k, TensorRecord)), None)
            values[f.name] = tensors.get(f.name) if kind is None or not inner else kind.from_tensors(inner)
            if values[f.name] is None and type(None) not in get_args(types[f.name]):
                raise ValueError(f"tensors must hold {f.name} of {cls.__name__}, got {', '.join(tensors)}")
        if set(tensors) - used:
            raise ValueError(f"tensors {', '.join(sorted(set(tensors) - used))} belong to no field of {cls.__name__}; give its own alone")
        return cls(**values)

    def __len__(self) -> int:
        return next(len(value) for f in fields(self) if (value := getattr(self, f.name)) is not None)

    def __getitem__(self: Record, index: slice) -> Record:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return type(self)(**{name: None if value is None else value[index] for name, value in values.items()})


def _stacked(values: list[Any]) -> Tensor | TensorRecord | None:
    """Tensors or records of single samples as one with a leading batch axis."""
    first = values[0]
    if first is None:
        return None
    return type(first).stack(values) if isinstance(first, TensorRecord) else torch.stack(values)


def _moved(value: Any, device: torch.device | str, dtype: torch.dtype | None) -> Any:
    """A field on another device, integers and masks keeping their type."""
    if value is None:
        return None
    if isinstance(value, TensorRecord):
        return value.to(device, dtype)
    return value.to(device=device, dtype=dtype if value.is_floating_point() else None)
