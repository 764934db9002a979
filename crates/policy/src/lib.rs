//! Access policies: parse, compile, decide. Pure, no IO.
//!
//! ```
//! use boltwork_policy::{Acl, Ask, Capabilities, Policy};
//!
//! let policy = Policy::parse("team", r#"path "secret/*" { capabilities = ["read"] }"#)?;
//! let acl = Acl::compile([&policy]);
//! let ask =
//!     Ask { path: "secret/a", capability: Capabilities::READ, fields: None, wrap_ttl: None };
//! assert!(acl.decide(&ask).allowed);
//! # Ok::<(), boltwork_policy::ParseError>(())
//! ```
//!
//! Deliberately absent: storage of policies, who has which, what an operation is, what a template
//! directive means, control groups and MFA (rules that ask for these are refused).

mod acl;
mod builtin;
mod capability;
mod decide;
mod error;
mod parse;
mod pattern;
mod rule;
mod template;

pub use acl::Acl;
pub use builtin::{DEFAULT, RESPONSE_WRAPPING};
pub use capability::Capabilities;
pub use decide::{Ask, Decision, Reason};
pub use error::{ParseError, UnknownKeys};
pub use template::Substitute;

use rule::Rule;

/// A named set of rules.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Its name, as given to [`Policy::parse`]; a `name` in the text is ignored.
    pub name: String,
    rules: Vec<Rule>,
}

impl Policy {
    /// Parses a policy written in HCL or JSON.
    ///
    /// # Errors
    /// [`ParseError`] where the text is malformed, has an unknown key, capability or wildcard, or
    /// a restriction that this server cannot enforce.
    pub fn parse(name: &str, text: &str) -> Result<Self, ParseError> {
        Ok(Self { name: name.to_owned(), rules: parse::parse(text)? })
    }

    /// Whether any path has a template, so that [`Policy::resolve`] is needed for each caller.
    pub fn is_templated(&self) -> bool {
        self.rules.iter().any(|rule| rule.templated)
    }

    /// This policy for one caller: templates filled in. A rule whose template has no value for
    /// the caller, or one with a wildcard or slash in it, is left out.
    pub fn resolve(&self, by: &dyn Substitute) -> Self {
        let rules = self.rules.iter().filter_map(|rule| {
            if !rule.templated {
                return Some(rule.clone());
            }
            Some(Rule { path: template::fill(&rule.path, by)?, templated: false, ..rule.clone() })
        });
        Self { name: self.name.clone(), rules: rules.collect() }
    }
}
