"""What every test shares: the reference data, the search for counterexamples, and a fair share of the cores."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).resolve().parents[1]
IN_CI = bool(os.environ.get("CI"))
NO_REFERENCE = "no reference data"

# Twenty examples keep the whole suite within a minute or two; a run in CI must not fail by a new draw.
settings.register_profile(
    "quick", max_examples=20, deadline=None, derandomize=IN_CI, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "slow", max_examples=300, deadline=None, derandomize=IN_CI, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("VARMIX_HYPOTHESIS", "quick"))


@pytest.fixture(scope="session")
def reference() -> Path:
    """Give the folder of data and numbers from outside programs; without it the test is skipped, in CI it fails.

    VARMIX_REFERENCE points to it. Its README.md says where each data set comes from, and which program, version and
    command made its numbers (see CONTRIBUTING.md).
    """
    place = Path(os.environ.get("VARMIX_REFERENCE", ROOT.parent / "shared" / "reference")).resolve()
    if place.is_dir():
        return place
    message = f"{NO_REFERENCE}: {place} is not a folder. Set VARMIX_REFERENCE to the folder that holds vcm/, genotype/."
    if IN_CI:
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session", autouse=True)
def blas_threads() -> Iterator[None]:
    """Hold BLAS to one thread: on small matrices threads cost more than they give, and sums are the same everywhere."""
    with threadpool_limits(limits=1):
        yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in capitals at the end how many tests did not run for want of reference data."""
    skipped = [report for report in terminalreporter.getreports("skipped") if NO_REFERENCE in str(report.longrepr)]
    if skipped:
        terminalreporter.section("REFERENCE DATA MISSING", sep="!", red=True, bold=True)
        terminalreporter.write_line(
            f"{len(skipped)} TESTS SKIPPED FOR WANT OF REFERENCE DATA: NUMBERS OF OUTSIDE PROGRAMS WERE NOT CHECKED. "
            "SET VARMIX_REFERENCE TO THEIR FOLDER."
        )
