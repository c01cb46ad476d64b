#!/usr/bin/env bash
# Starts the demo MCP server and the gateway in front of it, and says how to try them. Ctrl-C stops both.
set -euo pipefail
cd "$(dirname "$0")/.."

config=${NARTHEX_CONFIG:-gateway.yaml}
bin=target/release
umask 077
mkdir -p .narthex
[ -s .narthex/demo-key ] || head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' >.narthex/demo-key

pids=()
stop() { trap - EXIT INT TERM; for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; wait 2>/dev/null || true; }
trap stop EXIT
trap 'exit 0' INT TERM

"$bin/narthex" check --config "$config"
"$bin/narthex-demo" --listen 127.0.0.1:9001 --api-key-file .narthex/demo-key >.narthex/demo.log 2>&1 &
pids+=($!)
"$bin/narthex" run --config "$config" >.narthex/access.log &
gateway=$!
pids+=("$gateway")

for _ in $(seq 100); do
    curl -fsS http://127.0.0.1:9090/readyz >/dev/null 2>&1 && break
    kill -0 "$gateway" 2>/dev/null || { echo 'the gateway did not start' >&2; exit 1; }
    sleep 0.1
done

cat <<'TEXT'

Narthex is in front of the demo server. In another terminal, in this directory:

  # a token for one hour, from the embedded development issuer
  TOKEN=$(target/release/narthex token)

  # call a tool; whoami says which credential the server got (not yours)
  curl -s http://localhost:8080/mcp -H "Authorization: Bearer $TOKEN" \
    -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \
    -d '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","arguments":{}}}'

  # the MCP Inspector, on the command line
  npx -y @modelcontextprotocol/inspector --cli http://localhost:8080/mcp --transport http \
    --header "Authorization: Bearer $TOKEN" --method tools/list

  # Claude Code
  claude mcp add --transport http narthex http://localhost:8080/mcp --header "Authorization: Bearer $TOKEN"

  # what happened
  tail -n 3 .narthex/access.log
  curl -s http://127.0.0.1:9090/metrics | grep narthex_http_requests_total

Ctrl-C stops it.
TEXT
wait "$gateway"
