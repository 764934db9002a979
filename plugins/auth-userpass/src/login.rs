//! Logging in, and renewing what a login gave.

use std::collections::BTreeMap;

use boltwork_sdk::{
    Reply, Request, Result,
    credential::{BoundAddress, equivalent_policies},
    logical::{Alias, Auth, Error},
};

use crate::{
    Userpass,
    fields::{Credentials, Name},
    password,
    user::{self, User},
};

/// Where a login keeps the user's name, for its renewals.
const USERNAME: &str = "username";

impl Userpass {
    pub(crate) async fn alias(&self, req: Request<Name>) -> Result<Reply> {
        let name = user::name(&req.fields.username)?;
        Ok(Reply::auth(Auth { alias: Some(alias(&name)), ..Auth::default() }))
    }

    pub(crate) async fn login(&self, mut req: Request<Credentials>) -> Result<Reply> {
        let name = user::name(&req.fields.username)?;
        let password = req.fields.password.take().filter(|password| !password.is_empty());
        // Vault's status for it is 500.
        let password = password.ok_or_else(|| Error::internal("missing password"))?;
        // Whatever is wrong with the user is told after the same work as a wrong password.
        let user = User::load(&*req.storage, &name).await;
        let hash = user.as_ref().ok().and_then(Option::as_ref).and_then(User::hash);
        let matched = password::matches(password, hash).await?;
        let user = user?.filter(|_| matched);
        let user = user.ok_or_else(|| Error::invalid("invalid username or password"))?;
        admit(&req, &user)?;
        let mut auth = Auth {
            display_name: name.clone(),
            metadata: BTreeMap::from([(USERNAME.to_owned(), name.clone())]),
            alias: Some(alias(&name)),
            ..Auth::default()
        };
        user.token.give(&mut auth, req.connection())?;
        Ok(Reply::auth(auth))
    }

    /// The user must still be there, with the policies that the token has. Without the user there
    /// is no answer, which renews nothing.
    pub(crate) async fn renew(&self, req: Request) -> Result<Reply> {
        let auth = req.auth().ok_or_else(|| Error::internal("request auth was nil"))?;
        let name = auth.metadata.get(USERNAME).map(String::as_str).unwrap_or_default();
        let name = user::name(name).map_err(|_| Error::internal("missing username"))?;
        let Some(user) = User::load(&*req.storage, &name).await? else {
            return Ok(Reply::empty());
        };
        if !equivalent_policies(&user.token.token_policies, &auth.token.token_policies) {
            return Err(Error::internal("policies have changed, not renewing"));
        }
        let mut auth = auth.clone();
        user.token.renew(&mut auth);
        Ok(Reply::auth(auth))
    }
}

fn alias(name: &str) -> Alias {
    Alias { name: name.to_owned(), ..Alias::default() }
}

/// Whether the user may log in from there.
fn admit<F>(req: &Request<F>, user: &User) -> Result<()> {
    let bindings = &user.token.token_bound_cidrs;
    if req.connection().is_none() && !bindings.is_empty() {
        tracing::warn!("a user is bound to addresses, and the server did not say the client's");
    }
    let client = req.connection().map_or("", |connection| &connection.remote_addr);
    if BoundAddress::any_admits(bindings, client) { Ok(()) } else { Err(Error::Denied) }
}
