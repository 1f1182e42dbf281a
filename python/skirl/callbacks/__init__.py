"""Your own code at fixed points of a run, called hooks."""

from skirl.callbacks.callbacks import DefaultCallbacks, RLlibCallback, SkirlCallback

__all__ = ["DefaultCallbacks", "RLlibCallback", "SkirlCallback"]
