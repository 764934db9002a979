//! `auth/token/roles/`: writing, reading and listing roles.

use boltwork_framework::{
    Reply, Request, Result, StorageExt, Ttl,
    credential::{BoundAddress, TokenFields},
};
use boltwork_logical::{Error, TokenType};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Tokens,
    role::{self, Role},
};
use crate::tokens::sanitized_policies;

/// Most characters of a path suffix.
const LONGEST_SUFFIX: usize = 512;

/// A role by its name.
#[derive(Deserialize, JsonSchema)]
pub(super) struct RoleName {
    /// Name of the role.
    role_name: String,
}

/// What may be written of a role.
#[derive(Deserialize, JsonSchema)]
pub(super) struct RoleFields {
    /// Name of the role.
    role_name: String,
    /// If set, tokens can be created with any subset of the policies in this list.
    #[serde(default)]
    allowed_policies: Option<Vec<String>>,
    /// If set, successful token creation via this role will require that no policies in the given
    /// list are requested.
    #[serde(default)]
    disallowed_policies: Option<Vec<String>>,
    /// As allowed_policies, with globs.
    #[serde(default)]
    allowed_policies_glob: Option<Vec<String>>,
    /// As disallowed_policies, with globs.
    #[serde(default)]
    disallowed_policies_glob: Option<Vec<String>>,
    /// If true, tokens created via this role will be orphan tokens (have no parent).
    #[serde(default)]
    orphan: Option<bool>,
    /// Use token_period instead.
    #[serde(default)]
    period: Option<Ttl>,
    /// Tokens created via this role will contain the given suffix as a part of their path.
    #[serde(default)]
    path_suffix: Option<String>,
    /// Use token_explicit_max_ttl instead.
    #[serde(default)]
    explicit_max_ttl: Option<Ttl>,
    /// Tokens created via this role will be renewable or not according to this value. Default true.
    #[serde(default)]
    renewable: Option<bool>,
    /// Use token_bound_cidrs instead.
    #[serde(default)]
    bound_cidrs: Option<Vec<String>>,
    /// Names or globs of the entity aliases that can be used during token creation.
    #[serde(default)]
    allowed_entity_aliases: Option<Vec<String>>,
    /// Blocks of addresses that its tokens can be used from.
    #[serde(default)]
    token_bound_cidrs: Option<Vec<String>>,
    /// Hard end of the life of its tokens.
    #[serde(default)]
    token_explicit_max_ttl: Option<Ttl>,
    /// Period of its tokens.
    #[serde(default)]
    token_period: Option<Ttl>,
    /// The kind of its tokens: service, batch, default-service or default-batch.
    #[serde(default)]
    token_type: Option<String>,
    /// Do not add the policy default.
    #[serde(default)]
    token_no_default_policy: Option<bool>,
    /// Most uses of its tokens.
    #[serde(default)]
    token_num_uses: Option<i64>,
}

impl Tokens {
    pub(super) async fn roles(&self, req: Request) -> Result<Reply> {
        Ok(Reply::keys(&req.storage.list("roles/").await?))
    }

    pub(super) async fn role_exists(&self, req: Request<RoleName>) -> Result<bool> {
        Ok(role::find(req.storage.as_ref(), &req.fields.role_name).await?.is_some())
    }

    pub(super) async fn read_role(&self, req: Request<RoleName>) -> Result<Reply> {
        Ok(match role::find(req.storage.as_ref(), &req.fields.role_name).await? {
            Some(role) => Reply::data(role.show()),
            None => Reply::not_found(),
        })
    }

    pub(super) async fn delete_role(&self, req: Request<RoleName>) -> Result<Reply> {
        req.storage.delete(&role::key(&req.fields.role_name)).await?;
        Ok(Reply::empty())
    }

    pub(super) async fn write_role(&self, req: Request<RoleFields>) -> Result<Reply> {
        let sent = &req.fields;
        let stored = role::find(req.storage.as_ref(), &sent.role_name).await?;
        let mut role = stored.unwrap_or_else(|| Role {
            name: sent.role_name.clone(),
            renewable: true,
            ..Role::default()
        });
        own_fields(&mut role, sent)?;
        token_fields(&mut role, sent)?;
        let mut warnings = old_names(&mut role, sent)?;
        let max = req.system.max_lease_ttl().await.as_secs();
        let hard_end = role.token.token_explicit_max_ttl.as_secs();
        if max > 0 && hard_end > max {
            warnings.push(format!(
                "Given explicit max TTL of {hard_end} is greater than system/mount allowed value of \
                 {max} seconds; until this is fixed attempting to create tokens against this role \
                 will result in an error"
            ));
        }
        role.check()?;
        req.storage.save(role::key(&role.name), &role).await?;
        Ok(warnings.into_iter().fold(Reply::empty(), Reply::warning))
    }
}

/// The fields that only roles of the token store have.
fn own_fields(role: &mut Role, sent: &RoleFields) -> Result<()> {
    role.orphan = sent.orphan.unwrap_or(role.orphan);
    role.renewable = sent.renewable.unwrap_or(role.renewable);
    if let Some(suffix) = &sent.path_suffix {
        check_suffix(suffix)?;
        role.path_suffix.clone_from(suffix);
    }
    let sanitized = |names: &Vec<String>| sanitized_policies(names, false);
    for (list, sent) in [
        (&mut role.allowed_policies, &sent.allowed_policies),
        (&mut role.allowed_policies_glob, &sent.allowed_policies_glob),
    ] {
        if let Some(names) = sent {
            *list = sanitized(names);
        }
    }
    for (list, sent) in [
        (&mut role.disallowed_policies, &sent.disallowed_policies),
        (&mut role.disallowed_policies_glob, &sent.disallowed_policies_glob),
        (&mut role.allowed_entity_aliases, &sent.allowed_entity_aliases),
    ] {
        if let Some(names) = sent {
            *list = each_once(names);
        }
    }
    Ok(())
}

/// Lower case, sorted, each once. Not as policies are cleaned: `root` does not drop the others.
fn each_once(names: &[String]) -> Vec<String> {
    let mut clean: Vec<String> =
        names.iter().map(|n| n.trim().to_lowercase()).filter(|n| !n.is_empty()).collect();
    clean.sort();
    clean.dedup();
    clean
}

/// The fields that roles of all auth methods have.
fn token_fields(role: &mut Role, sent: &RoleFields) -> Result<()> {
    // Here `token_type` has more values than elsewhere, so it is read apart.
    let before = role.token.token_type;
    role.token.token_type = TokenType::Default;
    let fields = TokenFields {
        bound_cidrs: sent.token_bound_cidrs.clone(),
        explicit_max_ttl: sent.token_explicit_max_ttl,
        period: sent.token_period,
        no_default_policy: sent.token_no_default_policy,
        num_uses: sent.token_num_uses,
        ..TokenFields::default()
    };
    let wrong = |error| match error {
        Error::Invalid(text) => Error::invalid(format!("error parsing role fields: {text}")),
        other => other,
    };
    role.token.update(&fields).map_err(wrong)?;
    role.token.token_type = match (sent.token_type.as_deref(), before) {
        (None, TokenType::Default) | (Some("default-service"), _) => TokenType::DefaultService,
        (None, before) => before,
        (Some("service"), _) => TokenType::Service,
        (Some("batch"), _) => TokenType::Batch,
        (Some("default-batch"), _) => TokenType::DefaultBatch,
        (Some(other), _) => {
            return Err(Error::invalid(format!("invalid 'token_type' value {other:?}")));
        }
    };
    Ok(())
}

/// Fields under the names that they had before there was `token_`. The new name wins.
fn old_names(role: &mut Role, sent: &RoleFields) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    let mut both = |name: &str| {
        warnings.push(format!(
            "Both 'token_{name}' and deprecated '{name}' value supplied, ignoring the deprecated \
             value"
        ));
    };
    let bound = sent
        .bound_cidrs
        .as_ref()
        .map(|texts| BoundAddress::parse_all(texts))
        .transpose()
        .map_err(|e| Error::invalid(format!("error parsing bound_cidrs: {e}")))?;
    for (name, old, new, sent, new_sent) in [
        ("period", &mut role.period, &mut role.token.token_period, sent.period, sent.token_period),
        (
            "explicit_max_ttl",
            &mut role.explicit_max_ttl,
            &mut role.token.token_explicit_max_ttl,
            sent.explicit_max_ttl,
            sent.token_explicit_max_ttl,
        ),
    ] {
        match (sent, new_sent) {
            (Some(value), None) => {
                *old = value.into();
                *new = value.into();
            }
            (sent, Some(_)) => {
                *old = std::time::Duration::ZERO;
                if sent.is_some() {
                    both(name);
                }
            }
            (None, None) => {}
        }
    }
    match (bound, &sent.token_bound_cidrs) {
        (Some(bound), None) => {
            role.bound_cidrs.clone_from(&bound);
            role.token.token_bound_cidrs = bound;
        }
        (bound, Some(_)) => {
            role.bound_cidrs.clear();
            if bound.is_some() {
                both("bound_cidrs");
            }
        }
        (None, None) => {}
    }
    Ok(warnings)
}

/// Somewhere in it a letter, letters or dashes or points, and a letter: Vault's pattern, which is
/// bound to neither end.
fn check_suffix(suffix: &str) -> Result<()> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let inner = |c: char| word(c) || c == '-' || c == '.';
    let fits = suffix.split(|c| !inner(c)).any(|part| {
        let part = part.trim_start_matches(|c| !word(c)).trim_end_matches(|c| !word(c));
        part.len() > 2
    });
    if !suffix.is_empty() && !fits {
        return Err(Error::invalid(
            "given role path suffix contains invalid characters; must match \\w[\\w-.]+\\w",
        ));
    }
    if suffix.contains("..") {
        return Err(Error::invalid(
            "error registering path suffix: path cannot contain parent references",
        ));
    }
    if suffix.len() > LONGEST_SUFFIX {
        return Err(Error::invalid(format!(
            "given role path suffix is longer than {LONGEST_SUFFIX} bytes"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_suffix_is_a_word_and_leads_nowhere_else() {
        for (suffix, good) in [
            ("", true),
            ("ver1", true),
            ("v-1", true),
            ("v1", false),
            ("a b", false),
            ("../..", false),
        ] {
            assert_eq!(check_suffix(suffix).is_ok(), good, "{suffix}");
        }
        let error = check_suffix("abc/../def").unwrap_err().to_string();
        assert_eq!(error, "error registering path suffix: path cannot contain parent references");
    }
}
