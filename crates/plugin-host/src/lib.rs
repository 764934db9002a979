//! Catalog, integrity, processes and supervision of external plugins.
// NOTE (23:21) to the engineer who owns plugin-host: the LEAD wrote `catalog/` (storage format, lookup,
// registration rules 5.3, version selection, list) and `integrity/` (open once, hash, sealed memfd, permission checks, ELF checks).
// Use them: Catalog, Builtin, Found, check() -> Checked, catalog.store(checked, kind, reported_version); Binaries::open, locate,
// check_permissions. They are yours from now on. You write: process, supervisor, pool, remote, callbacks, gate (SetupGate),
// diagnose, status, and `PluginHost` that ties it together (incl. `retire`). Remove this note and OWNERS.txt then.
#![allow(dead_code)]

mod catalog;
mod integrity;
