//! The request pipeline, mounts, tokens and the system backend.
