//! Native neural networks for skirl.
