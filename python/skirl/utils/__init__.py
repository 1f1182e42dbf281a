"""RLlib's place of the names in results: see `skirl.utils.metrics`."""
