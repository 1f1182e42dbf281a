#!/usr/bin/env bash
# Every test of the project: formatting, lints, Rust tests.
set -euo pipefail
cd "$(dirname "$0")"
cargo fmt --all -- --check
cargo clippy --workspace --all-targets -- -D warnings
cargo test --workspace
