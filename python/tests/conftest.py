"""What holds for all tests."""

import gc
import signal
import sys

import pytest

#: There are no environment runners in processes of their own on Windows: environments are stepped in the process.
collect_ignore_glob = ["test_workers*.py"] if sys.platform == "win32" else []


def pytest_configure() -> None:
    """Ctrl-C works in tests and in the processes that they start, also where a shell put them into the background.

    Such a shell has SIGINT ignored, which every process hands on to its children.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def no_runners_of_other_tests() -> None:
    """Algorithms of earlier tests, and their environment runners, are gone."""
    # Imports PPO, which other tests need not wait for.
    import worker_runs as runs

    gc.collect()
    assert runs.wait_for(lambda: not runs.workers())
