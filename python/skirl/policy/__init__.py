"""Batches of experience, and what `policies` may say."""

from skirl.policy.policy import PolicySpec
from skirl.policy.sample_batch import MultiAgentBatch, SampleBatch

__all__ = ["MultiAgentBatch", "PolicySpec", "SampleBatch"]
