"""Where continuous integration forbids skips, a skipped test fails."""

from __future__ import annotations

import os

import matplotlib
import pytest

matplotlib.use("Agg")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if os.environ.get("CATAPULT_FORBID_SKIPS") and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped where skips are forbidden: {report.longrepr}"
    return report


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Generated code of a test session goes to a folder of its own, unless one is given."""
    if "CATAPULT_CACHE" not in os.environ:
        os.environ["CATAPULT_CACHE"] = str(tmp_path_factory.mktemp("kernels"))
