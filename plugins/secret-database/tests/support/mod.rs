//! A database that exists only here, a plugin for it, and a mount of the engine over both.
#![allow(clippy::unwrap_used, dead_code, reason = "not every test file uses everything")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use boltwork_sdk::logical::{
    BoxFuture, Credential, Data, Database, DatabaseError, DatabaseFactory, MadeUser, NewUser,
    UserChange,
};
use boltwork_sdk_test::{Bench, Databases, FakeSystem, Leases, MemoryStorage, Mount};
use serde_json::json;
use std::cell::Cell;
use std::time::{Duration, SystemTime};
use tokio::sync::Notify;

thread_local! {
    static LATER: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// The engine's clock: the system's, and as much later as the test says. A test and all its tasks
/// are on one thread.
pub fn now() -> SystemTime {
    SystemTime::now() + LATER.get()
}

/// Lets time pass for the engine.
pub fn pass(seconds: u64) {
    LATER.set(LATER.get() + Duration::from_secs(seconds));
}

/// Waits until something holds; it must come to hold by itself.
pub async fn until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        tokio::task::yield_now().await;
    }
}

/// What is in the database, and what goes wrong with it.
#[derive(Default)]
pub struct World {
    /// Passwords by user.
    pub users: Mutex<BTreeMap<String, String>>,
    /// Statements in the order in which they came.
    pub statements: Mutex<Vec<String>>,
    /// Expirations that were set.
    pub extended: AtomicUsize,
    /// Connections that were opened and not closed.
    pub open: AtomicUsize,
    /// Connections that were ever opened.
    pub opened: AtomicUsize,
    made: AtomicUsize,
    /// The database refuses everything but logins.
    pub refuses: AtomicBool,
    /// The plugin's process dies with the next call.
    pub dies: AtomicBool,
    /// Making a user waits for this, if `slow` is set; the user exists by then.
    pub go_on: Notify,
    pub slow: AtomicBool,
    /// It is a plugin of version 4.
    pub old: AtomicBool,
}

impl World {
    pub fn new() -> Arc<Self> {
        let world = Arc::new(Self::default());
        world.users.lock().unwrap().insert("root".into(), "first".into());
        world
    }

    /// Users but the root.
    pub fn names(&self) -> Vec<String> {
        self.users.lock().unwrap().keys().filter(|name| *name != "root").cloned().collect()
    }

    pub fn password(&self, user: &str) -> Option<String> {
        self.users.lock().unwrap().get(user).cloned()
    }

    pub fn set(switch: &AtomicBool, on: bool) {
        switch.store(on, Ordering::SeqCst);
    }
}

/// The plugin.
struct Plugin(Arc<World>);

impl DatabaseFactory for Plugin {
    fn create(&self) -> Result<Arc<dyn Database>, DatabaseError> {
        self.0.open.fetch_add(1, Ordering::SeqCst);
        self.0.opened.fetch_add(1, Ordering::SeqCst);
        Ok(Arc::new(Connection { world: self.0.clone(), dead: AtomicBool::new(false) }))
    }
}

struct Connection {
    world: Arc<World>,
    dead: AtomicBool,
}

impl Connection {
    fn check(&self) -> Result<(), DatabaseError> {
        if self.world.dies.swap(false, Ordering::SeqCst) {
            self.dead.store(true, Ordering::SeqCst);
        }
        if self.dead.load(Ordering::SeqCst) {
            return Err(DatabaseError::Shutdown);
        }
        if self.world.refuses.load(Ordering::SeqCst) {
            let text = "pq: refused, and by the way the password was hunter2";
            return Err(DatabaseError::Failed(text.into()));
        }
        Ok(())
    }
}

fn password(credential: &Credential) -> String {
    match credential {
        Credential::Password(text) => text.expose().to_owned(),
        Credential::Subject(subject) => format!("subject {subject}"),
        _ => "no password".to_owned(),
    }
}

impl Database for Connection {
    fn initialize(&self, config: Data, verify: bool) -> BoxFuture<'_, Result<Data, DatabaseError>> {
        Box::pin(async move {
            let fields = config.fields().unwrap();
            let text = |key: &str| fields.get(key).and_then(|v| v.as_str()).unwrap_or_default();
            if verify && self.world.password(text("username")).as_deref() != Some(text("password"))
            {
                let text =
                    format!("cannot log in as {} with {}", text("username"), text("password"));
                return Err(DatabaseError::Failed(text));
            }
            Ok(config)
        })
    }

    fn new_user(&self, user: NewUser) -> BoxFuture<'_, Result<MadeUser, DatabaseError>> {
        Box::pin(async move {
            self.check()?;
            let number = self.world.made.fetch_add(1, Ordering::SeqCst);
            let name = format!("v-{}-{}-{number}", user.display_name, user.role_name);
            assert!(user.expiration.is_some(), "every user has an end");
            self.world.statements.lock().unwrap().extend(user.statements.clone());
            let old = self.world.old.load(Ordering::SeqCst);
            let password = if old { "of-the-plugin".into() } else { password(&user.credential) };
            self.world.users.lock().unwrap().insert(name.clone(), password.clone());
            if self.world.slow.load(Ordering::SeqCst) {
                self.world.go_on.notified().await;
            }
            Ok(MadeUser { username: name, password: old.then(|| password.as_str().into()) })
        })
    }

    fn update_user(&self, change: UserChange) -> BoxFuture<'_, Result<(), DatabaseError>> {
        Box::pin(async move {
            self.check()?;
            let mut users = self.world.users.lock().unwrap();
            let Some(user) = users.get_mut(&change.username) else {
                return Err(DatabaseError::Failed("no such user".into()));
            };
            if let Some((credential, _)) = &change.credential {
                *user = password(credential);
            }
            if change.expiration.is_some() {
                self.world.extended.fetch_add(1, Ordering::SeqCst);
            }
            Ok(())
        })
    }

    fn delete_user<'a>(
        &'a self,
        username: &'a str,
        statements: &'a [String],
    ) -> BoxFuture<'a, Result<(), DatabaseError>> {
        Box::pin(async move {
            self.check()?;
            self.world.statements.lock().unwrap().extend(statements.to_vec());
            self.world.users.lock().unwrap().remove(username);
            Ok(())
        })
    }

    fn kind(&self) -> BoxFuture<'_, Result<String, DatabaseError>> {
        Box::pin(async { Ok("fake".to_owned()) })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.world.open.fetch_sub(1, Ordering::SeqCst);
        Box::pin(async {})
    }

    fn is_current(&self) -> bool {
        !self.dead.load(Ordering::SeqCst)
    }

    fn makes_passwords(&self) -> bool {
        self.world.old.load(Ordering::SeqCst)
    }

    fn make_password(
        &self,
    ) -> BoxFuture<'_, Result<boltwork_sdk::logical::SecretText, DatabaseError>> {
        Box::pin(async { Ok("of-the-plugin".into()) })
    }
}

/// A mount with the plugin `fake` in version v1.2.3.
pub struct Scene {
    pub world: Arc<World>,
    pub mount: Mount,
    pub leases: Leases,
    bench: Bench,
}

impl Scene {
    pub async fn new() -> Self {
        let world = World::new();
        let factory: Arc<dyn DatabaseFactory> = Arc::new(Plugin(world.clone()));
        let databases = BTreeMap::from([("fake".to_owned(), ("v1.2.3".to_owned(), factory))]);
        let passwords = BTreeMap::from([("short".to_owned(), "by-policy".to_owned())]);
        let leases = Leases::default();
        let system = FakeSystem {
            databases: Databases(databases),
            leases: leases.clone(),
            passwords,
            ..FakeSystem::default()
        };
        let bench = Bench::new(|| boltwork_secret_database::Database::with_clock(now))
            .system(system)
            .storage(MemoryStorage::default());
        let mount = bench.in_process().await;
        Self { world, mount, leases, bench }
    }

    /// The same with a connection `db` and a role `app`.
    pub async fn configured() -> Self {
        let scene = Self::new().await;
        scene.mount.write("config/db", connection()).await.unwrap();
        let role = json!({"db_name": "db", "creation_statements": "CREATE a, b", "default_ttl": 60,
            "revocation_statements": ["DROP a, b"]});
        scene.mount.write("roles/app", role).await.unwrap();
        scene
    }

    /// The server is started again: another engine over the same storage.
    pub async fn restart(&mut self) {
        let old = std::mem::replace(&mut self.mount, self.bench.in_process().await);
        old.unmount().await;
    }

    pub fn open(&self) -> usize {
        self.world.open.load(Ordering::SeqCst)
    }
}

/// A connection that works.
pub fn connection() -> serde_json::Value {
    json!({"plugin_name": "fake", "allowed_roles": "app,static-*", "username": "root",
        "password": "first", "connection_url": "fake://{{username}}:{{password}}@db"})
}
