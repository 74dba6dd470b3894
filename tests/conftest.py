"""How tests are shared out among workers, and how skips are written down.

Skips are written down so that continuous integration can run them once more, forbidden:
``CATAPULT_SKIPPED`` names the file that they are appended to;
``CATAPULT_FORBID_SKIPS=1`` makes a skipped test, or a skipped module, fail.
"""

from __future__ import annotations

import os
from pathlib import Path

import matplotlib
import pytest
from xdist.scheduler import LoadFileScheduling

matplotlib.use("Agg")


def account_for(report):
    # An expected failure reads as skipped too, but it was run.
    if not report.skipped or hasattr(report, "wasxfail"):
        return report
    if "CATAPULT_SKIPPED" in os.environ:
        with Path(os.environ["CATAPULT_SKIPPED"]).open("a") as file:
            file.write(report.nodeid + "\n")
    if os.environ.get("CATAPULT_FORBID_SKIPS"):
        report.outcome = "failed"
        report.longrepr = f"skipped where skips are forbidden: {report.longrepr}"
    return report


class ByFileOrPage(LoadFileScheduling):
    """A worker takes a file of tests, so that it derives a model once; of the guides, a page."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid if "test_docs.py" in nodeid else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config, log):
    return ByFileOrPage(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    return account_for((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    return account_for((yield))


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory, worker_id):
    """Generated code of a test session goes to a folder of its own, unless one is given."""
    if "CATAPULT_CACHE" in os.environ:
        return
    base = tmp_path_factory.getbasetemp()
    whole = base if worker_id == "master" else base.parent  # one folder for all workers
    os.environ["CATAPULT_CACHE"] = str(whole / "kernels")
