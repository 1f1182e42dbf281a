#!/bin/sh
# Builds rltools_ppo_pendulum against the `rltools` and `mkl` packages of a virtual environment.
#
#   build_rltools.sh VENV OUT_DIR
#
# OUT_DIR gets rltools_common (8 x 256, 4 epochs, tanh), rltools_common_relu (the same with RLtools' own activation)
# and rltools_shipped (RLtools' own settings), each with MKL and, as ..._openblas, with numpy's OpenBLAS; and
# rltools_noblas (plain loops: shows how slow the silent fallback is). All but the last count the calls of
# cblas_sgemm and fail when there are too few.
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
mkl_libs="$lib/libmkl_intel_ilp64.so.3 $lib/libmkl_sequential.so.3 $lib/libmkl_core.so.3 -Wl,-rpath,$lib"
openblas_lib=$(ls "$site"/numpy.libs/libscipy_openblas64_*.so)
openblas_libs="$openblas_lib -Wl,-rpath,$site/numpy.libs"

build() { # NAME, then switches
    name=$1
    shift
    echo "building $out/$name"
    # shellcheck disable=SC2086
    ${CXX:-g++} $flags "$@" "$here/rltools_ppo_pendulum.cpp" -o "$out/$name" $extra
}

for variant in common "common_relu -DACTIVATION=RELU" "shipped -DSHIPPED"; do
    # shellcheck disable=SC2086
    set -- $variant
    variant_name=$1
    shift
    extra="$mkl_libs -lpthread -lm -ldl"
    # shellcheck disable=SC2086
    build "rltools_$variant_name" $mkl "$@"
    extra="$openblas_libs -lpthread -lm -ldl"
    # shellcheck disable=SC2086
    build "rltools_${variant_name}_openblas" $mkl -DOPENBLAS "$@"
done
extra="-lpthread"
build rltools_noblas -DRL_TOOLS_BACKEND_DISABLE_BLAS
