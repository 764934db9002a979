//! The three kinds of rule path, and which of two matching ones is the more specific.
//!
//! Leaves out what a rule grants.

use std::cmp::Reverse;

/// A rule's path, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// `secret/a`.
    Exact(String),
    /// `secret/*`, without the asterisk.
    Prefix(String),
    /// Anything with a segment `+`, asterisk included.
    Segments(String),
}

/// Which rule wins: the greater. In this order: the first wildcard stands later; it does not end
/// in an asterisk; it has fewer `+`; it is longer; it sorts later.
pub(crate) type Rank<'a> = (usize, bool, Reverse<usize>, usize, &'a str);

impl Pattern {
    /// Takes a path as written; `None` for `+*`, which is forbidden.
    pub(crate) fn new(path: &str) -> Option<Self> {
        let path = path.strip_prefix('/').unwrap_or(path);
        if path.contains("+*") {
            return None;
        }
        if path == "+" || path.contains("/+") || path.starts_with("+/") {
            return Some(Self::Segments(path.to_owned()));
        }
        Some(match path.strip_suffix('*') {
            Some(prefix) => Self::Prefix(prefix.to_owned()),
            None => Self::Exact(path.to_owned()),
        })
    }
}

/// The rank of a rule that ends in an asterisk and has no `+`.
pub(crate) fn prefix_rank(prefix: &str) -> Rank<'_> {
    (prefix.len(), false, Reverse(0), prefix.len(), prefix)
}

/// A path with `+` segments, ready to match.
#[derive(Debug, Clone)]
pub(crate) struct Segments {
    /// Without a trailing asterisk.
    text: String,
    prefix: bool,
    first_wildcard: usize,
    wildcards: usize,
}

impl Segments {
    pub(crate) fn new(pattern: &str) -> Self {
        let text = pattern.strip_suffix('*').unwrap_or(pattern);
        Self {
            prefix: text.len() != pattern.len(),
            first_wildcard: text.find('+').unwrap_or(text.len()),
            wildcards: text.split('/').filter(|part| *part == "+").count(),
            text: text.to_owned(),
        }
    }

    pub(crate) fn rank(&self) -> Rank<'_> {
        let length = self.text.len();
        (self.first_wildcard, !self.prefix, Reverse(self.wildcards), length, &self.text)
    }

    /// The pattern as it was written.
    pub(crate) fn written(&self) -> String {
        if self.prefix { format!("{}*", self.text) } else { self.text.clone() }
    }

    pub(crate) fn matches(&self, path: &str) -> bool {
        let mut parts = path.split('/');
        let mut wanted = self.text.split('/').peekable();
        while let Some(want) = wanted.next() {
            let Some(part) = parts.next() else { return false };
            let last = wanted.peek().is_none();
            let open = self.prefix && last && part.starts_with(want);
            if want != "+" && want != part && !open {
                return false;
            }
        }
        self.prefix || parts.next().is_none()
    }

    /// Whether a path that starts with `mount` (which ends in a slash) can match.
    pub(crate) fn reaches_below(&self, mount: &str) -> bool {
        let mut wanted = self.text.split('/').peekable();
        for part in mount.trim_end_matches('/').split('/') {
            let Some(want) = wanted.next() else { return false };
            if wanted.peek().is_none() && self.prefix {
                return want == "+" || part.starts_with(want);
            }
            if want != "+" && want != part {
                return false;
            }
        }
        // What names the mount itself counts too: listing a mount's root asks for its bare name.
        true
    }
}
