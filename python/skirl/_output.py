"""Whether anybody reads what this program prints."""

import sys


def advice_on_closed_output() -> str:
    """What to do about a `BrokenPipeError` where the reader of standard output or error has ended; empty where it has not."""
    for name in ("stdout", "stderr"):
        if _is_closed(getattr(sys, name, None)):
            return (
                f"Nobody reads sys.{name} any more: the program that it was piped into has ended (`| head` does, for example), and "
                "print() raises from then on. Nothing else is wrong; let that program read to the end, or write to a file"
            )
    return ""


def _is_closed(stream: object) -> bool:
    import select

    try:
        poll = select.poll()
        # A pipe without a reader is an error to whoever writes, which is told unasked.
        poll.register(stream.fileno(), 0)  # type: ignore[attr-defined]
        return any(events & select.POLLERR for _, events in poll.poll(0))
    except (AttributeError, OSError, ValueError):
        # No `poll` on this system, or no stream with a file behind it.
        return False
