"""Results as text, at the place where Ray has it."""

from skirl.logger import pretty_print

__all__ = ["pretty_print"]
