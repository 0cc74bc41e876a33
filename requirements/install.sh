#!/bin/sh
# Install the pinned set for one engine into a virtual environment: install.sh VENV cpu|gpu|base
# Pins are complete, so nothing is resolved here (--no-deps): what was tested is what is installed.
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
