//! The plugin author's one door: write an engine, serve it to Boltwork, Vault or OpenBao.
