//! Audit entries, their HMACs, and the broker that fails closed.
