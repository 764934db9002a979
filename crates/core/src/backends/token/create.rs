//! `auth/token/create`, `create-orphan` and `create/ROLE`: whose child a token may be, how long it
//! lives, what kind it is. What it may do is decided in `policies`.

use std::{collections::BTreeMap, sync::Arc};

use boltwork_framework::{Reply, Request, Result, Ttl};
use boltwork_logical::{Alias, Error, TokenType};
use boltwork_policy::{Ask, Capabilities};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Tokens,
    policies::{Asked, resolve},
    role::{self, Role, matches_glob},
    show,
};
use crate::{
    active::Active,
    identity::AliasMount,
    mounts::effective_ttls,
    session::Session,
    tokens::{NewToken, TokenKind, TtlWish},
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
    /// Name of the role, where it stands in the path.
    #[serde(default)]
    role_name: String,
}

/// Who asks for what, and by which way.
struct Order {
    active: Arc<Active>,
    session: Arc<Session>,
    /// Path of the request.
    point: String,
    /// Root, or `sudo` on the path.
    sudo: bool,
    role: Option<Role>,
    wish: Wish,
}

/// The times of a new token, in seconds.
#[derive(Default)]
struct Times {
    ttl: u64,
    explicit_max_ttl: u64,
    period: u64,
    warnings: Vec<String>,
}

impl Tokens {
    pub(super) async fn create(&self, req: Request<Wish>) -> Result<Reply> {
        self.order(req, None)?.make(false).await
    }

    pub(super) async fn create_orphan(&self, req: Request<Wish>) -> Result<Reply> {
        self.order(req, None)?.make(true).await
    }

    pub(super) async fn create_by_role(&self, req: Request<Wish>) -> Result<Reply> {
        let name = &req.fields.role_name;
        let Some(role) = role::find(req.storage.as_ref(), name).await? else {
            return Err(Error::invalid(format!("unknown role {name}")));
        };
        self.order(req, Some(role))?.make(false).await
    }

    fn order(&self, req: Request<Wish>, role: Option<Role>) -> Result<Order> {
        let session = Session::of(req.caller().session.as_ref())?;
        let point = format!("{}{}", req.mount().point, req.path());
        let sudo = has_sudo(&session, &point);
        Ok(Order { active: self.active()?, session, point, sudo, role, wish: req.fields })
    }
}

impl Order {
    async fn make(self, orphan: bool) -> Result<Reply> {
        let kind = self.check()?;
        let named = self.entity().await?;
        let (wish, role) = (&self.wish, self.role.as_ref());
        let asked = Asked {
            policies: &wish.policies,
            no_default: wish.no_default_policy,
            parent: &self.session.entry.policies,
            sudo: self.sudo,
        };
        let policies = resolve(&asked, role)?;
        self.check_root(&policies, kind)?;
        let parent = match (role, wish.no_parent) {
            (Some(role), _) => !role.orphan,
            (None, true) => self.privileged("create orphan token").map(|()| false)?,
            (None, false) => !orphan,
        };
        let times = self.times(&policies, kind)?;
        let mut warnings = times.warnings;
        let bound_cidrs = self.bound_cidrs(parent, times.ttl);
        let mut renewable = times.ttl > 0 && kind == TokenKind::Service;
        renewable &= wish.renewable.unwrap_or(true) && role.is_none_or(|role| role.renewable);
        let new = NewToken {
            id: (!wish.id.is_empty()).then(|| wish.id.as_str().into()),
            parent: parent.then_some(self.session.digest),
            entity_id: match (named, parent) {
                (Some(entity), _) => entity,
                (None, true) => self.session.entry.entity_id.clone(),
                // A token without a parent belongs to nobody.
                (None, false) => String::new(),
            },
            path: self.path(),
            meta: wish.meta.clone().or_else(|| wish.metadata.clone()),
            display_name: display_name(&wish.display_name),
            num_uses: self.uses(),
            ttl: times.ttl,
            explicit_max_ttl: times.explicit_max_ttl,
            period: times.period,
            renewable,
            bound_cidrs,
            kind,
            role: role.map(|role| role.name.clone()).unwrap_or_default(),
            policies,
            login: None,
        };
        warnings.extend(missing_policies(&self.active, &new.policies).await?);
        let (token, entry) = self.active.tokens.create(new).await?;
        let identity = self.active.identity.policies_of(&entry.entity_id);
        let reply = Reply::auth(show::auth(&entry, token.expose(), &identity));
        Ok(warnings.into_iter().fold(reply, Reply::warning))
    }

    fn privileged(&self, what: &str) -> Result<()> {
        match self.sudo {
            true => Ok(()),
            false => Err(Error::invalid(format!("root or sudo privileges required to {what}"))),
        }
    }

    /// What may be asked for by whom; the kind that it comes to.
    fn check(&self) -> Result<TokenKind> {
        let (wish, parent) = (&self.wish, &self.session.entry);
        if parent.is_batch() {
            return Err(Error::invalid("batch tokens cannot create more tokens"));
        }
        if parent.num_uses > 0 {
            return Err(Error::invalid("restricted use token cannot generate child tokens"));
        }
        let kind = self.kind()?;
        if wish.num_uses < 0 {
            return Err(Error::invalid("number of uses cannot be negative"));
        }
        if !wish.id.is_empty() {
            self.privileged("specify token id")?;
            check_id(&wish.id)?;
        }
        if !wish.period.is_zero() {
            self.privileged("create periodic token")?;
        }
        Ok(kind)
    }

    fn kind(&self) -> Result<TokenKind> {
        let wish = &self.wish;
        let role = self.role.as_ref().map_or(TokenType::Default, |role| role.token.token_type);
        let kind = match (role, wish.kind.as_str()) {
            (TokenType::Service, _) => "service",
            (TokenType::Batch, _) | (TokenType::DefaultBatch, "") => "batch",
            (_, asked) => asked,
        };
        match kind {
            "" | "service" => return Ok(TokenKind::Service),
            "batch" => {}
            _ => return Err(Error::invalid("invalid 'token_type' value")),
        }
        let set = if !wish.explicit_max_ttl.is_zero() {
            "explicit_max_ttl"
        } else if wish.num_uses != 0 {
            "num_uses"
        } else if !wish.period.is_zero() {
            "period"
        } else {
            return Ok(TokenKind::Batch);
        };
        Err(Error::invalid(format!("batch tokens cannot have {set:?} set")))
    }

    /// The entity with the alias that was asked for, made if there is none; `None` if none was.
    async fn entity(&self) -> Result<Option<String>> {
        if self.wish.entity_alias.is_empty() {
            return Ok(None);
        }
        let Some(role) = &self.role else {
            return Err(Error::invalid(
                "'entity_alias' is only allowed in combination with token role",
            ));
        };
        let alias = self.wish.entity_alias.to_lowercase();
        if !matches_glob(&role.allowed_entity_aliases, &alias) {
            return Err(Error::invalid("invalid 'entity_alias' value"));
        }
        let (mount, _) = self
            .active
            .mounts
            .route(&self.point)
            .ok_or_else(|| Error::invalid("auth token mount accessor not found"))?;
        let at = AliasMount::of(&mount);
        let alias = Alias { name: self.wish.entity_alias.clone(), ..Alias::default() };
        match self.active.identity.log_in(&at, &alias, &[]).await {
            Ok((standing, _)) => Ok(Some(standing.entity.id.clone())),
            Err(Error::Denied) => Err(Error::Coded {
                status: 403,
                message: "entity from given entity alias is disabled".to_owned(),
            }),
            Err(error) => Err(error),
        }
    }

    fn check_root(&self, policies: &[String], kind: TokenKind) -> Result<()> {
        if !policies.iter().any(|p| p == "root") {
            return Ok(());
        }
        if !self.session.is_root() {
            return Err(Error::invalid(
                "root tokens may not be created without parent token being root",
            ));
        }
        // Nobody could take it back.
        if kind == TokenKind::Batch {
            return Err(Error::invalid("batch tokens cannot be root tokens"));
        }
        Ok(())
    }

    /// Networks: the role's, or the parent's. A token without an end is bound to none.
    fn bound_cidrs(&self, has_parent: bool, ttl: u64) -> Vec<String> {
        match &self.role {
            _ if ttl == 0 => Vec::new(),
            Some(role) => role.token.token_bound_cidrs.iter().map(ToString::to_string).collect(),
            None if has_parent => self.session.entry.bound_cidrs.clone(),
            None => Vec::new(),
        }
    }

    /// Where it was made; a role may add to that, so that its tokens can be told by their path.
    fn path(&self) -> String {
        match self.role.as_ref().map(|role| &role.path_suffix).filter(|s| !s.is_empty()) {
            Some(suffix) => format!("{}/{suffix}", self.point),
            None => self.point.clone(),
        }
    }

    /// The fewer uses of role and wish, where 0 is no limit.
    fn uses(&self) -> i64 {
        let by_role = self.role.as_ref().map_or(0, |role| role.token.token_num_uses);
        match (self.wish.num_uses, by_role) {
            (asked, 0) => asked,
            (0, by_role) => by_role,
            (asked, by_role) => asked.min(by_role),
        }
    }

    fn times(&self, policies: &[String], kind: TokenKind) -> Result<Times> {
        let wish = &self.wish;
        let asked = [wish.ttl, wish.lease].iter().map(|ttl| ttl.as_secs()).find(|s| *s > 0);
        let mut times = Times {
            ttl: asked.unwrap_or(0),
            explicit_max_ttl: wish.explicit_max_ttl.as_secs(),
            period: wish.period.as_secs(),
            warnings: Vec::new(),
        };
        if let Some(role) = self.role.as_ref().filter(|_| kind == TokenKind::Service) {
            let token = &role.token;
            let (max, period) = (token.token_explicit_max_ttl, token.token_period);
            let lesser =
                "specified both during creation call and in role; using the lesser value of";
            if both(&mut times.explicit_max_ttl, max.as_secs()) {
                let text = format!("Explicit max TTL {lesser} {} seconds", times.explicit_max_ttl);
                times.warnings.push(text);
            }
            if both(&mut times.period, period.as_secs()) {
                times.warnings.push(format!("Period {lesser} {} seconds", times.period));
            }
        }
        // A root token without a TTL of its own does not end, but for a hard end.
        if times.ttl == 0 && times.period == 0 && policies.iter().any(|p| p == "root") {
            times.ttl = times.explicit_max_ttl;
            if times.ttl == 0 && self.session.entry.life.expire_time != 0 {
                return Err(Error::invalid(
                    "expiring root tokens cannot create non-expiring root tokens",
                ));
            }
            return Ok(times);
        }
        let missing = || Error::internal("the token backend is not mounted");
        let (mount, _) = self.active.mounts.route(&self.point).ok_or_else(missing)?;
        let limits = effective_ttls(self.active.mounts.facts(), &mount);
        let (ttl, warnings) = TtlWish {
            ttl: times.ttl,
            period: times.period,
            explicit_max_ttl: times.explicit_max_ttl,
            ..TtlWish::default()
        }
        .settle(limits)?;
        times.ttl = ttl;
        times.warnings.extend(warnings);
        Ok(times)
    }
}

/// Takes a limit of the role in: the lesser one, where 0 is none. Whether there were two.
fn both(limit: &mut u64, by_role: u64) -> bool {
    match (*limit, by_role) {
        (_, 0) => false,
        (0, by_role) => {
            *limit = by_role;
            false
        }
        (asked, by_role) => {
            *limit = asked.min(by_role);
            true
        }
    }
}

/// A token that somebody chooses looks like none that the server makes.
fn check_id(id: &str) -> Result<()> {
    let text = if id.starts_with("hvs.") {
        "custom token ID cannot have the 'hvs.' prefix"
    } else if id.starts_with("s.") {
        "custom token ID cannot have the 's.' prefix"
    } else if id.contains('.') {
        "custom token ID cannot have a '.' in the value"
    } else {
        return Ok(());
    };
    Err(Error::invalid(text))
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
