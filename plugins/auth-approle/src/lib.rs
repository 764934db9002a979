//! The approle auth method: logins of machines, with the id of a role and a secret id of that role.
//!
//! Paths, fields, replies and texts are those of HashiCorp's and OpenBao's method of this name, and
//! so is what is stored: mounts can change hands. Built in, the server mounts what [`factory`]
//! makes; the binary of this package serves the same as an external plugin.
//!
//! Deliberately absent: wrapping secret ids for their way to the machine (the server does that with
//! any reply), and tokens themselves.

mod bounds;
mod digest;
mod fields;
mod help;
mod login;
mod metadata;
mod moment;
mod role;
mod roles;
mod secret;
mod secrets;
mod settings;
mod status;
mod tidy;
mod turns;

use std::{sync::Arc, time::SystemTime};

use boltwork_sdk::{Changed, Engine, Path, Reply, Request, Result, Routes, logical::Factory, path};

pub use crate::moment::Clock;
use crate::{digest::Salt, tidy::Tidying, turns::Turns};

/// The version that the method reports of itself.
pub const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// What makes the method of a mount.
pub fn factory() -> Arc<dyn Factory> {
    boltwork_sdk::factory(Approle::new)
}

/// The method of one mount.
pub struct Approle {
    pub(crate) shared: Arc<Shared>,
}

/// What handlers and tidying share.
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) salt: Salt,
    /// Turns at roles, by name in lower case. Taken before those at secret ids.
    pub(crate) roles: Turns,
    /// Turns at secret ids, by digest.
    pub(crate) secrets: Turns,
    pub(crate) tidying: Tidying,
}

impl Default for Approle {
    fn default() -> Self {
        Self::new()
    }
}

impl Approle {
    /// A method that goes by the system's clock.
    pub fn new() -> Self {
        Self::with_clock(SystemTime::now)
    }

    /// A method that goes by another clock, for tests.
    pub fn with_clock(clock: Clock) -> Self {
        let shared = Shared {
            clock,
            salt: Salt::default(),
            roles: Turns::default(),
            secrets: Turns::default(),
            tidying: Tidying::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Makes the salt, where this server may.
    async fn start_up(&self, req: Request) -> Result<Reply> {
        if tidy::may_write(&*req.system).await {
            self.shared.salt.get(&*req.storage).await?;
        }
        Ok(Reply::empty())
    }

    async fn changed(&self, req: Request<Changed>) -> Result<Reply> {
        if req.fields.key == digest::SALT {
            self.shared.salt.forget().await;
        }
        Ok(Reply::empty())
    }

    async fn clean_up(&self, _: Request) -> Result<Reply> {
        self.shared.tidying.stop().await;
        Ok(Reply::empty())
    }
}

impl Engine for Approle {
    fn routes() -> Routes<Self> {
        Routes::new(role_paths())
            .with(settings::paths())
            .with(secret_paths())
            .with([
                path("login")
                    .help("Log in with a role id and a secret id.")
                    .details(help::LOGIN)
                    .login(Self::login)
                    .alias_lookahead(Self::alias)
                    .resolve_role(Self::resolve_role),
                path("tidy/secret-id")
                    .help("Remove expired secret ids now.")
                    .details(help::TIDY)
                    .update(Self::tidy),
            ])
            .renew_login(Self::renew)
            .initialize(Self::start_up)
            .every(Self::every_minute)
            .invalidate(Self::changed)
            .cleanup(Self::clean_up)
            .local(secret::LOCAL_PREFIXES)
            .help(help::ENGINE)
            .version(VERSION)
    }
}

fn role_paths() -> [Path<Approle>; 4] {
    [
        path("role").help("List the roles.").details(help::ROLES).list(Approle::list_roles),
        path("role/{role_name}")
            .help("Create, read, change and delete a role.")
            .details(help::ROLE)
            .read(Approle::read_role)
            .write(Approle::write_role)
            .delete(Approle::delete_role)
            .exists(Approle::role_exists),
        path("role/{role_name}/role-id")
            .help("The role's identifier at logins.")
            .details(help::ROLE_ID)
            .read(Approle::read_role_id)
            .update(Approle::write_role_id),
        path("role/{role_name}/local-secret-ids")
            .help("Whether secret ids stay in this cluster.")
            .details(help::LOCAL)
            .read(Approle::read_local_secret_ids),
    ]
}

fn secret_paths() -> [Path<Approle>; 6] {
    [
        path("role/{role_name}/secret-id")
            .help("Make a secret id, or list the accessors of all.")
            .details(help::SECRET_ID)
            .update(Approle::make_secret)
            .list(Approle::list_secrets),
        path("role/{role_name}/custom-secret-id")
            .help("Take over a secret id of your own.")
            .details(help::CUSTOM)
            .update(Approle::take_secret),
        path("role/{role_name}/secret-id/lookup")
            .help("What is known of a secret id.")
            .details(help::LOOKUP)
            .update(Approle::look_up_secret),
        path("role/{role_name}/secret-id/destroy")
            .help("Destroy a secret id.")
            .details(help::DESTROY)
            .update(Approle::destroy_secret)
            .delete(Approle::destroy_secret),
        path("role/{role_name}/secret-id-accessor/lookup")
            .help("What is known of a secret id, by its accessor.")
            .details(help::LOOKUP)
            .update(Approle::look_up_accessor),
        path("role/{role_name}/secret-id-accessor/destroy")
            .help("Destroy a secret id by its accessor.")
            .details(help::DESTROY)
            .update(Approle::destroy_accessor)
            .delete(Approle::destroy_accessor),
    ]
}
