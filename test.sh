#!/usr/bin/env bash
# Every test of the project, on a machine with Rust and Python 3 only: about 20 minutes from nothing on two cores.
#
#   ./test.sh            everything
#   ./test.sh rust       formatting, lints, documentation, tests, examples
#   ./test.sh python     the Python package, comparisons with Gymnasium and TensorBoard, terminal output, the site
#   ./test.sh mutants    the test of the tests: planted bugs, each of which a fast test must notice
#
# The Python packages (tests/requirements.txt) go into a virtual environment under target/. Nothing outside target/ is written.
set -euo pipefail
cd "$(dirname "$0")"

part="${1:-all}"
case "$part" in all | rust | python | mutants) ;; *) echo "usage: $0 [all|rust|python|mutants]" >&2; exit 2 ;; esac

target="${CARGO_TARGET_DIR:-target}"
step="" hint=""
begin() { step="$1" hint="$2"; printf '\n==> %s (%d s so far)\n' "$step" "$SECONDS"; }
explain_failure() {
  code=$?
  [ "$code" -eq 0 ] || printf '\nFAILED: %s\nhint: %s\n' "${step:-start}" "${hint:-}" >&2
  [ -z "${scratch:-}" ] || rm -rf "$scratch"
  exit "$code"
}
trap explain_failure EXIT

command -v cargo >/dev/null || { step="looking for cargo" hint="install Rust 1.90 or newer, for example with rustup"; exit 1; }
mkdir -p "$target"
target="$(cd "$target" && pwd)"
scratch="$(mktemp -d "$target/test-runs.XXXXXX")"

rust_part() {
  begin "formatting" "run: cargo fmt --all"
  cargo fmt --all -- --check

  begin "lints (clippy, all targets)" "the message names file and line; 'cargo clippy --fix' repairs the simple ones"
  cargo clippy --workspace --all-targets --quiet -- -D warnings

  begin "documentation builds without warnings" "usually a broken [link] in a doc comment"
  RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet

  begin "tests: unit, integration and documentation" "repeat one with: cargo test -p CRATE NAME -- --nocapture"
  cargo test --workspace --quiet

  # `cargo test` has built the examples and the command.
  begin "example: own_middleware" "cargo run -p skirl --example own_middleware"
  "$target/debug/examples/own_middleware"

  begin "example: curriculum" "cargo run -p skirl --example curriculum; expected: a corridor of 12 is learned, twice"
  "$target/debug/examples/curriculum" | tee "$scratch/curriculum.log"
  [ "$(grep "a corridor of 12 is learned" "$scratch/curriculum.log" | sort | uniq -c | awk '$1 == 2' | wc -l)" -gt 0 ]

  begin "example: custom_evaluation" "cargo run -p skirl --example custom_evaluation; expected: four lines, the last with 10 of 10 greedy"
  "$target/debug/examples/custom_evaluation" | tee "$scratch/custom_evaluation.log"
  tail -n 1 "$scratch/custom_evaluation.log" | grep -q "10 of 10 greedy"

  begin "example: shared_counter" "cargo run -p skirl --example shared_counter; expected: digging on days with ore only, 20 days of 256 steps"
  "$target/debug/examples/shared_counter" | tee "$scratch/shared_counter.log"
  grep -q "in 5120 steps" "$scratch/shared_counter.log"

  begin "example: callbacks, metrics of one's own" "cargo run -p skirl --example callbacks; expected: 'steadiness = … reached 15'"
  "$target/debug/examples/callbacks" "$scratch/callbacks" | tee "$scratch/callbacks.log"
  grep -q "^hello, PPO$" "$scratch/callbacks.log"
  grep -Eq "^iteration [0-9]+: pole angle 0\.[0-9]{4} \(largest 0\.[0-9]{4}\), steadiness [0-9.]+$" "$scratch/callbacks.log"
  grep -q "^steadiness = .* reached 15; results in" "$scratch/callbacks.log"
  head -1 "$scratch/callbacks/progress.csv" | grep -q "env_runners/custom_metrics/pole_angle_mean.*steadiness"

  begin "example: trajectory, rewards rewritten" "cargo run -p skirl --example trajectory; expected: 30 iterations, ever more cells, a return above 60"
  "$target/debug/examples/trajectory" | tee "$scratch/trajectory.log"
  awk '/^iteration/ { if ($3 < cells) exit 1; cells = $3; return_mean = $NF; n++ } END { exit !(n == 30 && cells > 20 && return_mean > 60) }' "$scratch/trajectory.log"

  begin "example: train, the listing of the README" "make the Rust listing in README.md equal to examples/rust/train.rs"
  cmp <(sed -n '/^```rust$/,/^```$/p' README.md | sed '1d;$d') <(sed '1,/^$/d' examples/rust/train.rs)
  "$target/debug/examples/train"

  begin "kill -9 at random moments, each resumed" "repeat with: python3 tests/kill/kill_nine.py --skirl $target/debug/skirl; it names the run that differs"
  for signal in KILL INT; do
    "${PYTHON:-python3}" tests/kill/kill_nine.py --skirl "$target/debug/skirl" --count 20 --signal "$signal"
  done

  begin "example: corridor, an environment of one's own" "see examples/rust/corridor.rs; expected: 'episode_return_mean … reached 0.5'"
  "$target/debug/examples/corridor" train --run=PPO --env=Corridor-v0 --seed 1 \
    --config='{"lr": 1e-3, "train_batch_size": 512, "num_epochs": 8, "fcnet_hiddens": [32, 32]}' \
    --stop='{"env_runners/episode_return_mean": 0.5, "training_iteration": 100}' \
    --output "$scratch/corridor" | tee "$scratch/corridor.log"
  grep -q "episode_return_mean = .* reached 0.5" "$scratch/corridor.log"
}

python_part() {
  begin "Python environment in $target/python-tests" "needs Python 3.10 or newer with venv (Debian: apt install python3-venv) and access to PyPI"
  local requested="tests/requirements.txt" venv="$target/python-tests"
  local python="$venv/bin/python"
  if ! cmp -s "$requested" "$venv/installed.txt"; then
    rm -rf "$venv"
    "${PYTHON:-python3}" -m venv "$venv"
    "$python" -m pip install --quiet --disable-pip-version-check -r "$requested"
    cp "$requested" "$venv/installed.txt"
  fi

  begin "the Python package: pip install ." "maturin's build; the profile of the tests, so that what cargo test compiled is used again"
  MATURIN_PEP517_ARGS="--profile dev" "$python" -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall .

  begin "the Python package: tests" "repeat one with: $python -m pytest python/tests -k NAME"
  "$python" -m pytest -q python/tests

  begin "the Python package: types" "mypy's message names the line; stubs are written by: python python/tools/generate_stubs.py"
  "$python" -m mypy --config-file python/mypy.ini python/skirl

  begin "the Python examples" "run one alone: $python examples/python/NAME.py"
  python_examples "$python"

  begin "the site: migration pages, links" "write the pages with: python python/tools/generate_migration.py"
  "$python" python/tools/generate_migration.py --check
  NO_MKDOCS_2_WARNING=1 "$venv/bin/mkdocs" build --strict --quiet --site-dir "$scratch/site"

  begin "native environments against Gymnasium" "a difference names environment and seed; see 'Platforms' in docs/environments.md"
  PYTHON="$python" crates/skirl-env/tests/gymnasium/check_parity.sh

  begin "terminal output, 80 and 200 columns wide" "tests/terminal/check_terminal.py target/debug/skirl FOLDER writes the screens"
  # `cargo test` has built the command, unless only this part runs.
  [ "$part" = all ] || cargo build --quiet -p skirl-cli
  "$python" tests/terminal/check_terminal.py "$target/debug/skirl"

  begin "TensorBoard reads what the command writes" "tests/tensorboard/read_events.py RUN_DIRECTORY prints the metric that differs"
  "$target/debug/skirl" train configs/ppo/cartpole.toml --seed 1 \
    --stop='{"training_iteration": 20}' --output "$scratch/tensorboard"
  "$python" tests/tensorboard/read_events.py "$scratch/tensorboard"
}

# Each with a budget that is enough to see it work, not to learn much.
python_examples() {
  local python="$1" examples="examples/python"
  "$python" "$examples/sixty_minutes.py" --iterations 2 --max-iterations 2
  "$python" "$examples/custom_env.py"
  "$python" "$examples/curriculum.py"
  "$python" "$examples/custom_metrics.py" --iterations 3 --output "$scratch/pole_angle.svg"
  "$python" "$examples/rewrite_trajectories.py" --iterations 3
  "$python" "$examples/custom_evaluation.py" --iterations 2
  "$python" "$examples/multi_agent.py"
  "$python" "$examples/shared_counter.py"
  "$python" "$examples/old_names.py"
  if "$python" -c "import Box2D, imageio, mujoco, pygame" 2> /dev/null; then
    "$python" "$examples/gymnasium_tuned.py" lunar_lander --iterations 1
    "$python" "$examples/gymnasium_tuned.py" half_cheetah --iterations 1
  fi
}

mutants_part() {
  begin "planted bugs, one at a time" "repeat one with: tests/mutants/run.py --only NAME; needs Python 3.11; a survivor is a hole in the tests"
  "${PYTHON:-python3}" tests/mutants/run.py
}

case "$part" in all | rust) rust_part ;; esac
case "$part" in all | python) python_part ;; esac
case "$part" in all | mutants) mutants_part ;; esac
printf '\nAll tests passed in %d s.\n' "$SECONDS"
