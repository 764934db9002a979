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
    /// What reads ask storage for, so that the server can send it along (Boltwork).
    pub read_ahead: Vec<ReadAhead>,
}

/// Where a read finds what it needs: the read of `path` + REST asks storage for `key` + REST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadAhead {
    /// Prefix of request paths.
    pub path: String,
    /// Prefix of storage keys.
    pub key: String,
}

impl SpecialPaths {
    /// Whether `path` needs `sudo`.
    pub fn is_root(&self, path: &str) -> bool {
        self.root.iter().any(|pattern| matches(pattern, path))
    }

    /// The storage key that a read of `path` will ask for, if it was said; of several rules the one
    /// with the longest prefix counts.
    pub fn read_ahead_key(&self, path: &str) -> Option<String> {
        let rules = self.read_ahead.iter().filter(|rule| path.starts_with(&rule.path));
        let rule = rules.max_by_key(|rule| rule.path.len())?;
        let rest = path.get(rule.path.len()..).filter(|rest| !rest.is_empty())?;
        Some(format!("{}{rest}", rule.key))
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

    #[test]
    fn a_read_asks_for_what_the_longest_rule_says() {
        let rule = |path: &str, key: &str| ReadAhead { path: path.into(), key: key.into() };
        let read_ahead = vec![rule("data/", "meta/"), rule("", "all/"), rule("data/x/", "x/")];
        let paths = SpecialPaths { read_ahead, ..SpecialPaths::default() };
        for (path, key) in [
            ("data/a/b", Some("meta/a/b")),
            ("data/x/b", Some("x/b")),
            ("other", Some("all/other")),
            ("data/", None),
            ("", None),
        ] {
            assert_eq!(paths.read_ahead_key(path).as_deref(), key, "{path}");
        }
        assert_eq!(SpecialPaths::default().read_ahead_key("data/a"), None);
    }
}
