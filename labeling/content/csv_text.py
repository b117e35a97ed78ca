"""Lines of CSV that a spreadsheet opens safely."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any


def line(cells: Iterable[Any]) -> str:
    """One record, ended as RFC 4180 has it."""
    record = io.StringIO()
    csv.writer(record).writerow(cells)
    return record.getvalue()


def cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
