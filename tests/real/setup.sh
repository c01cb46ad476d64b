#!/bin/sh
# Brings the real peers that the black-box tests drive into this directory: node_modules/ (identity
# provider, Inspector, everything-server, and the Node that they need) and .venv/ (Python client and
# everything-server). Needs python3, node and npm. Does nothing when it was done for these versions.
set -eu
cd "$(dirname "$0")"

# done_for MARK FILE...: whether MARK was left for exactly these files.
done_for() {
    mark=$1; shift
    [ -f "$mark" ] && [ "$(cat "$mark")" = "$(cat "$@" | cksum)" ]
}

leave_mark() {
    mark=$1; shift
    cat "$@" | cksum > "$mark"
}

setup_node() {
    done_for node_modules/.narthex-setup package.json package-lock.json && return
    npm ci --no-audit --no-fund --loglevel=error
    # The package `node` fetches its binary in an install script, which an npm may be set not to run.
    node_modules/.bin/node --version > /dev/null 2>&1 || npm rebuild --loglevel=error --ignore-scripts=false node
    leave_mark node_modules/.narthex-setup package.json package-lock.json
}

setup_python() {
    done_for .venv/.narthex-setup requirements.txt && return
    rm -rf .venv
    python3 -m venv .venv
    .venv/bin/pip install --quiet --disable-pip-version-check --no-deps -r requirements.txt
    install_everything_server
    leave_mark .venv/.narthex-setup requirements.txt
}

# It is published only inside the source archive of the SDK.
install_everything_server() {
    version=$(sed -n 's/^mcp==//p' requirements.txt)
    source=.venv/source
    .venv/bin/pip download --quiet --disable-pip-version-check --no-deps --no-binary mcp -d "$source" "mcp==$version"
    tar -xzf "$source/mcp-$version.tar.gz" -C "$source" "mcp-$version/examples/servers/everything-server"
    .venv/bin/pip install --quiet --disable-pip-version-check --no-deps \
        "$source/mcp-$version/examples/servers/everything-server"
    rm -rf "$source"
}

setup_node
setup_python
