#!/bin/sh
# Install the pinned set for one engine into a virtual environment: install.sh VENV cpu|gpu|base
# Pins are complete, so nothing is resolved here (--no-deps): what was tested is what is installed.
# With an engine, suffix decoding's library is compiled too; where it cannot be, all else stays installed.
set -eu
venv=$1
engine=$2
here=$(dirname "$0")

"$venv/bin/python" -m pip install --quiet --disable-pip-version-check "uv==0.13.9"

# uv does not read pip's settings. Where the user told pip about local wheels or an index of their own, uv
# is told the same; otherwise uv finds the CPU build of torch by itself (--torch-backend).
pip_setting() { "$venv/bin/python" -m pip config get "$1" 2>/dev/null | tr '\n' ' ' | sed 's/ *$//'; }
find_links=$(pip_setting global.find-links || true)
index=$(pip_setting global.index-url || true)
[ -z "$find_links" ] || export UV_FIND_LINKS="$(echo "$find_links" | tr ' ' ',')"
[ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
backend=""
[ "$engine" != cpu ] || [ -n "$find_links" ] || backend="--torch-backend=cpu"

# shellcheck disable=SC2086  # an empty backend must vanish
"$venv/bin/uv" pip install --python "$venv/bin/python" --no-deps --link-mode=hardlink $backend \
    -r "$here/$engine.txt" -r "$here/dev.txt"
"$venv/bin/uv" pip install --python "$venv/bin/python" --no-deps --no-build-isolation --quiet -e "$here/.."

# Suffix decoding (suffix.txt) is published as source only. Built in isolation it would download another torch
# just to ask for a path; here it builds beside the engine's own, with its build tools installed first.
suffix_decoding() {
    grep -v "^arctic-inference" "$here/suffix.txt" |
        "$venv/bin/uv" pip install --python "$venv/bin/python" --no-deps -r - || return 1
    bin=$(cd "$venv/bin" && pwd)
    # CMake finds this environment's Python and nanobind through these two.
    VIRTUAL_ENV=$(dirname "$bin") PATH=$bin:$PATH \
        "$venv/bin/uv" pip install --python "$venv/bin/python" --no-deps --no-build-isolation \
        -r "$here/suffix.txt" || return 1
    "$venv/bin/python" -c "from arctic_inference.suffix_decoding import SuffixDecodingCache" || return 1
}
if [ "$engine" != base ]; then
    log=$venv/suffix-build.log
    if suffix_decoding >"$log" 2>&1; then
        echo "suffix decoding: built and installed"
    else
        # vLLM asks only whether the package is there: one that does not import must not stay.
        "$venv/bin/uv" pip uninstall --python "$venv/bin/python" --quiet arctic-inference 2>/dev/null || true
        echo "note: suffix decoding is off; everything else is installed. Its library could not be compiled: it"
        echo "      needs a C++20 compiler and Python's headers (Debian: g++ and python3-dev). The compiler's words"
        echo "      are in $log; with both there, run: requirements/install.sh $venv $engine"
    fi
fi
