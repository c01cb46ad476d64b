#!/bin/sh
# Brings the real peers that the black-box tests drive into this directory: node_modules/ (identity
# provider, conformance suite, SDKs, Inspector, everything-server, filesystem-server, memory-server, and the
# Node that they need), and one virtual environment for each Python: .venv/ (the SDK with its everything-server
# and its conformance client), .venv-legacy/ (the SDK before 2026-07-28, with its everything-server),
# .venv-fastmcp/, .venv-tasks/ (FastMCP with its tasks extension), .venv-stdio/ (time-server and git-server),
# .venv-openbao/ (OpenBao).
# Needs python3, node and npm. Does nothing when it was done for these versions.
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

# setup_python VENV REQUIREMENTS [AND_THEN]
setup_python() {
    done_for "$1/.narthex-setup" "$2" setup.sh && return
    rm -rf "$1"
    python3 -m venv "$1"
    "$1/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$2"
    [ $# -lt 3 ] || "$3" "$1" "$2"
    leave_mark "$1/.narthex-setup" "$2" setup.sh
}

# The everything-server, and in newer archives the client for the conformance suite, are published only
# inside the source archive of the SDK.
install_from_source() {
    version=$(sed -n 's/^mcp==//p' "$2")
    "$1/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary mcp -d "$1/source" "mcp==$version"
    tar -xzf "$1/source/mcp-$version.tar.gz" -C "$1/source" --strip-components=1
    "$1/bin/pip" install --quiet --disable-pip-version-check --no-deps "$1/source/examples/servers/everything-server"
    [ ! -d "$1/source/.github/actions/conformance" ] || mv "$1/source/.github/actions/conformance" "$1/conformance"
    rm -rf "$1/source"
}

setup_node
setup_python .venv requirements.txt install_from_source
setup_python .venv-legacy requirements-legacy.txt install_from_source
setup_python .venv-fastmcp requirements-fastmcp.txt
setup_python .venv-tasks requirements-tasks.txt
setup_python .venv-stdio requirements-stdio.txt
setup_python .venv-openbao requirements-openbao.txt
