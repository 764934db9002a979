//! Bytes at rest: the physical storage trait and its engines.
