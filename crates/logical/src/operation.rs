//! What a request asks for, in the words that the plugin protocol uses.

use std::fmt;

/// The operation of a request. The strings are the protocol's (wire spec 2.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Operation {
    /// Write where nothing was before.
    Create,
    /// Read one thing.
    Read,
    /// Write over what is there.
    Update,
    /// Change part of what is there.
    Patch,
    /// Remove.
    Delete,
    /// List keys below a path.
    List,
    /// List keys below a path, recursively (OpenBao).
    Scan,
    /// Explain a path.
    Help,
    /// Which alias a login would have, without logging in.
    AliasLookahead,
    /// Which role a login would use.
    ResolveRole,
    /// HEAD: headers only.
    Header,
    /// Take back what a lease gave.
    Revoke,
    /// Extend what a lease gave.
    Renew,
    /// Undo what a crash left half-done; sent periodically.
    Rollback,
}

impl Operation {
    const ALL: [Self; 14] = [
        Self::Create,
        Self::Read,
        Self::Update,
        Self::Patch,
        Self::Delete,
        Self::List,
        Self::Scan,
        Self::Help,
        Self::AliasLookahead,
        Self::ResolveRole,
        Self::Header,
        Self::Revoke,
        Self::Renew,
        Self::Rollback,
    ];

    /// The operation as the protocol writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Scan => "scan",
            Self::Help => "help",
            Self::AliasLookahead => "alias-lookahead",
            Self::ResolveRole => "resolve-role",
            Self::Header => "header",
            Self::Revoke => "revoke",
            Self::Renew => "renew",
            Self::Rollback => "rollback",
        }
    }

    /// Reads the protocol's word; `None` for one that we do not know.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|op| op.as_str() == word)
    }

    /// Whether the operation writes data of the caller's (create, update or patch).
    pub const fn is_write(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Patch)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back_as_itself() {
        for op in Operation::ALL {
            assert_eq!(Operation::parse(op.as_str()), Some(op));
        }
        assert_eq!(Operation::parse("CREATE"), None);
    }
}
