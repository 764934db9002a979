//! The Boltwork server: configuration, listeners, built-in plugins, assembly.
