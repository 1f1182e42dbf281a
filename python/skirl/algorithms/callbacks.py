"""RLlib's older place of the callbacks' base class."""

from skirl.callbacks.callbacks import DefaultCallbacks, RLlibCallback, SkirlCallback

__all__ = ["DefaultCallbacks", "RLlibCallback", "SkirlCallback"]
