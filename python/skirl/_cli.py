"""The `skirl` command."""

import sys

from skirl import _native


def main() -> int:
    """Runs the command with the process's arguments; its exit code."""
    # As for `python -m`: environments are named `module:Class`, and the module lies where the user is.
    if "" not in sys.path:
        sys.path.insert(0, "")
    return _native.run_command(["skirl", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
