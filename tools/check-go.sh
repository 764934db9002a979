#!/usr/bin/env bash
# Are the Go sources of the tests formatted, free of what vet finds, and their
# module files complete? Says nothing where Go is missing: the tests that need
# the plugins are reported as skipped then.
set -euo pipefail
cd "$(dirname "$0")/../tests/go"
command -v gofmt >/dev/null && [[ -x ../../.tools/bin/mock-plugin ]] || exit 0
wrong=$(gofmt -l .)
if [[ -n $wrong ]]; then
    printf 'gofmt would change:\n%s\n' "$wrong" >&2
    exit 1
fi
for module in */go.mod; do
    folder=$(dirname "$module")
    vet=()
    # The old database interface passes messages by value.
    [[ $folder != mock-database ]] || vet=(-copylocks=false)
    (cd "$folder" && go vet "${vet[@]}" ./... && go mod verify >/dev/null)
done
