"""What the standard asks of a DICOM object, by the tables of its modules that come with highdicom."""

from __future__ import annotations

from typing import Any

import pytest


def lacking(header: Any, *conditional: str) -> list[str]:
    """Attributes of type 1 and 2 that an object lacks, or of type 1 that are empty, in its mandatory modules and those named."""
    tables = pytest.importorskip("highdicom._standard_utils")
    found = []
    for module in tables.get_iod_module_map()[tables.get_sop_class_iod_map()[header.SOPClassUID]]:
        if module["usage"] != "M" and module["key"] not in conditional:
            continue
        for attribute in tables.get_module_attribute_map()[module["key"]]:
            items = [header]
            for keyword in attribute["path"]:
                items = [inner for item in items for inner in item.get(keyword) or []]
            for item in items if attribute["type"] in ("1", "2") else []:
                keyword = attribute["keyword"]
                if keyword not in item or (attribute["type"] == "1" and item[keyword].is_empty):
                    found.append(f"{module['key']}: {keyword}")
    return found
