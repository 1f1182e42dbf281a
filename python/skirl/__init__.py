"""Reinforcement learning with RLlib's API on a native engine."""
