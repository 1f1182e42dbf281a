"""`python -m skirl.check module:Class`."""

from skirl.check.main import main

raise SystemExit(main())
