"""What axe-core finds wrong on a page (WCAG 2.2 AA and its best practices)."""

from __future__ import annotations

import json

import pytest
from conftest import ROOT
from playwright.sync_api import Page

SERIOUS = {"serious", "critical"}
# Target sizes are of WCAG 2.2, which axe-core leaves off unless asked.
RUN = """axe.run(document, { resultTypes: ['violations'], rules: { 'target-size': { enabled: true } } })"""


def faults(page: Page) -> list[str]:
    """Each serious or critical finding: its rule, the element, and the mend."""
    script = ROOT / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        pytest.fail("axe-core is missing: make test installs it")
    page.wait_for_load_state("networkidle")
    page.evaluate(script.read_text())
    return [
        json.dumps([one["id"], node["html"], node["failureSummary"]])
        for one in page.evaluate(RUN)["violations"]
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]
