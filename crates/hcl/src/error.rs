//! What can be wrong with a text, and where.
//!
//! Leaves out which file the text came from: only the caller knows, and says so beside this error.

use crate::Position;

/// A text that is not HCL 1 or JSON, or is past a limit.
///
/// Never quotes a string's contents, which may be a secret; it names tokens, keys and kinds only.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text breaks the grammar, or a value has another kind than its place wants.
    #[error("line {}, column {}: found {found}, wanted {wanted}", at.line, at.column)]
    Unexpected {
        /// Where the offending token starts.
        at: Position,
        /// What stands there.
        found: String,
        /// What could have stood there.
        wanted: String,
    },
    /// Objects and lists are nested deeper than [`crate::MAX_DEPTH`].
    #[error(
        "line {}, column {}: found nesting deeper than {} levels, wanted a flatter text",
        at.line, at.column, crate::MAX_DEPTH
    )]
    TooDeep {
        /// The brace or bracket that goes one too deep.
        at: Position,
    },
    /// The text is longer than [`crate::MAX_BYTES`].
    #[error("the text has {bytes} bytes, wanted at most {}", crate::MAX_BYTES)]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

impl Error {
    /// Something at `at` that does not belong there.
    pub fn unexpected(at: Position, found: impl Into<String>, wanted: impl Into<String>) -> Self {
        Self::Unexpected { at, found: found.into(), wanted: wanted.into() }
    }

    /// Where it is wrong; nothing where the whole text is at fault.
    pub fn position(&self) -> Option<Position> {
        match self {
            Self::Unexpected { at, .. } | Self::TooDeep { at } => Some(*at),
            Self::TooLong { .. } => None,
        }
    }
}
