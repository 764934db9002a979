//! What a new token may do: what was asked for, within what parent, role and caller allow.

use boltwork_framework::Result;
use boltwork_logical::Error;
use boltwork_policy::RESPONSE_WRAPPING;

use super::role::{Role, matches_glob};
use crate::tokens::sanitized_policies;

/// What decides about policies.
pub struct Asked<'a> {
    /// As sent.
    pub policies: &'a [String],
    /// Do not add `default`.
    pub no_default: bool,
    /// Those of the parent.
    pub parent: &'a [String],
    /// Whether the caller has `sudo` on the path, or is root.
    pub sudo: bool,
}

/// The policies of the new token.
pub fn resolve(asked: &Asked<'_>, role: Option<&Role>) -> Result<Vec<String>> {
    let Asked { policies, no_default, parent, sudo } = *asked;
    let mut add_default = false;
    let wanted = match role.filter(|role| role.limits_policies()) {
        Some(role) => by_role(asked, role)?,
        // `default` only if the parent has it.
        None if policies.is_empty() => parent.to_vec(),
        None if sudo => {
            add_default = !no_default;
            policies.to_vec()
        }
        None => {
            let (wanted, own) =
                (sanitized_policies(policies, false), sanitized_policies(parent, false));
            if !wanted.iter().all(|policy| own.contains(policy)) {
                return Err(Error::invalid("child policies must be subset of parent"));
            }
            add_default = !no_default && own.iter().any(|policy| policy == "default");
            wanted
        }
    };
    let mut settled = sanitized_policies(&wanted, add_default);
    if no_default {
        settled.retain(|policy| policy != "default");
    }
    if settled.iter().any(|policy| policy == RESPONSE_WRAPPING.0) {
        return Err(Error::invalid(format!("cannot assign policy {:?}", RESPONSE_WRAPPING.0)));
    }
    Ok(settled)
}

/// A role that names policies decides alone: the parent's do not matter, unless nobody asks for any.
fn by_role(asked: &Asked<'_>, role: &Role) -> Result<Vec<String>> {
    let default = "default".to_owned();
    let add_default = !asked.no_default
        && !role.token.token_no_default_policy
        && !role.disallowed_policies.contains(&default)
        && !matches_glob(&role.disallowed_policies_glob, &default);
    let mut settled = match asked.policies.is_empty() {
        true => Vec::new(),
        false => sanitized_policies(asked.policies, add_default),
    };
    if role.allowed_policies.is_empty() && role.allowed_policies_glob.is_empty() {
        if settled.is_empty() {
            settled = sanitized_policies(asked.parent, add_default);
        }
    } else {
        let allowed = sanitized_policies(&role.allowed_policies, add_default);
        let globs = &role.allowed_policies_glob;
        let is_allowed = |policy: &String| allowed.contains(policy) || matches_glob(globs, policy);
        if settled.is_empty() {
            settled = allowed;
        } else if !settled.iter().all(is_allowed) {
            return Err(Error::invalid(format!(
                "token policies ({}) must be subset of the role's allowed policies ({}) or glob \
                 policies ({})",
                listed(&settled),
                listed(&allowed),
                listed(globs)
            )));
        }
    }
    let refused = settled.iter().find(|policy| {
        role.disallowed_policies.contains(policy)
            || matches_glob(&role.disallowed_policies_glob, policy)
    });
    match refused {
        Some(policy) => {
            Err(Error::invalid(format!("token policy {policy:?} is disallowed by this role")))
        }
        None => Ok(settled),
    }
}

/// `["a" "b"]`, as Go writes lists.
fn listed(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    format!("[{}]", names.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &str) -> Vec<String> {
        names.split_whitespace().map(str::to_owned).collect()
    }

    /// What comes out, or the error.
    fn outcome(policies: &str, no_default: bool, sudo: bool, role: Option<&Role>) -> String {
        let (policies, parent) = (list(policies), list("default ops"));
        let asked = Asked { policies: &policies, no_default, parent: &parent, sudo };
        resolve(&asked, role).map_or_else(|e| e.to_string(), |policies| policies.join(" "))
    }

    #[test]
    fn without_a_role_a_token_gets_a_part_of_its_parents_policies() {
        for (asked, no_default, sudo, expected) in [
            ("", false, false, "default ops"),
            ("", true, false, "ops"),
            ("ops", false, false, "default ops"),
            ("ops", true, false, "ops"),
            ("other", false, false, "child policies must be subset of parent"),
            ("other", false, true, "default other"),
            ("other", true, true, "other"),
            ("response-wrapping", false, true, "cannot assign policy \"response-wrapping\""),
        ] {
            assert_eq!(outcome(asked, no_default, sudo, None), expected, "{asked:?}");
        }
    }

    #[test]
    fn a_role_that_names_policies_decides_in_the_parents_place() {
        let allows = Role {
            allowed_policies: list("a b"),
            allowed_policies_glob: list("dev-*"),
            ..Role::default()
        };
        for (asked, expected) in [
            ("", "a b default"),
            ("a", "a default"),
            ("dev-web", "default dev-web"),
            (
                "c",
                "token policies ([\"c\" \"default\"]) must be subset of the role's allowed policies \
                 ([\"a\" \"b\" \"default\"]) or glob policies ([\"dev-*\"])",
            ),
        ] {
            assert_eq!(outcome(asked, false, false, Some(&allows)), expected, "{asked:?}");
        }
        let forbids = Role { disallowed_policies: list("root default"), ..Role::default() };
        for (asked, expected) in [
            ("", "token policy \"default\" is disallowed by this role"),
            ("other", "other"),
            ("root", "token policy \"root\" is disallowed by this role"),
        ] {
            assert_eq!(outcome(asked, false, false, Some(&forbids)), expected, "{asked:?}");
        }
    }
}
