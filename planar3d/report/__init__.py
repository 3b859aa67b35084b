"""What a user reads: tables of results."""

from planar3d.report.organ_table import OrganRow, organ_table, write_organ_table

__all__ = ["OrganRow", "organ_table", "write_organ_table"]
