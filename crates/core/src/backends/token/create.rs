//! `auth/token/create` and `create-orphan`: whose child a token may be, and what it may do.

use std::collections::BTreeMap;

use boltwork_framework::{Reply, Request, Result, Ttl};
use boltwork_logical::Error;
use boltwork_policy::{Ask, Capabilities, RESPONSE_WRAPPING};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Tokens, show};
use crate::{
    active::Active,
    mounts::effective_ttls,
    session::Session,
    tokens::{NewToken, TtlWish, sanitized_policies},
};

/// The wish for a token.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Wish {
    /// Value for the token; needs root or sudo.
    #[serde(default)]
    id: String,
    /// List of policies for the token.
    #[serde(default)]
    policies: Vec<String>,
    /// Arbitrary key=value metadata to associate with the token.
    #[serde(default)]
    meta: Option<BTreeMap<String, String>>,
    /// Arbitrary key=value metadata, by its other name.
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
    /// Do not create with the default policy.
    #[serde(default)]
    no_default_policy: bool,
    /// Create the token with no parent; needs root or sudo.
    #[serde(default)]
    no_parent: bool,
    /// Time to live for this token.
    #[serde(default)]
    ttl: Ttl,
    /// Use `ttl` instead.
    #[serde(default)]
    lease: Ttl,
    /// Explicit max TTL of this token.
    #[serde(default)]
    explicit_max_ttl: Ttl,
    /// Renew period; needs root or sudo.
    #[serde(default)]
    period: Ttl,
    /// Name to associate with this token.
    #[serde(default)]
    display_name: String,
    /// Max number of uses for this token.
    #[serde(default)]
    num_uses: i64,
    /// Allow the token to be renewed past its initial TTL. Default true.
    #[serde(default)]
    renewable: Option<bool>,
    /// Token type.
    #[serde(default, rename = "type")]
    kind: String,
    /// Name of the entity alias to associate with during token creation.
    #[serde(default)]
    entity_alias: String,
}

impl Tokens {
    pub(super) async fn create(&self, req: Request<Wish>) -> Result<Reply> {
        self.make(req, false).await
    }

    pub(super) async fn create_orphan(&self, req: Request<Wish>) -> Result<Reply> {
        self.make(req, true).await
    }

    async fn make(&self, req: Request<Wish>, orphan: bool) -> Result<Reply> {
        let active = self.active()?;
        let session = Session::of(req.caller().session.as_ref())?;
        let point = format!("{}{}", req.mount().point, req.path());
        let sudo = has_sudo(&session, &point);
        let wish = req.fields;
        check(&wish, &session, sudo)?;

        let policies = policies(&wish, &session, sudo)?;
        let mut warnings = missing_policies(&active, &policies).await?;
        let (ttl, warning) = ttl(&active, &wish, &policies, &session, &point)?;
        warnings.extend(warning);
        let new = NewToken {
            id: (!wish.id.is_empty()).then(|| wish.id.as_str().into()),
            parent: (!orphan && !wish.no_parent).then_some(session.digest),
            policies,
            path: point,
            meta: wish.meta.or(wish.metadata),
            display_name: display_name(&wish.display_name),
            num_uses: wish.num_uses,
            ttl,
            explicit_max_ttl: wish.explicit_max_ttl.as_secs(),
            period: wish.period.as_secs(),
            renewable: ttl > 0 && wish.renewable.unwrap_or(true),
            bound_cidrs: session.entry.bound_cidrs.clone(),
        };
        let (token, entry) = active.tokens.create(new).await?;
        let reply = Reply::auth(show::auth(&entry, token.expose()));
        Ok(warnings.into_iter().fold(reply, Reply::warning))
    }
}

fn ttl(
    active: &Active,
    wish: &Wish,
    policies: &[String],
    session: &Session,
    point: &str,
) -> Result<(u64, Vec<String>)> {
    let asked = [wish.ttl, wish.lease].iter().map(|ttl| ttl.as_secs()).find(|s| *s > 0);
    let asked = asked.unwrap_or(0);
    let period = wish.period.as_secs();
    // A root token without a TTL of its own does not end.
    if asked == 0
        && period == 0
        && policies.iter().any(|p| p == "root")
        && wish.explicit_max_ttl.is_zero()
    {
        return match session.entry.life.expire_time {
            0 => Ok((0, Vec::new())),
            _ => Err(Error::invalid("expiring root tokens cannot create non-expiring root tokens")),
        };
    }
    let (mount, _) = active
        .mounts
        .route(point)
        .ok_or_else(|| Error::internal("the token backend is not mounted"))?;
    let wish = TtlWish {
        ttl: asked,
        period,
        explicit_max_ttl: wish.explicit_max_ttl.as_secs(),
        ..TtlWish::default()
    };
    wish.settle(effective_ttls(active.mounts.facts(), &mount))
}

/// What may be asked for by whom.
fn check(wish: &Wish, session: &Session, sudo: bool) -> Result<()> {
    if session.entry.num_uses > 0 {
        return Err(Error::invalid("restricted use token cannot generate child tokens"));
    }
    let privileged = |what: &str| {
        if sudo {
            return Ok(());
        }
        Err(Error::invalid(format!("root or sudo privileges required to {what}")))
    };
    if !wish.id.is_empty() {
        privileged("specify token id")?;
        if wish.id.contains('.') || wish.id.starts_with("s.") || wish.id.starts_with("hvs.") {
            return Err(Error::invalid("custom token ID cannot contain the '.' character"));
        }
    }
    if wish.no_parent {
        privileged("create orphan token")?;
    }
    if !wish.period.is_zero() {
        privileged("create periodic token")?;
    }
    if wish.num_uses < 0 {
        return Err(Error::invalid("number of uses cannot be negative"));
    }
    if !wish.entity_alias.is_empty() {
        return Err(Error::invalid(
            "'entity_alias' is only allowed in combination with token role",
        ));
    }
    match wish.kind.as_str() {
        "" | "service" => Ok(()),
        "batch" => Err(Error::invalid("this server does not make batch tokens")),
        other => Err(Error::invalid(format!("invalid 'token_type' value {other:?}"))),
    }
}

fn policies(wish: &Wish, session: &Session, sudo: bool) -> Result<Vec<String>> {
    let own = &session.entry.policies;
    let mut wanted = sanitized_policies(&wish.policies, false);
    if wanted.is_empty() {
        wanted.clone_from(own);
    }
    if let Some(only) = wanted.iter().find(|p| *p == RESPONSE_WRAPPING.0) {
        return Err(Error::invalid(format!("cannot assign policy {only:?}")));
    }
    let subset = wanted.iter().all(|p| own.contains(p) || p == "default");
    if !sudo && !session.is_root() && !subset {
        return Err(Error::invalid("child policies must be subset of parent"));
    }
    if wanted.iter().any(|p| p == "root") {
        if !session.is_root() {
            return Err(Error::invalid(
                "root tokens may not be created without parent token being root",
            ));
        }
        return Ok(vec!["root".to_owned()]);
    }
    match wish.no_default_policy {
        true => wanted.retain(|p| p != "default" || wish.policies.contains(p)),
        false => wanted.push("default".to_owned()),
    }
    wanted.sort();
    wanted.dedup();
    Ok(wanted)
}

async fn missing_policies(active: &Active, policies: &[String]) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    for name in policies {
        if active.policies.text(name).await?.is_none() {
            warnings.push(format!("Policy {name:?} does not exist"));
        }
    }
    Ok(warnings)
}

fn has_sudo(session: &Session, point: &str) -> bool {
    let ask = Ask { path: point, capability: Capabilities::UPDATE, fields: None, wrap_ttl: None };
    session.is_root() || session.acl.decide(&ask).sudo
}

/// `token`, or `token-` and what was asked, with only letters, digits and dashes.
fn display_name(asked: &str) -> String {
    if asked.is_empty() {
        return "token".to_owned();
    }
    let clean: String =
        asked.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!("token-{}", clean.trim_end_matches('-'))
}
