"""Parts of an algorithm that are used alone."""
