"""Batches of experience."""

from skirl.policy.sample_batch import MultiAgentBatch, SampleBatch

__all__ = ["MultiAgentBatch", "SampleBatch"]
