#!/bin/sh
# Run experiments one after the other on a quiet machine and keep the document of each:
#   benchmarks/answer_every_question.sh MACHINE [EXPERIMENT ...]
# MACHINE becomes part of the file names (2-core-cpu). Without names: every policy question.
set -eu
machine=$1
shift
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- draft-and-target prefix-cache batched-tokens max-num-seqs kv-size dtype ngram-window suffix \
    heterogeneous-vocabulary
.venv/bin/kilotoken models fetch smollm2-135m-instruct-int8 2>/dev/null || .venv/bin/kilotoken models quantize smollm2-135m-instruct
for name in "$@"; do
    run="runs/$name-$(date -u +%Y%m%d-%H%M%S)"
    .venv/bin/kilotoken run "experiments/$name.yaml" --out "$run"
    .venv/bin/kilotoken show "$run" --json >"benchmarks/results/$name-$machine.json"
done
