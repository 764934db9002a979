//! When static roles are rotated, and how: one user's credential changed in the database and here.
//!
//! A rotation stores the new credential beside the old one, asks the database, and then makes it the
//! present one. Whatever fails in between, the next attempt asks for the same new credential, so the
//! one that the database has is always known here.
//!
//! Each connection's roles wait for each other and for nobody else's: a database that hangs holds up
//! its own roles.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use boltwork_sdk::{
    Result, StorageExt,
    logical::{Error, Storage, SystemView, UserChange},
};
use time::OffsetDateTime;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use crate::{
    config::Config,
    connections::Connections,
    credentials::{Made, Recipe},
    instance::{Failed, Instance},
    static_role::{PREFIX, Pending, StaticRole},
    turns::Turns,
};

/// How long a rotation that failed waits for its next attempt.
const BACK_OFF: Duration = Duration::from_secs(10);

/// How often is looked whether a rotation is due.
const TICK: Duration = Duration::from_secs(5);

/// Where the time comes from.
pub type Clock = fn() -> SystemTime;

/// Rotations of a mount.
pub struct Rotations {
    connections: Arc<Connections>,
    clock: Clock,
    queue: Mutex<Queue>,
    /// One at a time for each role: rotating, changing and deleting it.
    turns: Turns,
    ticker: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Queue {
    /// Whether all roles have been read from storage.
    filled: bool,
    /// When each role is due, and on which connection.
    due: BTreeMap<String, (SystemTime, String)>,
    /// Connections whose roles are being rotated.
    busy: HashSet<String>,
}

/// Where rotations are stored, and whom they ask.
#[derive(Clone)]
pub struct Home {
    pub storage: Arc<dyn Storage>,
    pub system: Arc<dyn SystemView>,
}

impl Rotations {
    pub fn new(connections: Arc<Connections>, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            connections,
            clock,
            queue: Mutex::default(),
            turns: Turns::default(),
            ticker: Mutex::default(),
        })
    }

    /// Now.
    pub fn now(&self) -> SystemTime {
        (self.clock)()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to look every few seconds, until [`stop`](Self::stop).
    pub fn start(self: &Arc<Self>, home: Home) {
        let me = Arc::downgrade(self);
        let ticker = tokio::spawn(async move {
            while let Some(rotations) = me.upgrade() {
                // Those that are begun go on by themselves.
                drop(rotations.begin_due(&home).await);
                drop(rotations);
                tokio::time::sleep(TICK).await;
            }
        });
        let mut held = self.ticker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = held.replace(ticker) {
            old.abort();
        }
    }

    /// Ends the looking.
    pub fn stop(&self) {
        let mut held = self.ticker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ticker) = held.take() {
            ticker.abort();
        }
        *self.queue() = Queue::default();
    }

    /// Runs `work` while nobody else works on this role.
    pub async fn alone<T>(&self, role: &str, work: impl Future<Output = T>) -> T {
        self.turns.alone(role, work).await
    }

    /// Notes when a role is due, from what is stored of it.
    pub fn schedule(&self, name: &str, role: &StaticRole) {
        let due = role.static_account.due(self.now());
        let mut queue = self.queue();
        match due {
            // One that was begun is finished as soon as possible.
            Ok(_) if role.static_account.pending.is_some() => {
                queue.due.insert(name.to_owned(), (self.now(), role.db_name.clone()));
            }
            Ok(Some(at)) => {
                queue.due.insert(name.to_owned(), (at, role.db_name.clone()));
            }
            Ok(None) => {
                queue.due.remove(name);
            }
            Err(error) => {
                tracing::error!(role = name, %error, "a static role is not rotated");
                queue.due.remove(name);
            }
        }
    }

    /// A role is gone.
    pub fn forget(&self, name: &str) {
        self.queue().due.remove(name);
    }

    /// Reads all roles once after a start.
    async fn fill(&self, home: &Home) -> Result<()> {
        if self.queue().filled {
            return Ok(());
        }
        for name in home.storage.keys(PREFIX).await? {
            match StaticRole::load(&*home.storage, &name).await {
                Ok(Some(role)) => self.schedule(&name, &role),
                Ok(None) => {}
                Err(error) => tracing::error!(role = name, %error, "a static role is not rotated"),
            }
        }
        self.queue().filled = true;
        Ok(())
    }

    /// Begins what is due: a task for each connection that has none yet.
    pub async fn begin_due(self: &Arc<Self>, home: &Home) -> Vec<JoinHandle<()>> {
        if let Err(error) = self.fill(home).await {
            tracing::error!(%error, "static roles could not be read; trying again soon");
            return Vec::new();
        }
        let mut begun = Vec::new();
        for (connection, roles) in self.take_due() {
            let (me, home) = (Arc::clone(self), home.clone());
            begun.push(tokio::spawn(async move {
                let free = Free { rotations: &me, connection: &connection };
                for role in roles {
                    me.rotate_queued(&home, &role).await;
                }
                drop(free);
            }));
        }
        begun
    }

    /// Roles that are due, by connection; their connections are busy from now on.
    fn take_due(&self) -> BTreeMap<String, Vec<String>> {
        let now = self.now();
        let mut queue = self.queue();
        let mut due: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (role, (at, connection)) in &queue.due {
            if *at <= now && !queue.busy.contains(connection) {
                due.entry(connection.clone()).or_default().push(role.clone());
            }
        }
        queue.busy.extend(due.keys().cloned());
        due
    }

    async fn rotate_queued(&self, home: &Home, name: &str) {
        let work = async {
            let Some(role) = StaticRole::load(&*home.storage, name).await? else {
                self.forget(name);
                return Ok::<(), Error>(());
            };
            // Somebody may have rotated it, or changed when, since it was looked at.
            let due = role.static_account.due(self.now())?;
            let begun = role.static_account.pending.is_some();
            if !begun && due.is_none_or(|at| at > self.now()) {
                self.schedule(name, &role);
                return Ok(());
            }
            Ok(self.rotate(home, name, role).await?)
        };
        if let Err(error) = self.alone(name, work).await {
            tracing::error!(role = name, %error, "a static role could not be rotated; it is tried again");
            self.put_off(name);
        }
    }

    /// The next attempt comes a little later.
    pub fn put_off(&self, name: &str) {
        let at = self.now() + BACK_OFF;
        if let Some((due, _)) = self.queue().due.get_mut(name) {
            *due = at;
        }
    }

    /// Changes the credential of a role's user. The caller has its [turn](Self::alone).
    ///
    /// An error says whether the user surely has its old credential still.
    pub async fn rotate(
        &self,
        home: &Home,
        name: &str,
        mut role: StaticRole,
    ) -> Result<(), Failed> {
        let (instance, made) = match self.prepare(home, name, &mut role).await {
            Ok(prepared) => prepared,
            Err(error) => {
                let undone = role.static_account.pending.is_none();
                return Err(Failed { error, undone });
            }
        };
        let _stays = instance.shared().await;
        let change = UserChange {
            username: role.static_account.username.clone(),
            credential: Some((made.credential(), role.statements.rotation.clone())),
            ..UserChange::default()
        };
        instance.update_user(change).await.map_err(|failed| Failed {
            error: match failed.error {
                Error::Internal(text) => {
                    Error::Internal(format!("error setting credentials: {text}"))
                }
                other => other,
            },
            undone: failed.undone,
        })?;
        self.settle(&mut role, &made);
        let stored = role.save(&*home.storage, name).await;
        stored.map_err(|error| Failed { error, undone: false })?;
        self.schedule(name, &role);
        Ok(())
    }

    /// Checks, opens the connection, and notes the new credential, unless one is noted already.
    async fn prepare(
        &self,
        home: &Home,
        name: &str,
        role: &mut StaticRole,
    ) -> Result<(Arc<Instance>, Made)> {
        let config = Config::load(&*home.storage, &role.db_name).await?;
        if !config.allows(name) {
            return Err(Error::internal(format!("{name:?} is not an allowed role")));
        }
        let kind = role.credential_type.as_str();
        if !config.connection_details.supports(kind) {
            return Err(Error::internal(format!("unsupported credential_type: {kind:?}")));
        }
        let instance = self.connections.open(&role.db_name, &config, &*home.system).await?;
        let begun = role.static_account.pending.as_ref();
        if let Some(made) = begun.and_then(|pending| pending.made(role.credential_type)) {
            return Ok((instance, made));
        }
        let recipe = Recipe {
            kind: role.credential_type,
            settings: role.credential_config.as_ref(),
            connection_policy: &config.password_policy,
            holder: None,
        };
        let made = recipe.make(&instance, &*home.system).await?;
        let mut noted = role.clone();
        noted.static_account.pending = Some(Pending::of(&made));
        noted.save(&*home.storage, name).await?;
        *role = noted;
        Ok((instance, made))
    }

    /// The new credential is the present one.
    fn settle(&self, role: &mut StaticRole, made: &Made) {
        let account = &mut role.static_account;
        match made {
            Made::Password(password) => {
                account.password = Zeroizing::new(password.expose().to_owned());
            }
            Made::RsaKey { private, .. } => {
                account.private_key = Zeroizing::new(BASE64_STANDARD.encode(private.expose()));
            }
            // Not made for users that exist already.
            Made::Certificate(_) => {}
        }
        account.pending = None;
        account.last_vault_rotation = OffsetDateTime::from(self.now());
    }
}

/// Frees a connection for its next rotations, also when the work on it was cut short.
struct Free<'a> {
    rotations: &'a Rotations,
    connection: &'a str,
}

impl Drop for Free<'_> {
    fn drop(&mut self) {
        self.rotations.queue().busy.remove(self.connection);
    }
}
