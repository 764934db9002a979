//! Catalog, integrity, processes and supervision of external plugins.
