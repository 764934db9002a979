#!/usr/bin/env bash
# Prints the tests that could not run, by name and with the reason.
set -euo pipefail
file=${BOLTWORK_SKIPPED:?}
if [[ ! -s $file ]]; then
    echo "All tests ran; none was skipped."
    exit 0
fi
echo "Skipped tests:"
sort -u "$file" | sed 's/^/  /'
