//! Environments for skirl.
