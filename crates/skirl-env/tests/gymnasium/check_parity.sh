#!/usr/bin/env bash
# Runs Gymnasium itself over all recorded seeds and compares with the stored recordings, so that a change upstream, or a
# platform whose libm differs, is noticed. `cargo test -p skirl-env` compares our environments with the same recordings.
#
# Uses the Python in PYTHON if it has Gymnasium, else a virtual environment next to the build output.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
python="${PYTHON:-python3}"
if ! "$python" -c 'import gymnasium' 2>/dev/null; then
  venv="$here/../../../../target/gymnasium-venv"
  [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
  python="$venv/bin/python"
fi
exec "$python" -W ignore "$here/record.py" --check
