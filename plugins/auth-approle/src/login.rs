//! Logging in, and renewing what a login gave.

use boltwork_sdk::{
    Reply, Request, Result, Transactions,
    credential::BoundAddress,
    logical::{Alias, Auth, Connection, Error, Storage},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::{
    Approle, bounds, digest::Salted, fields::Credentials, moment::Moment, role::Role,
    secret::Secret,
};

/// Where a login keeps its role's name.
const ROLE_NAME: &str = "role_name";

/// What a login keeps for its renewals.
#[derive(Deserialize, JsonSchema)]
pub struct Remembered {
    /// Name of the role.
    #[serde(default)]
    role_name: String,
}

/// A login that may go ahead.
struct Admitted {
    role: Role,
    /// The secret id, with its digest; none if the role needs none.
    secret: Option<(String, Secret)>,
}

/// Who asks, and from where.
struct Caller<'a> {
    role_id: &'a str,
    secret_id: &'a str,
    from: Option<&'a Connection>,
    now: Moment,
}

impl Approle {
    pub(crate) async fn login(&self, req: Request<Credentials>) -> Result<Reply> {
        let caller = &Caller {
            role_id: role_id(&req.fields).ok_or_else(|| Error::invalid("missing role_id"))?,
            secret_id: req.fields.secret_id.as_ref().map_or("", |id| id.trim()),
            from: req.connection(),
            now: Moment::now(self.shared.clock),
        };
        let salt = &self.shared.salt.get(&*req.storage).await?;
        let admitted = caller.admit(&*req.storage, salt).await?;
        let Some((digest, _)) = admitted.secret.as_ref().filter(|(_, s)| s.secret_id_num_uses != 0)
        else {
            return admitted.auth(req.connection());
        };
        // A use is spent. Everything is looked at again, so that no two logins spend the same one.
        let _role = self.shared.roles.shared(&admitted.role.name.to_lowercase()).await;
        let _secret = self.shared.secrets.alone(digest).await;
        let spend = |tx| async move {
            let admitted = caller.admit(&tx, salt).await?;
            admitted.spend(&tx, salt, caller.now).await?;
            Ok(admitted)
        };
        req.storage.transaction(spend).await?.auth(req.connection())
    }

    pub(crate) async fn alias(&self, req: Request<Credentials>) -> Result<Reply> {
        // Vault's status for it is 500.
        let id = role_id(&req.fields).ok_or_else(|| Error::internal("missing role_id"))?;
        let alias = Alias { name: id.to_owned(), ..Alias::default() };
        Ok(Reply::auth(Auth { alias: Some(alias), ..Auth::default() }))
    }

    pub(crate) async fn resolve_role(&self, req: Request<Credentials>) -> Result<Reply> {
        let id = role_id(&req.fields).ok_or_else(|| Error::invalid("missing role_id"))?;
        let salt = self.shared.salt.get(&*req.storage).await?;
        let name = Role::name_of(&*req.storage, &salt, id).await?.ok_or_else(refused)?;
        Role::load(&*req.storage, &name).await?.ok_or_else(refused)?;
        Ok(Reply::data(json!({ "role": name })))
    }

    /// The role must still be there; its times are as they are now.
    pub(crate) async fn renew(&self, req: Request<Remembered>) -> Result<Reply> {
        let name = &req.fields.role_name;
        if name.is_empty() {
            return Err(Error::internal("failed to fetch role_name during renewal"));
        }
        let role = Role::load(&*req.storage, name).await?;
        let gone = || Error::internal(format!("role {name:?} does not exist during renewal"));
        let role = role.ok_or_else(gone)?;
        let mut auth =
            req.auth().cloned().ok_or_else(|| Error::internal("request auth was nil"))?;
        role.token.renew(&mut auth);
        Ok(Reply::auth(auth))
    }
}

impl Caller<'_> {
    /// Looks at everything that a login depends on, and changes nothing.
    async fn admit(&self, storage: &dyn Storage, salt: &Salted) -> Result<Admitted> {
        let name = Role::name_of(storage, salt, self.role_id).await?.ok_or_else(refused)?;
        let role = Role::load(storage, &name).await?.ok_or_else(refused)?;
        let secret = if role.bind_secret_id {
            Some(self.admit_secret(storage, salt, &role).await?)
        } else {
            None
        };
        let why = "by CIDR restrictions on the role";
        bounds::admit(&role.secret_id_bound_cidrs, self.from, why)?;
        Ok(Admitted { role, secret })
    }

    async fn admit_secret(
        &self,
        storage: &dyn Storage,
        salt: &Salted,
        role: &Role,
    ) -> Result<(String, Secret)> {
        if self.secret_id.is_empty() {
            return Err(Error::invalid("missing secret_id"));
        }
        let (shelf, digest) = (role.shelf()?, role.digest(self.secret_id)?);
        let secret = shelf.load(storage, &digest).await?.ok_or_else(refused)?;
        let accessor = shelf.accessor(storage, salt, &secret.secret_id_accessor).await?;
        if accessor.is_none() || secret.is_over(self.now) {
            return Err(refused());
        }
        // The role may have been narrowed since.
        bounds::check_within(&role.secret_id_bound_cidrs, &secret.cidr_list)?;
        let why = "through CIDR restrictions on the secret ID";
        bounds::admit(&secret.cidr_list, self.from, why)?;
        Ok((digest, secret))
    }
}

impl Admitted {
    /// Takes a use off the secret id; with the last one it goes.
    async fn spend(&self, storage: &dyn Storage, salt: &Salted, now: Moment) -> Result<()> {
        let Some((digest, secret)) = &self.secret else { return Ok(()) };
        let shelf = self.role.shelf()?;
        match secret.secret_id_num_uses {
            0 => Ok(()),
            2.. => {
                let mut left = secret.clone();
                left.secret_id_num_uses -= 1;
                left.last_updated_time = now;
                shelf.update(storage, digest, &left).await
            }
            // Less than none can only have been stored by mistake.
            _ => shelf.remove(storage, salt, digest, secret).await,
        }
    }

    fn auth(self, from: Option<&Connection>) -> Result<Reply> {
        let Self { role, secret } = self;
        let (mut metadata, bound) = match secret {
            Some((_, secret)) => (secret.metadata, secret.token_bound_cidrs),
            None => Default::default(),
        };
        metadata.insert(ROLE_NAME.to_owned(), role.name.clone());
        let internal = json!({ ROLE_NAME: role.name });
        let mut auth = Auth {
            internal: boltwork_sdk::logical::Data::json(&internal),
            alias: Some(Alias {
                name: role.role_id.clone(),
                metadata: metadata.clone(),
                ..Alias::default()
            }),
            metadata,
            ..Auth::default()
        };
        role.token.give(&mut auth, from)?;
        let bound = BoundAddress::parse_all(&bound).map_err(|e| Error::invalid(e.to_string()))?;
        let client = from.map_or("", |from| &from.remote_addr);
        // The address that a strict role bound the token to is narrower, if it lies within.
        let narrower =
            role.token.token_strictly_bind_ip && BoundAddress::any_admits(&bound, client);
        if !bound.is_empty() && !narrower {
            auth.token.bound_cidrs = bound.iter().map(ToString::to_string).collect();
        }
        Ok(Reply::auth(auth))
    }
}

/// The role id that was sent. Files and pipes add line ends, which do not count.
fn role_id(sent: &Credentials) -> Option<&str> {
    sent.role_id.as_deref().map(str::trim).filter(|id| !id.is_empty())
}

/// One text for everything that is not known, so that nobody can tell which part was right.
fn refused() -> Error {
    Error::invalid("invalid role or secret ID")
}
