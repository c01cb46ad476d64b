#!/usr/bin/env bash
# Installs what is missing for `make build` (argument: build) or also for `make test` (argument: test).
set -euo pipefail

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else return 1; fi
}

apt_install() {
    command -v apt-get >/dev/null || return 1
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q "$@" >/dev/null 2>&1 ||
        { as_root apt-get update -q >/dev/null && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q "$@" >/dev/null; }
}

need() { # command, Debian package, [PyPI package]
    command -v "$1" >/dev/null && return
    echo "installing $1 …"
    apt_install "$2" && command -v "$1" >/dev/null && return
    [ $# -lt 3 ] || python3 -m pip install -q "$3"
    command -v "$1" >/dev/null || { echo "$1 is missing: please install it" >&2; exit 1; }
}

need cargo cargo
need cc build-essential
# zlib-ng, a part of pingora, and AWS-LC are built with it.
need cmake cmake cmake

if [ "${1:-build}" = test ]; then
    need python3 python3
    need node nodejs
    need npm npm
    need curl curl
    if ! command -v promtool >/dev/null; then
        echo 'installing prometheus …'
        # The package would start a server of its own; only its programs are wanted.
        apt_install --no-install-recommends prometheus || true
        command -v promtool >/dev/null || { echo 'promtool is missing: please install Prometheus' >&2; exit 1; }
    fi
    # The store of replicas. The package would start a server of its own; only the program is wanted.
    need redis-server redis-server
    # A browser for the pages, and an identity provider that is not ours.
    need chromium chromium
    need glewlwyd glewlwyd
fi
