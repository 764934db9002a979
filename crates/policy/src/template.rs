//! `{{identity.entity.id}}` in a rule's path.
//!
//! Leaves out what a directive means: whoever knows the caller's identity answers that.

/// Answers what a directive stands for.
pub trait Substitute {
    /// The value of a directive such as `identity.entity.name`, trimmed of spaces; `None` where
    /// this caller has none.
    fn value(&self, directive: &str) -> Option<String>;
}

const UNBALANCED: &str = "unbalanced templating characters";

/// Whether `text` has directives.
///
/// # Errors
/// With Vault's words where `{{` and `}}` do not pair.
pub(crate) fn is_templated(text: &str) -> Result<bool, &'static str> {
    let mut pieces = text.split("{{");
    if pieces.next().is_some_and(|head| head.contains("}}")) {
        return Err(UNBALANCED);
    }
    let mut templated = false;
    for piece in pieces {
        if piece.matches("}}").count() != 1 {
            return Err(UNBALANCED);
        }
        templated = true;
    }
    Ok(templated)
}

/// `text` with every directive replaced; `None` where one has no value, or has one that would
/// widen the rule: a wildcard or a slash.
pub(crate) fn fill(text: &str, by: &dyn Substitute) -> Option<String> {
    let mut pieces = text.split("{{");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (directive, tail) = piece.split_once("}}")?;
        let value = by.value(directive.trim())?;
        if value.is_empty() || value.contains(['*', '+', '/']) {
            return None;
        }
        out.push_str(&value);
        out.push_str(tail);
    }
    Some(out)
}
