//! The token that a login deserves.

use std::{sync::Arc, time::Duration};

use boltwork_logical::{Auth, Error, Failure, TokenType};

use boltwork_policy::RESPONSE_WRAPPING;

use super::authorize::Authorized;
use crate::{
    active::Active,
    identity::{AliasMount, Standing},
    mounts::{Mount, Table, effective_ttls},
    tokens::{Login, NewToken, TokenKind, TtlWish, sanitized_policies},
};

/// Makes the token that a login deserves, and writes it into the reply.
pub async fn login(
    active: &Active,
    request: &Authorized,
    mut auth: Box<Auth>,
    warnings: &mut Vec<String>,
) -> Result<Box<Auth>, Failure> {
    check(request, &auth)?;
    let mount = &request.target.mount;
    let standing = whose(active, mount, &mut auth).await?;
    let entity_id = standing.as_ref().map_or("", |standing| &standing.entity.id);
    auth.policies = sanitized_policies(auth.policies.iter(), !auth.token.no_default_policy);
    if auth.policies.iter().any(|p| p == "root") {
        return Err(Error::invalid("auth methods cannot create root tokens").into());
    }
    let by_identity = standing.as_ref().map_or(&[][..], |standing| &standing.policies);
    if auth.policies.iter().chain(by_identity).any(|p| p == RESPONSE_WRAPPING.0) {
        let text = format!("cannot assign policy {:?}", RESPONSE_WRAPPING.0);
        return Err(Error::invalid(text).into());
    }
    let wish = TtlWish {
        ttl: auth.lease.ttl.as_secs(),
        period: auth.token.period.as_secs(),
        explicit_max_ttl: auth.token.explicit_max_ttl.as_secs(),
        backend_max_ttl: auth.lease.max_ttl.as_secs(),
        created: None,
    };
    let kind = kind(&mount.entry.load().config.token_type, &auth)?;
    let (ttl, more) = wish.settle(effective_ttls(active.mounts.facts(), mount))?;
    warnings.extend(more);
    let (token, entry) = active
        .tokens
        .create(NewToken {
            policies: auth.policies.clone(),
            path: request.inbound.path.clone(),
            meta: Some(auth.metadata.clone()),
            display_name: display_name(&mount.point(), &auth.display_name),
            num_uses: auth.token.num_uses,
            ttl,
            explicit_max_ttl: auth.token.explicit_max_ttl.as_secs(),
            period: auth.token.period.as_secs(),
            renewable: auth.lease.renewable && kind == TokenKind::Service,
            bound_cidrs: auth.token.bound_cidrs.clone(),
            entity_id: entity_id.to_owned(),
            kind,
            login: (kind == TokenKind::Service).then(|| Box::new(remembered(&auth))),
            ..NewToken::default()
        })
        .await?;
    active.metrics.logins.add();
    auth.client_token = token;
    auth.accessor.clone_from(&entry.accessor);
    auth.display_name.clone_from(&entry.display_name);
    auth.lease.ttl = Duration::from_secs(ttl);
    auth.token.token_policies.clone_from(&auth.policies);
    auth.token.identity_policies =
        standing.as_ref().map(|standing| standing.policies.clone()).unwrap_or_default();
    auth.token.identity_policies.sort();
    auth.policies = sanitized_policies(
        auth.token.token_policies.iter().chain(&auth.token.identity_policies),
        false,
    );
    entity_id.clone_into(&mut auth.token.entity_id);
    auth.token.token_type = match kind {
        TokenKind::Service => TokenType::Service,
        TokenKind::Batch => TokenType::Batch,
    };
    auth.lease.renewable &= kind == TokenKind::Service;
    auth.token.orphan = true;
    Ok(auth)
}

/// Whose login it is; `None` where the backend does not say. An entity is made where there is none.
async fn whose(
    active: &Active,
    mount: &Mount,
    auth: &mut Auth,
) -> Result<Option<Arc<Standing>>, Error> {
    let Some(alias) = &mut auth.alias else { return Ok(None) };
    let at = AliasMount::of(mount);
    // Where it is from is not the backend's to say.
    alias.mount_accessor.clone_from(&at.accessor);
    alias.mount_type.clone_from(&mount.facts.load().kind);
    let (standing, _) = active.identity.log_in(&at, alias, &auth.group_aliases).await?;
    Ok(Some(standing))
}

/// The kind of token that mount and login come to (wire spec 2.12), and whether it can have what
/// the login asks for.
fn kind(mount: &str, auth: &Auth) -> Result<TokenKind, Error> {
    let asked = auth.token.token_type;
    let batch = match mount {
        "service" => false,
        "batch" => true,
        "default-batch" => !matches!(asked, TokenType::Service | TokenType::DefaultService),
        _ => asked == TokenType::Batch,
    };
    if !batch {
        return Ok(TokenKind::Service);
    }
    // Nobody counts a batch token's uses; one without a limit is not what was asked for.
    if auth.token.num_uses != 0 {
        return Err(Error::invalid(
            "the login asks for a token with a limited number of uses, which a batch token cannot \
             have: change the role, or the mount's token_type",
        ));
    }
    Ok(TokenKind::Batch)
}

/// What the backend is shown again when the token is renewed.
fn remembered(auth: &Auth) -> Login {
    Login {
        internal: match auth.internal.is_null() {
            true => String::new(),
            false => auth.internal.as_str().to_owned(),
        },
        max_ttl: auth.lease.max_ttl.as_secs(),
        no_default_policy: auth.token.no_default_policy,
        alias: auth.alias.clone(),
        group_aliases: auth.group_aliases.clone(),
    }
}

/// Only an auth method logs in, only on a path that it declared for that, and only within reason.
fn check(request: &Authorized, auth: &Auth) -> Result<(), Error> {
    if request.target.mount.table != Table::Auth {
        return Err(Error::internal("unexpected Auth response for non-token backend"));
    }
    if request.session.is_some() {
        return Err(Error::internal(
            "the backend answered with a login on a path that is not declared unauthenticated",
        ));
    }
    if auth.token.num_uses < 0 {
        return Err(Error::internal(
            "the backend asked for a token with a negative number of uses",
        ));
    }
    Ok(())
}

/// `userpass-alice`: the mount, and what the backend calls the caller.
fn display_name(point: &str, name: &str) -> String {
    let mount = point.trim_start_matches("auth/").trim_end_matches('/').replace('/', "-");
    match name.is_empty() {
        true => mount,
        false => format!("{mount}-{name}"),
    }
}
