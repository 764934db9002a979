//! What a rule can grant, as a small set.
//!
//! Leaves out which operation needs which capability: that is the request pipeline's business.

use std::ops::{BitOr, BitOrAssign};

/// A set of capabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Capabilities(u32);

/// In the order in which Vault lists a path's capabilities.
const NAMES: [(Capabilities, &str); 11] = [
    (Capabilities::DENY, "deny"),
    (Capabilities::SUDO, "sudo"),
    (Capabilities::READ, "read"),
    (Capabilities::LIST, "list"),
    (Capabilities::UPDATE, "update"),
    (Capabilities::DELETE, "delete"),
    (Capabilities::CREATE, "create"),
    (Capabilities::PATCH, "patch"),
    (Capabilities::SCAN, "scan"),
    (Capabilities::SUBSCRIBE, "subscribe"),
    (Capabilities::RECOVER, "recover"),
];

impl Capabilities {
    /// The empty set.
    pub const NONE: Self = Self(0);
    /// Forbids everything, whatever else is granted.
    pub const DENY: Self = Self(1);
    /// Write where nothing is yet.
    pub const CREATE: Self = Self(1 << 1);
    /// Read.
    pub const READ: Self = Self(1 << 2);
    /// Write over what is there, and call an action.
    pub const UPDATE: Self = Self(1 << 3);
    /// Delete.
    pub const DELETE: Self = Self(1 << 4);
    /// List.
    pub const LIST: Self = Self(1 << 5);
    /// Reach paths that only root may otherwise use.
    pub const SUDO: Self = Self(1 << 6);
    /// Change parts of what is there.
    pub const PATCH: Self = Self(1 << 7);
    /// List recursively (OpenBao).
    pub const SCAN: Self = Self(1 << 8);
    /// Follow events (HashiCorp).
    pub const SUBSCRIBE: Self = Self(1 << 9);
    /// Recover from a snapshot (HashiCorp).
    pub const RECOVER: Self = Self(1 << 10);

    /// The one capability of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(one, _)| *one)
    }

    /// Whether all of `other` are in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is in this set.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Both sets together.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether nothing is in this set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names, in Vault's order.
    pub fn names(self) -> Vec<&'static str> {
        NAMES.iter().filter(|(one, _)| self.contains(*one)).map(|(_, name)| *name).collect()
    }
}

impl BitOr for Capabilities {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

impl BitOrAssign for Capabilities {
    fn bitor_assign(&mut self, other: Self) {
        *self = self.union(other);
    }
}
