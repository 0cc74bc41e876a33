#!/bin/sh
# Ask TinyLlama for SECONDS, from where the kept answers end: collect.sh BIN WORK SECONDS. About 90 tokens a second on two cores.
set -eu
bin=$1
work=$2
seconds=$3
here=$(cd "$(dirname "$0")" && pwd)
kept=$here/tinyllama-1.1b-chat-answers
traces=$work/tinyllama-1.1b-chat-answers
port=${PORT:-8123}

mkdir -p "$traces" "$kept"
if [ ! -f "$traces/journal.jsonl" ] && [ -f "$kept/journal.jsonl.gz" ]; then
    gzip -dc "$kept/journal.jsonl.gz" > "$traces/journal.jsonl"
fi

"$bin/kilotoken" serve "$here/answering-server.yaml" --port "$port" --log "$work/answering.log" &
server=$!
trap 'kill $server 2>/dev/null; wait $server || true' EXIT
until "$bin/python" -c "import urllib.request as u; u.urlopen('http://127.0.0.1:$port/health', timeout=2)" 2>/dev/null; do
    kill -0 $server 2>/dev/null || exit 1 # it has said why
    sleep 2
done

"$bin/kilotoken" collect --url "http://127.0.0.1:$port" --workload chat --workload copy --workload code --workload story \
    --max-tokens 192 --concurrency 48 --duration "$seconds" --out "$traces"
for name in journal.jsonl train.jsonl heldout.jsonl collect.json; do
    gzip -9nc "$traces/$name" > "$kept/$name.gz"
done
