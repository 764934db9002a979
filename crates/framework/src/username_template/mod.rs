//! Vault's templates for usernames: `{{.RoleName | uppercase | truncate 8}}-{{random 20}}`.
//!
//! The language is that part of Go's `text/template` which can make a name: pipelines,
//! parentheses, variables, `if`, the comparisons, `printf`, and Vault's own functions. Everything
//! is bounded: the template, its nesting, every text that is made on the way.
//!
//! Left out on purpose: loops, `with`, named templates, HTML escapes, and numbers with a fraction.
//! A template that Go would carry out with an error mark in its output (`%!s(MISSING)`) is refused.

mod evaluate;
mod format;
mod functions;
mod moment;
mod parse;
mod scan;
mod value;

use time::OffsetDateTime;

use parse::Node;

/// Bytes of a template, at most.
pub const MAX_TEMPLATE: usize = 16 * 1024;
/// Bytes of any text that is made, the name itself among them.
pub const MAX_TEXT: usize = 16 * 1024;

/// Why there is no name. Quotes nothing but words of the template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The template is none.
    #[error("unable to parse template: line {line}: {what}")]
    Syntax {
        /// Where, from 1.
        line: usize,
        /// What is wrong there.
        what: String,
    },
    /// It cannot be carried out.
    #[error("unable to apply template: {0}")]
    Apply(String),
}

/// What a template can name: `.DisplayName` and `.RoleName`.
#[derive(Debug, Clone, Copy, Default)]
pub struct UsernameData<'a> {
    /// Who asks, as its auth method calls it.
    pub display_name: &'a str,
    /// The role that is asked for.
    pub role_name: &'a str,
}

/// A template, read and checked. Cheap to use often.
///
/// ```
/// use boltwork_framework::{UsernameData, UsernameTemplate};
///
/// let template = UsernameTemplate::parse(r#"{{.RoleName | lowercase | truncate 4}}-{{random 6}}"#)?;
/// let data = UsernameData { display_name: "token-alice", role_name: "READONLY" };
/// let name = template.generate(data)?;
/// assert!(name.starts_with("read-") && name.len() == 11);
/// # Ok::<(), boltwork_framework::TemplateError>(())
/// ```
#[derive(Debug, Clone)]
pub struct UsernameTemplate {
    nodes: Vec<Node>,
}

impl UsernameTemplate {
    /// Reads a template. It may still fail when it is carried out: generate one name to be sure.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.is_empty() {
            return Err(TemplateError::Syntax { line: 1, what: "missing template".to_owned() });
        }
        if text.len() > MAX_TEMPLATE {
            let what = format!("the template is longer than {MAX_TEMPLATE} bytes");
            return Err(TemplateError::Syntax { line: 1, what });
        }
        let pieces = scan::scan(text)?;
        Ok(Self { nodes: parse::parse(pieces)? })
    }

    /// Makes a name.
    pub fn generate(&self, data: UsernameData<'_>) -> Result<String, TemplateError> {
        self.generate_at(data, OffsetDateTime::now_utc())
    }

    fn generate_at(
        &self,
        data: UsernameData<'_>,
        now: OffsetDateTime,
    ) -> Result<String, TemplateError> {
        evaluate::run(&self.nodes, data, now).map_err(TemplateError::Apply)
    }
}

#[cfg(test)]
mod tests;
