#!/usr/bin/env bash
# A plugin's life in two minutes, each step shown as the command that an operator
# would type: a dev server, an external plugin registered, enabled, written to,
# read from, killed and read from again. Leaves the server running until Ctrl-C.
#
#   tools/demo.sh [--once]     --once ends instead of waiting
#
# BOLTWORK_DEMO_ADDR changes where the server listens (127.0.0.1:8200).
set -euo pipefail
cd "$(dirname "$0")/.."
address=${BOLTWORK_DEMO_ADDR:-127.0.0.1:8200}
once=${1-}
folder=$(mktemp -d "${TMPDIR:-/tmp}/boltwork-demo.XXXXXX")
plugins=$folder/plugins
log=$folder/server.log
server=

finish() {
    local code=$?
    trap - EXIT INT TERM
    if [[ -n $server ]]; then
        kill -TERM "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    if ((code != 0)); then
        echo "demo: a step failed; the end of the server's log:" >&2
        tail -n 20 "$log" >&2 || true
    fi
    rm -rf "$folder"
    exit "$code"
}
trap finish EXIT
trap 'exit 0' INT TERM

say() { printf '\n\033[1m# %s\033[0m\n' "$*"; }
# Shows a command as it is typed, and runs it.
step() {
    printf '$'
    printf ' %q' "$@"
    printf '\n'
    "$@"
}

say "A release build of the server and of our kv plugin"
step cargo build --locked --release -p boltwork -p boltwork-secret-kv
PATH=$PWD/target/release:$PATH
mkdir -p "$plugins"
cp target/release/boltwork-secret-kv "$plugins/our-kv"
go_kv=
if command -v go >/dev/null; then
    tools/install.sh go
    if [[ -x .tools/bin/vault-plugin-secrets-kv ]]; then
        cp .tools/bin/vault-plugin-secrets-kv "$plugins/go-kv"
        go_kv=1
    fi
fi

say "A dev server: in memory, unsealed, with a root token that is no secret"
export VAULT_ADDR=http://$address VAULT_TOKEN=root HOME=$folder
if (exec 3<>"/dev/tcp/${address%:*}/${address##*:}") 2>/dev/null; then
    echo "demo: something listens on $address already; set BOLTWORK_DEMO_ADDR to another address" >&2
    exit 1
fi
printf '$ boltwork server -dev -dev-root-token-id=root -dev-listen-address=%q -dev-plugin-dir=%q &\n' "$address" "$plugins"
boltwork server -dev -dev-root-token-id=root "-dev-listen-address=$address" "-dev-plugin-dir=$plugins" >"$log" 2>&1 &
server=$!
for _ in {1..300}; do
    boltwork status >/dev/null 2>&1 && break
    kill -0 "$server" 2>/dev/null || { echo "demo: the server ended while it started" >&2; exit 1; }
    sleep 0.1
done
step boltwork status

# The newest child of the server. Its threads have a list each.
newest_child() {
    cat /proc/"$server"/task/*/children | tr ' ' '\n' | sort -n | tail -n 1
}

# Shows one plugin: its name in the catalog, its file, and where to mount it.
show() {
    local name=$1 file=$2 mount=$3 sha pid
    sha=$(sha256sum "$plugins/$file" | cut -d' ' -f1)
    step boltwork plugin register "-sha256=$sha" "-command=$file" secret "$name"
    step boltwork plugin info secret "$name"
    step boltwork secrets enable "-path=$mount" "$name"
    step boltwork write "$mount/db" user=app password=hunter2
    step boltwork read "$mount/db"
    say "Its process is killed, and the secret is read again"
    pid=$(newest_child)
    step kill -9 "$pid"
    step boltwork read "$mount/db"
    printf 'process %s is gone, process %s serves now\n' "$pid" "$(newest_child)"
}

say "Our kv engine as an external plugin"
show our-kv-plugin our-kv ours
if [[ -n $go_kv ]]; then
    say "HashiCorp's kv engine, in Go, built from its public module and not changed"
    show go-kv-plugin go-kv go
else
    say "Go is not installed: HashiCorp's own kv engine is not shown"
fi
say "The built-in kv engine works the same way"
step boltwork secrets enable -path=builtin -version=2 kv
step boltwork kv put builtin/db user=app password=hunter2
step boltwork kv get builtin/db
step boltwork secrets list -detailed

[[ $once == --once ]] && exit 0
say "The server goes on at http://$address (token: root). Ctrl-C stops it and everything it started."
wait "$server"
