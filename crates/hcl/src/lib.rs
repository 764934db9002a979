//! HCL 1 and JSON configuration text, parsed into one positioned tree.
//!
//! Policies and server configuration are written in HCL's first version or in JSON; both come out
//! as an [`Object`] whose keys and values know their line and column. Durations in Vault's notation
//! are here too, because both readers need them.
//!
//! Deliberately absent: HCL 2, interpolation (`${…}` stays text), comments in the tree, any
//! knowledge of which keys exist, files. No input makes the parser panic or recurse without bound.

mod ast;
mod cursor;
mod duration;
mod error;
mod json;
mod lexer;
mod parser;

pub use ast::{Block, Item, Key, Kind, Object, Position, Value};
pub use duration::duration;
pub use error::Error;

/// How deep objects and lists may be nested.
pub const MAX_DEPTH: usize = 64;

/// How long a text may be: 8 MiB, far above any policy or configuration.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;

/// Parses HCL 1, or JSON where the first character that is not a space is `{`.
///
/// # Errors
/// [`Error`] with the line and column of what is wrong.
pub fn parse(text: &str) -> Result<Object, Error> {
    if text.len() > MAX_BYTES {
        return Err(Error::TooLong { bytes: text.len() });
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with('{') {
        json::parse(text)
    } else if text.contains("\r\n") {
        parser::parse(&text.replace("\r\n", "\n"))
    } else {
        parser::parse(text)
    }
}
