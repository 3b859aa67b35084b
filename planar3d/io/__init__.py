"""Images in and out. What is flipped between file and patient coordinates is flipped here."""

from planar3d.io.alignment import within_field_of_view
from planar3d.io.csv_rows import write_csv
from planar3d.io.dicom_reference import read_reference, reference_for
from planar3d.io.metadata import parse_metadata
from planar3d.io.nifti import write_planar_nifti
from planar3d.io.nm_activity import write_nm_activity
from planar3d.io.planar_image import PlanarImage
from planar3d.io.read import read_planar
from planar3d.io.rebin import coverage, rebin, rebin_rows
from planar3d.io.rt_dose import write_rt_dose
from planar3d.io.volume import resample_to, write_volume
from planar3d.io.whole_file import whole_file

__all__ = [
    "PlanarImage",
    "coverage",
    "parse_metadata",
    "read_planar",
    "read_reference",
    "rebin",
    "rebin_rows",
    "reference_for",
    "resample_to",
    "whole_file",
    "within_field_of_view",
    "write_csv",
    "write_nm_activity",
    "write_planar_nifti",
    "write_rt_dose",
    "write_volume",
]
