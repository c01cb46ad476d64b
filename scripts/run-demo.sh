#!/usr/bin/env bash
# Starts the demo MCP server and the gateway in front of it, and says how to try them. Ctrl-C stops both.
# CONFIG: another configuration than gateway.yaml.
# NARTHEX_BIN_DIR: where the binaries are, if not in target/release.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=${NARTHEX_BIN_DIR:-target/release}
config=${CONFIG:-gateway.yaml}
unset NARTHEX_CONFIG # or `narthex token` would read another
umask 077

fail() { echo "run-demo: $*" >&2; exit 1; }

# value_of KEY: its values in the configuration, in order.
value_of() { sed -n "s/^ *$1: *\([^ ]*\).*/\1/p" "$config"; }

# require_free ADDRESS WHAT: fails if somebody listens there already.
require_free() {
    if (exec 3<>"/dev/tcp/${1%:*}/${1##*:}") 2>/dev/null; then
        fail "$1 is taken, and $2 needs it: stop what listens there, or change $config"
    fi
}

command -v curl >/dev/null || fail 'curl is missing: please install it'
for binary in narthex narthex-demo; do
    [ -x "$bin/$binary" ] || fail "$bin/$binary is not built: run make build, or say where it is with NARTHEX_BIN_DIR"
done
{ read -r listen && read -r admin; } < <(value_of listen)
public_url=$(value_of public_url)
upstream=$(value_of url | sed 's,^http://\([^/]*\)/.*,\1,')
require_free "$listen" 'the gateway'
require_free "$admin" "the gateway's admin listener"
require_free "$upstream" 'the demo server'

mkdir -p .narthex
[ -s .narthex/demo-key ] || head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' >.narthex/demo-key
"$bin/narthex" check --config "$config"

pids=()
stop() {
    trap - EXIT
    [ ${#pids[@]} = 0 ] && return
    # They finish what they are at; another Ctrl-C does not wait for that.
    trap 'kill -KILL "${pids[@]}" 2>/dev/null || true' INT TERM
    kill "${pids[@]}" 2>/dev/null || true
    wait
}
trap stop EXIT
trap 'exit 0' INT TERM

# await NAME PID URL: until it answers, whatever it answers.
await() {
    for _ in $(seq 150); do
        kill -0 "$2" 2>/dev/null || fail "$1 did not start"
        curl -s -o /dev/null "$3" && return
        sleep 0.1
    done
    fail "$1 does not answer at $3"
}

"$bin/narthex-demo" --stateless --listen "$upstream" --api-key-file .narthex/demo-key >.narthex/demo.log 2>&1 &
pids+=($!)
await 'the demo server (see .narthex/demo.log)' $! "http://$upstream/mcp"
# The access log goes to a file, the gateway's own log there and to this terminal.
"$bin/narthex" run --config "$config" >.narthex/access.log 2> >(exec tee .narthex/gateway.log >&2) &
gateway=$!
pids+=("$gateway")
await 'the gateway' "$gateway" "http://$admin/readyz"

if grep -q '^  authority:' "$config"; then
    cat <<TEXT

Narthex is in front of the demo server, and is the authorization server, too. Give a client that can log in
the URL $public_url/mcp, and log in as one of the users in $config:

  # Claude Code; then /mcp in it
  claude mcp add --transport http narthex $public_url/mcp

  # the MCP Inspector
  npx -y @modelcontextprotocol/inspector

  # what clients find
  curl -s $public_url/.well-known/oauth-authorization-server

Ctrl-C stops it.
TEXT
    wait "$gateway"
    exit
fi

cat <<TEXT

Narthex is in front of the demo server. In another terminal:

  cd $(printf %q "$PWD")

  # a token for one hour, from the embedded development issuer
  TOKEN=\$($bin/narthex token)

  # call a tool: whoami says which credential the server got (not yours)
  curl -s $public_url/mcp -H "Authorization: Bearer \$TOKEN" \\
    -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \\
    -d '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","arguments":{}}}'

  # the MCP Inspector, on the command line
  npx -y @modelcontextprotocol/inspector --cli $public_url/mcp --transport http \\
    --header "Authorization: Bearer \$TOKEN" --method tools/list

  # Claude Code
  claude mcp add --transport http narthex $public_url/mcp --header "Authorization: Bearer \$TOKEN"

  # what happened
  tail -n 3 .narthex/access.log
  curl -s http://$admin/metrics | grep narthex_http_requests_total

Step by step, with what you should see: docs/walkthrough.md. Ctrl-C stops it.
TEXT
wait "$gateway"
