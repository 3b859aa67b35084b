"""Sheets of pictures: what was measured, what the estimate explains of it, the estimate itself, and how far it can be trusted.

Arrays come in patient coordinates and are turned for the eye here alone. Counts and activity are shown on a square-root scale: kidneys
and liver differ tenfold and both matter.
"""

from planar3d.visualization.case_sheet import case_sheet
from planar3d.visualization.charts import calibration_chart, organ_scatter
from planar3d.visualization.page import rendered, save_sheet
from planar3d.visualization.phantom_sheet import phantom_sheet
from planar3d.visualization.reconstruction_sheet import reconstruction_sheet
from planar3d.visualization.trajectory_sheet import trajectory_sheet

__all__ = [
    "calibration_chart",
    "case_sheet",
    "organ_scatter",
    "phantom_sheet",
    "reconstruction_sheet",
    "rendered",
    "save_sheet",
    "trajectory_sheet",
]
