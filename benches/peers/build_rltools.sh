#!/bin/sh
# Builds rltools_ppo_pendulum against the `rltools` and `mkl` packages of a virtual environment.
#
#   build_rltools.sh VENV OUT_DIR
#
# OUT_DIR gets four programs: rltools_common (8 x 256, 4 epochs, tanh), rltools_shipped (RLtools' own settings),
# rltools_common_relu (the common protocol with RLtools' own activation) and rltools_noblas (no MKL: shows how
# slow the silent fallback is). The first three count the calls of cblas_sgemm and fail when MKL is not used.
set -eu
venv=${1:?usage: build_rltools.sh VENV OUT_DIR}
out=${2:?usage: build_rltools.sh VENV OUT_DIR}
here=$(cd "$(dirname "$0")" && pwd)
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
headers=$site/rltools/external/rl_tools/include
lib=$venv/lib
test -f "$headers/rl_tools/rl_tools.h" || { echo "no RLtools headers in $headers: install requirements.txt" >&2; exit 1; }
test -f "$venv/include/mkl.h" || { echo "no mkl.h in $venv/include: install requirements.txt" >&2; exit 1; }
mkdir -p "$out"

# -Ofast and -march=native are what RLtools' own benchmark builds use.
flags="-std=c++17 -Ofast -march=native -m64 -fno-math-errno -I$headers -DRL_TOOLS_DISABLE_TENSORBOARD"
mkl="-I$venv/include -DRL_TOOLS_BACKEND_ENABLE_MKL -DMKL_ILP64 -DCOUNT_SGEMM -Wl,--wrap=cblas_sgemm"
libs="$lib/libmkl_intel_ilp64.so.3 $lib/libmkl_sequential.so.3 $lib/libmkl_core.so.3 -Wl,-rpath,$lib -lpthread -lm -ldl"

build() { # NAME, then switches
    name=$1
    shift
    echo "building $out/$name"
    # shellcheck disable=SC2086
    ${CXX:-g++} $flags "$@" "$here/rltools_ppo_pendulum.cpp" -o "$out/$name" $extra
}

extra=$libs
# shellcheck disable=SC2086
build rltools_common $mkl
# shellcheck disable=SC2086
build rltools_shipped $mkl -DSHIPPED
# shellcheck disable=SC2086
build rltools_common_relu $mkl -DACTIVATION=RELU
extra="-lpthread"
build rltools_noblas -DRL_TOOLS_BACKEND_DISABLE_BLAS
