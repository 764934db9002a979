//! What one rule says, and how two rules for the same path become one.
//!
//! Leaves out paths and the decision.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::Capabilities;

/// Parameter names in lower case, each with the values it speaks of; no values means any.
pub(crate) type Parameters = BTreeMap<String, Vec<Value>>;

/// One `path "…" { … }`, its path still as written.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) path: String,
    pub(crate) templated: bool,
    /// From when on the rule says nothing.
    pub(crate) expires: Option<SystemTime>,
    pub(crate) permissions: Permissions,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Permissions {
    pub(crate) capabilities: Capabilities,
    pub(crate) allowed: Parameters,
    pub(crate) denied: Parameters,
    /// In lower case.
    pub(crate) required: Vec<String>,
    pub(crate) min_wrap: Option<Duration>,
    pub(crate) max_wrap: Option<Duration>,
    /// The longest page of a list.
    pub(crate) page_limit: Option<u64>,
    /// Which policy gave which capabilities.
    pub(crate) granting: Vec<(Arc<str>, Capabilities)>,
}

impl Permissions {
    /// Adds what another policy says of the same path. A denial wins over all.
    pub(crate) fn merge(&mut self, other: &Self) {
        if self.capabilities.contains(Capabilities::DENY) {
            return;
        }
        if other.capabilities.contains(Capabilities::DENY) {
            *self = Self { capabilities: Capabilities::DENY, ..Self::default() };
            return;
        }
        self.capabilities |= other.capabilities;
        self.granting.extend(other.granting.iter().cloned());
        self.min_wrap = least(self.min_wrap, other.min_wrap);
        self.max_wrap = least(self.max_wrap, other.max_wrap);
        self.page_limit = least(self.page_limit, other.page_limit);
        merge_parameters(&mut self.allowed, &other.allowed);
        merge_parameters(&mut self.denied, &other.denied);
        for name in &other.required {
            if !self.required.contains(name) {
                self.required.push(name.clone());
            }
        }
    }

    /// Whether a request's fields must be known to decide.
    pub(crate) fn looks_inside(&self) -> bool {
        !(self.allowed.is_empty() && self.denied.is_empty() && self.required.is_empty())
            || self.page_limit.is_some()
    }
}

fn least<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// An empty list means any value, and so swallows the other's.
fn merge_parameters(into: &mut Parameters, from: &Parameters) {
    for (name, values) in from {
        match into.get_mut(name) {
            Some(known) if known.is_empty() || values.is_empty() => known.clear(),
            Some(known) => known.extend(values.iter().cloned()),
            None => {
                into.insert(name.clone(), values.clone());
            }
        }
    }
}
