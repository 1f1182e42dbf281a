"""What holds for all tests."""

import signal


def pytest_configure() -> None:
    """Ctrl-C works in tests and in the processes that they start, also where a shell put them into the background.

    Such a shell has SIGINT ignored, which every process hands on to its children.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
