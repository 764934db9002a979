//! Why a policy's text is refused.
//!
//! Leaves out refusals of requests: see [`crate::Reason`].

use std::fmt;

/// A policy that cannot be taken. The texts begin as Vault's do, because scripts match on them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Neither HCL nor JSON, or a value of the wrong kind at the outermost level.
    #[error("failed to parse policy: {0}")]
    Syntax(#[from] boltwork_hcl::Error),
    /// Keys that no policy has.
    #[error("failed to parse policy: {0}")]
    UnknownKeys(UnknownKeys),
    /// One rule is wrong.
    #[error("failed to parse policy: path {path:?}: {why}")]
    Rule {
        /// The rule's path as written.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// One rule's wrapping limits contradict each other or are no durations.
    #[error("failed to parse policy: {0}")]
    Wrapping(String),
    /// A path with unpaired `{{` or `}}`.
    #[error("failed to parse policy: failed to validate policy templating: {0}")]
    Template(&'static str),
}

/// The keys that are not known, with their lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKeys(pub(crate) Vec<String>);

impl fmt::Display for UnknownKeys {
    /// The list form of Go's multierror, which is what clients of Vault see.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("1 error occurred:")?,
            n => write!(f, "{n} errors occurred:")?,
        }
        for line in &self.0 {
            write!(f, "\n\t* {line}")?;
        }
        f.write_str("\n\n")
    }
}
