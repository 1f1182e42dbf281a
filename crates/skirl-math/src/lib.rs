//! Pure functions of reinforcement learning on slices.
