//! Versions as HashiCorp's go-version reads them: what decides is the canonical string.
//!
//! Ordering ignores build metadata; equality of entries compares the canonical strings literally
//! (wire spec 5.4).

use std::{cmp::Ordering, fmt};

/// A parsed version: one to many numbers, optional pre-release, optional build metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    numbers: Vec<u64>,
    pre: String,
    meta: String,
}

/// A text that is no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Malformed version: {0}")]
pub struct VersionError(pub String);

impl Version {
    /// The strict form: a pre-release needs its hyphen (`1.0-beta1`).
    pub fn parse_strict(text: &str) -> Result<Self, VersionError> {
        Self::parse(text, false)
    }

    /// The loose form: `1.0beta1` is `1.0.0-beta1`.
    pub fn parse_loose(text: &str) -> Result<Self, VersionError> {
        Self::parse(text, true)
    }

    fn parse(text: &str, loose: bool) -> Result<Self, VersionError> {
        let bad = || VersionError(text.to_owned());
        let rest = text.strip_prefix('v').unwrap_or(text);
        let (rest, meta) = match rest.split_once('+') {
            Some((head, meta)) => (head, Some(meta)),
            None => (rest, None),
        };
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (core, tail) = rest.split_at(end);
        let pre = match tail.strip_prefix('-') {
            Some(pre) => Some(pre),
            None if tail.is_empty() => None,
            None if loose => Some(tail),
            None => return Err(bad()),
        };
        let word = |w: &str| {
            !w.is_empty()
                && w.split('.').all(|part| !part.is_empty())
                && w.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '~'))
        };
        if pre.is_some_and(|p| !word(p)) || meta.is_some_and(|m| !word(m)) {
            return Err(bad());
        }
        let mut numbers = core
            .split('.')
            .map(|n| n.parse::<u64>().map_err(|_| bad()))
            .collect::<Result<Vec<_>, _>>()?;
        while numbers.len() < 3 {
            numbers.push(0);
        }
        let owned = |o: Option<&str>| o.unwrap_or_default().to_owned();
        Ok(Self { numbers, pre: owned(pre), meta: owned(meta) })
    }

    /// The build metadata without `+`.
    pub fn metadata(&self) -> &str {
        &self.meta
    }

    /// Whether the metadata marks a built-in plugin (`builtin` as one of its dotted parts).
    pub fn is_builtin(&self) -> bool {
        self.meta.split('.').any(|part| part == "builtin")
    }

    /// Order by precedence: numbers, then pre-release; metadata takes no part.
    pub fn precedence(&self, other: &Self) -> Ordering {
        let width = self.numbers.len().max(other.numbers.len());
        for i in 0..width {
            let (a, b) = (self.numbers.get(i).unwrap_or(&0), other.numbers.get(i).unwrap_or(&0));
            match a.cmp(b) {
                Ordering::Equal => {}
                unequal => return unequal,
            }
        }
        match (self.pre.is_empty(), other.pre.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => compare_pre(&self.pre, &other.pre),
        }
    }
}

/// Pre-releases part by part: numbers below words, numbers by value, fewer parts first.
fn compare_pre(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.split('.'), b.split('.'));
    loop {
        match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) => {
                let order = match (x.parse::<u64>(), y.parse::<u64>()) {
                    (Ok(x), Ok(y)) => x.cmp(&y),
                    (Ok(_), Err(_)) => Ordering::Less,
                    (Err(_), Ok(_)) => Ordering::Greater,
                    (Err(_), Err(_)) => x.cmp(y),
                };
                if order != Ordering::Equal {
                    return order;
                }
            }
        }
    }
}

/// The canonical form: `v`, at least three numbers, `-pre`, `+meta`.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("v")?;
        for (i, number) in self.numbers.iter().enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            write!(f, "{number}")?;
        }
        if !self.pre.is_empty() {
            write!(f, "-{}", self.pre)?;
        }
        if !self.meta.is_empty() {
            write!(f, "+{}", self.meta)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_forms() {
        for (text, canonical) in [
            ("1", "v1.0.0"),
            ("v1.0", "v1.0.0"),
            ("1.2.3.4", "v1.2.3.4"),
            ("1.0.0-beta1", "v1.0.0-beta1"),
            ("v0.0.0+mock", "v0.0.0+mock"),
            ("1.2.3-rc.1+builtin.vault", "v1.2.3-rc.1+builtin.vault"),
        ] {
            assert_eq!(Version::parse_strict(text).unwrap().to_string(), canonical);
        }
        assert_eq!(Version::parse_loose("1.0beta1").unwrap().to_string(), "v1.0.0-beta1");
        for bad in
            ["", "v", "x", "1.0beta1", "1..0", "1.0-", "1.0+", "-1", "1.0 ", "99999999999999999999"]
        {
            assert!(Version::parse_strict(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn precedence_ignores_metadata_and_puts_prereleases_first() {
        let parse = |t| Version::parse_strict(t).unwrap();
        assert_eq!(parse("1.0.0+a").precedence(&parse("1.0.0+b")), Ordering::Equal);
        let ordered = [
            "0.9.9",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-2-x",
            "1.0.0",
            "1.0.0.1",
            "1.10.0",
        ];
        assert_eq!(parse(ordered[1]).precedence(&parse(ordered[5])), Ordering::Less);
        assert_eq!(parse("1.9.0").precedence(&parse(ordered[7])), Ordering::Less);
        assert_eq!(parse(ordered[1]).precedence(&parse(ordered[2])), Ordering::Less);
        assert_eq!(parse(ordered[2]).precedence(&parse(ordered[3])), Ordering::Less);
    }

    #[test]
    fn builtin_is_a_whole_part_of_the_metadata() {
        assert!(Version::parse_strict("1.0.0+builtin").unwrap().is_builtin());
        assert!(Version::parse_strict("1.0.0+builtin.bao").unwrap().is_builtin());
        assert!(!Version::parse_strict("1.0.0+notbuiltin").unwrap().is_builtin());
    }
}
