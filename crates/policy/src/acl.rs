//! Policies compiled into one table, made to be asked often.
//!
//! Leaves out the checks on a request's fields and wrapping: see `decide`. Compiling costs; the
//! caller keeps one `Acl` per distinct set of policies and shares it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use crate::pattern::{Pattern, Segments, prefix_rank};
use crate::rule::{Permissions, Rule};
use crate::{Capabilities, Policy};

/// What a token may do: all rules of all its policies.
#[derive(Debug, Default)]
pub struct Acl {
    pub(crate) root: bool,
    exact: HashMap<Box<str>, Permissions>,
    prefixes: Prefixes,
    /// The most specific first.
    segments: Vec<(Segments, Permissions)>,
    valid_until: Option<SystemTime>,
}

impl Acl {
    /// Everything is allowed. For the holder of the policy `root` and nobody else.
    pub fn root() -> Self {
        Self { root: true, ..Self::default() }
    }

    /// Compiles policies, leaving out rules that have expired by now and rules whose path still
    /// has a template in it (see [`Policy::resolve`]).
    ///
    /// A policy's name has no meaning here: root rights come from [`Acl::root`] only.
    pub fn compile<'a>(policies: impl IntoIterator<Item = &'a Policy>) -> Self {
        Self::compile_at(policies, SystemTime::now())
    }

    /// [`Acl::compile`] as of a given time.
    pub fn compile_at<'a>(policies: impl IntoIterator<Item = &'a Policy>, now: SystemTime) -> Self {
        let mut builder = Builder::default();
        for policy in policies {
            let name: Arc<str> = policy.name.as_str().into();
            for rule in &policy.rules {
                builder.add(rule, &name, now);
            }
        }
        builder.finish()
    }

    /// When the first rule expires: from then on this table is out of date and must be compiled
    /// anew. `None` where no rule ever expires.
    pub fn valid_until(&self) -> Option<SystemTime> {
        self.valid_until
    }

    /// The one rule that governs a path. Lists are also tried without their trailing slash.
    pub(crate) fn find(&self, path: &str, listing: bool) -> Option<&Permissions> {
        let path = path.trim_start_matches('/');
        let bare = path.strip_suffix('/').filter(|_| listing);
        self.exact
            .get(path)
            .or_else(|| self.exact.get(bare?))
            .or_else(|| self.wildcard(path))
            .or_else(|| self.wildcard(bare?))
    }

    fn wildcard(&self, path: &str) -> Option<&Permissions> {
        let prefix = self.prefixes.longest(path);
        for (segments, permissions) in &self.segments {
            if let Some(prefix) = prefix
                && prefix_rank(&prefix.text) > segments.rank()
            {
                break;
            }
            if segments.matches(path) {
                return Some(permissions);
            }
        }
        prefix.map(|prefix| &prefix.permissions)
    }

    /// The capabilities on a path, sorted by name, as `sys/capabilities` answers: `["root"]` for
    /// root, `["deny"]` where nothing is granted.
    pub fn capabilities(&self, path: &str) -> Vec<&'static str> {
        if self.root {
            return vec!["root"];
        }
        let set = self.find(path, true).map(|p| p.capabilities).unwrap_or_default();
        if set.is_empty() || set.contains(Capabilities::DENY) {
            return vec!["deny"];
        }
        let mut names = set.names();
        names.sort_unstable();
        names
    }

    /// Whether a decision on this path needs the request's fields: some rule speaks of parameters
    /// or of a list's page size. Where this is false the body need not be parsed.
    pub fn looks_inside(&self, path: &str) -> bool {
        [false, true]
            .into_iter()
            .any(|listing| self.find(path, listing).is_some_and(Permissions::looks_inside))
    }

    /// Whether anything on or below a mount is granted. `mount` ends in a slash: `secret/`.
    pub fn mount_visible(&self, mount: &str) -> bool {
        let mount = mount.trim_start_matches('/');
        let grants = |p: &Permissions| {
            !p.capabilities.is_empty() && !p.capabilities.contains(Capabilities::DENY)
        };
        self.root
            || self.find(mount, true).is_some_and(grants)
            || self.exact.iter().any(|(path, p)| path.starts_with(mount) && grants(p))
            || self.prefixes.0.iter().any(|p| p.text.starts_with(mount) && grants(&p.permissions))
            || self.segments.iter().any(|(s, p)| s.reaches_below(mount) && grants(p))
    }

    /// The names of the policies that grant a capability on a path, for an audit entry. Empty for
    /// root and where it is not granted.
    pub fn granting_policies(&self, path: &str, capability: Capabilities) -> Vec<&str> {
        let found = self.find(path, is_listing(capability));
        let granting = found.map(|p| p.granting.as_slice()).unwrap_or_default();
        let granting = granting.iter().filter(|(_, set)| set.intersects(capability));
        granting.map(|(name, _)| &**name).collect()
    }

    /// Every rule: its path as written and what it grants; in no particular order. For
    /// `sys/internal/ui/resultant-acl`.
    pub fn rules(&self) -> impl Iterator<Item = (String, Capabilities)> {
        let exact = self.exact.iter().map(|(path, p)| (path.to_string(), p.capabilities));
        let prefixes = self.prefixes.0.iter();
        let prefixes = prefixes.map(|p| (format!("{}*", p.text), p.permissions.capabilities));
        let segments = self.segments.iter().map(|(s, p)| (s.written(), p.capabilities));
        exact.chain(prefixes).chain(segments)
    }
}

pub(crate) fn is_listing(capability: Capabilities) -> bool {
    capability.intersects(Capabilities::LIST | Capabilities::SCAN)
}

/// Rules collected by path, so that several policies' rules for one path become one.
#[derive(Default)]
struct Builder {
    exact: HashMap<String, Permissions>,
    prefixes: HashMap<String, Permissions>,
    segments: HashMap<String, Permissions>,
    valid_until: Option<SystemTime>,
}

impl Builder {
    fn add(&mut self, rule: &Rule, policy: &Arc<str>, now: SystemTime) {
        if rule.templated || rule.expires.is_some_and(|at| at <= now) {
            return;
        }
        let Some(pattern) = Pattern::new(&rule.path) else { return };
        if let Some(at) = rule.expires {
            self.valid_until = Some(self.valid_until.map_or(at, |known| known.min(at)));
        }
        let (table, path) = match pattern {
            Pattern::Exact(path) => (&mut self.exact, path),
            Pattern::Prefix(path) => (&mut self.prefixes, path),
            Pattern::Segments(path) => (&mut self.segments, path),
        };
        let mut permissions = rule.permissions.clone();
        permissions.granting = vec![(policy.clone(), permissions.capabilities)];
        match table.get_mut(&path) {
            Some(known) => known.merge(&permissions),
            None => {
                table.insert(path, permissions);
            }
        }
    }

    fn finish(self) -> Acl {
        let segments = self.segments.into_iter();
        let mut segments: Vec<_> = segments.map(|(path, p)| (Segments::new(&path), p)).collect();
        segments.sort_by(|(a, _), (b, _)| b.rank().cmp(&a.rank()));
        Acl {
            root: false,
            exact: self.exact.into_iter().map(|(path, p)| (path.into_boxed_str(), p)).collect(),
            prefixes: Prefixes::new(self.prefixes),
            segments,
            valid_until: self.valid_until,
        }
    }
}

/// Prefixes in order, each knowing the longest other that is a prefix of it.
#[derive(Debug, Default)]
struct Prefixes(Vec<Prefix>);

#[derive(Debug)]
struct Prefix {
    text: String,
    parent: Option<usize>,
    permissions: Permissions,
}

impl Prefixes {
    fn new(rules: HashMap<String, Permissions>) -> Self {
        let mut rules: Vec<_> = rules.into_iter().collect();
        rules.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut sorted: Vec<Prefix> = Vec::with_capacity(rules.len());
        for (text, permissions) in rules {
            let last = sorted.len().checked_sub(1);
            let parent = Self::up(&sorted, last, &text);
            sorted.push(Prefix { text, parent, permissions });
        }
        Self(sorted)
    }

    /// The longest prefix of `path`. What lies between a prefix and the path in sorted order
    /// starts with that prefix too, so it is the last entry not past the path, or an ancestor.
    fn longest(&self, path: &str) -> Option<&Prefix> {
        let after = self.0.partition_point(|prefix| prefix.text.as_str() <= path);
        Self::up(&self.0, after.checked_sub(1), path).and_then(|at| self.0.get(at))
    }

    fn up(sorted: &[Prefix], mut at: Option<usize>, path: &str) -> Option<usize> {
        while let Some(entry) = at.and_then(|at| sorted.get(at)) {
            if path.starts_with(&entry.text) {
                return at;
            }
            at = entry.parent;
        }
        None
    }
}
