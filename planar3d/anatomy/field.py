"""Fields of view in which digital patients are rendered; the patient's reference origin lies at 0, 0, 0.

The voxels of one lie on those of the other at 8 mm.
"""

from planar3d.grid import Grid

__all__ = ["TORSO", "WHOLE_BODY", "field_named"]

TORSO = Grid.centred((54, 38, 60), 8.0, (0.0, 0.0, -40.0))
"""The trunk from below the hip joints to the upper chest. The widest trunk fits it; arms beside it lie partly outside."""

WHOLE_BODY = Grid.centred((84, 42, 152), 8.0, (0.0, 0.0, 144.0))
"""From mid-thigh over the vertex and raised arms."""


def field_named(name: str) -> Grid:
    """The field of a name, ``"torso"`` or ``"whole_body"``.

    Raises:
        ValueError: There is no such field.
    """
    fields = {"torso": TORSO, "whole_body": WHOLE_BODY}
    if name not in fields:
        raise ValueError(f"field must be one of {', '.join(fields)}, got {name}")
    return fields[name]
