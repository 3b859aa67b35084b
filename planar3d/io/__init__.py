"""Images in and out. What is flipped between file and patient coordinates is flipped here."""

from planar3d.io.csv_rows import write_csv
from planar3d.io.metadata import parse_metadata
from planar3d.io.nifti import write_planar_nifti
from planar3d.io.planar_image import PlanarImage
from planar3d.io.read import read_planar
from planar3d.io.rebin import coverage, rebin, rebin_rows
from planar3d.io.volume import resample_to, write_volume
from planar3d.io.whole_file import whole_file

__all__ = [
    "PlanarImage",
    "coverage",
    "parse_metadata",
    "read_planar",
    "rebin",
    "rebin_rows",
    "resample_to",
    "whole_file",
    "write_csv",
    "write_planar_nifti",
    "write_volume",
]
