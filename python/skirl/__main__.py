"""`python -m skirl`: the command."""

import sys

from skirl._cli import main

sys.exit(main())
