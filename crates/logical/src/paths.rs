//! Paths that a backend treats specially.

/// What a backend declares of its paths, all relative to the mount. A trailing `*` matches any
/// rest; in `unauthenticated` a whole segment may be `+` (wire spec 2.6).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpecialPaths {
    /// Need `sudo`.
    pub root: Vec<String>,
    /// Need no token.
    pub unauthenticated: Vec<String>,
    /// Not replicated.
    pub local_storage: Vec<String>,
    /// Encrypted once more by the seal.
    pub seal_wrap_storage: Vec<String>,
    /// Written on the primary (HashiCorp Enterprise).
    pub write_forwarded_storage: Vec<String>,
    /// Carry bytes, not JSON (HashiCorp).
    pub binary: Vec<String>,
    /// Rate-limited separately (HashiCorp).
    pub limited: Vec<String>,
    /// May be read from a snapshot (HashiCorp).
    pub allow_snapshot_read: Vec<String>,
}

impl SpecialPaths {
    /// Whether `path` needs `sudo`.
    pub fn is_root(&self, path: &str) -> bool {
        self.root.iter().any(|pattern| matches(pattern, path))
    }

    /// Whether `path` needs no token.
    pub fn is_unauthenticated(&self, path: &str) -> bool {
        self.unauthenticated.iter().any(|pattern| matches(pattern, path))
    }
}

/// Whether a pattern (trailing `*`, whole segments `+`) matches a path.
fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, open) = match pattern.strip_suffix('*') {
        Some(head) => (head, true),
        None => (pattern, false),
    };
    if !pattern.contains('+') {
        return if open { path.starts_with(pattern) } else { path == pattern };
    }
    let mut rest = path.split('/');
    let mut wanted = pattern.split('/').peekable();
    while let Some(want) = wanted.next() {
        let Some(have) = rest.next() else { return false };
        let last = wanted.peek().is_none();
        let fits = match want {
            "+" => !have.is_empty(),
            _ if last && open => return have.starts_with(want),
            _ => have == want,
        };
        if !fits {
            return false;
        }
    }
    open || rest.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_vault() {
        for (pattern, path, fits) in [
            ("login", "login", true),
            ("login", "login/x", false),
            ("login/*", "login/x/y", true),
            ("login/*", "login", false),
            ("foo*", "foobar", true),
            ("+/wildcard/glob*", "a/wildcard/global", true),
            ("+/wildcard/glob*", "a/b/wildcard/glob", false),
            ("role/+/secret-id", "role/x/secret-id", true),
            ("role/+/secret-id", "role/x/y/secret-id", false),
            ("role/+", "role/", false),
            ("end/+", "end/x", true),
            ("end/+", "end/x/y", false),
        ] {
            assert_eq!(matches(pattern, path), fits, "{pattern} on {path}");
        }
    }
}
