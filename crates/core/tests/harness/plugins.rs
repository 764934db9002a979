//! Plugins made to order: `good` keeps things, `panics`, `hangs`, `broken` cannot be created,
//! `uninitializable` fails when initialized, `login` is an auth method.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use boltwork_framework::{Engine, Reply, Request, Result, Routes, into_backend, path};
use boltwork_logical::{
    Alias, Auth, Backend, BackendKind, BoxFuture, Data, Entry, Error, Failure, Lease,
    OpenedDatabase, Operation, PluginEntry, PluginId, PluginKind, PluginServer, PluginStatus,
    Plugins, Registration, Running, Setup, SpecialPaths, Storage, TokenType, TokenWish,
};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::Notify;

/// What happened, and what shall happen.
#[derive(Default)]
pub struct Switches {
    /// Requests that reached a backend, existence checks included.
    pub requests: AtomicUsize,
    /// Backends that were created and not cleaned up.
    pub alive: AtomicUsize,
    /// Creations wait while this is set, until `go`.
    pub hold_creation: AtomicBool,
    /// So do requests for credentials, which are made all the same.
    pub hold_credentials: AtomicBool,
    pub waiting: AtomicUsize,
    pub go: Notify,
    /// Every creation fails.
    pub fail_creation: AtomicBool,
    /// Every initialization fails after it wrote something.
    pub fail_initialization: AtomicBool,
    /// Names of users that were made and not taken back.
    pub users: Mutex<std::collections::BTreeSet<String>>,
    /// Every revocation fails.
    pub fail_revocation: AtomicBool,
    /// And will for ever.
    pub unrecoverable: AtomicBool,
    /// Groups that a renewed login is in, if they are others than before.
    pub groups: Mutex<Option<Vec<String>>>,
    /// What `SystemView::wrap_data` gave to the engine that was asked to use it.
    pub wrapped: Mutex<Option<String>>,
}

#[derive(Default)]
pub struct TestPlugins {
    pub switches: Arc<Switches>,
    /// The server, as it gave itself to the plugin host.
    pub server: Mutex<Option<Arc<dyn PluginServer>>>,
    /// Versions by kind and name.
    pub pins: Mutex<BTreeMap<(PluginKind, String), String>>,
}

impl TestPlugins {
    pub fn alive(&self) -> usize {
        self.switches.alive.load(Ordering::SeqCst)
    }

    pub fn requests(&self) -> usize {
        self.switches.requests.load(Ordering::SeqCst)
    }

    pub fn release(&self) {
        self.switches.hold_creation.store(false, Ordering::SeqCst);
        self.switches.go.notify_waiters();
    }

    async fn make(&self, id: &PluginId, setup: Setup) -> Result<Running, Error> {
        let switches = &self.switches;
        if switches.hold_creation.load(Ordering::SeqCst) {
            let go = switches.go.notified();
            switches.waiting.fetch_add(1, Ordering::SeqCst);
            go.await;
        }
        if switches.fail_creation.load(Ordering::SeqCst) || id.name == "broken" {
            return Err(Error::unavailable("the test says that it cannot be created"));
        }
        let storage = Arc::clone(&setup.storage);
        let inner = match id.name.as_str() {
            "good" | "old" | "uninitializable" | "panics" | "hangs" => {
                into_backend(Good { switches: Arc::clone(switches) }, setup)?
            }
            "login" => into_backend(Login { switches: Arc::clone(switches) }, setup)?,
            other => return Err(Error::invalid(format!("plugin not found: {other}"))),
        };
        switches.alive.fetch_add(1, Ordering::SeqCst);
        let backend =
            Watched { name: id.name.clone(), inner, storage, switches: Arc::clone(switches) };
        Ok(Running {
            backend: Arc::new(backend),
            version: "v1.0.0".into(),
            sha256: "abcd".into(),
            builtin: false,
            deprecation: (id.name == "old").then_some("deprecated"),
        })
    }
}

/// A backend that counts, and misbehaves where its name says so.
struct Watched {
    name: String,
    inner: Arc<dyn Backend>,
    storage: Arc<dyn Storage>,
    switches: Arc<Switches>,
}

impl Backend for Watched {
    fn kind(&self) -> BackendKind {
        self.inner.kind()
    }

    fn special_paths(&self) -> Arc<SpecialPaths> {
        self.inner.special_paths()
    }

    fn initialize(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async {
            self.storage.put(Entry::new("made-at-start", "x")).await?;
            let fails = self.switches.fail_initialization.load(Ordering::SeqCst);
            match self.name == "uninitializable" || fails {
                true => Err(Error::internal("the test says that it cannot be initialized")),
                false => Ok(()),
            }
        })
    }

    fn handle(
        &self,
        request: boltwork_logical::Request,
    ) -> BoxFuture<'_, Result<Option<boltwork_logical::Reply>, Failure>> {
        self.switches.requests.fetch_add(1, Ordering::SeqCst);
        match self.name.as_str() {
            "panics" => Box::pin(async { panic!("as the test wants it") }),
            "hangs" => Box::pin(std::future::pending()),
            _ => self.inner.handle(request),
        }
    }

    fn exists<'a>(
        &'a self,
        request: &'a boltwork_logical::Request,
    ) -> BoxFuture<'a, Result<boltwork_logical::Existence, Error>> {
        self.switches.requests.fetch_add(1, Ordering::SeqCst);
        self.inner.exists(request)
    }

    fn cleanup(&self) -> BoxFuture<'_, ()> {
        self.switches.alive.fetch_sub(1, Ordering::SeqCst);
        self.inner.cleanup()
    }
}

/// Keeps what it is given.
struct Good {
    switches: Arc<Switches>,
}

#[derive(Deserialize, JsonSchema)]
struct Place {
    #[serde(default)]
    path: String,
}

impl Engine for Good {
    fn routes() -> Routes<Self> {
        Routes::new([
            path("creds").read(Self::creds),
            path("echo").any_input().read(Self::echo).list(Self::echo),
            path("wrap").write(Self::wrap),
            path("password/{policy}").read(Self::password),
            path("caller").read(Self::caller),
            path("secret").sudo().read(Self::echo),
            path("at/{path...}")
                .any_input()
                .read(Self::read)
                .write(Self::write)
                .delete(Self::delete)
                .exists(Self::exists),
        ])
        .revoke("user", Self::revoke)
        .renew("user", Self::renew)
    }
}

#[derive(Deserialize, JsonSchema)]
struct Made {
    policy: String,
}

#[derive(Deserialize, JsonSchema)]
struct Wish {
    #[serde(default)]
    ttl: boltwork_framework::Ttl,
}

#[derive(Deserialize, serde::Serialize, JsonSchema)]
struct User {
    user: String,
}

impl Good {
    async fn password(&self, req: Request<Made>) -> Result<Reply> {
        let password = req.system.generate_password(&req.fields.policy).await?;
        Ok(Reply::data(BTreeMap::from([("password", password)])))
    }

    /// What the server says of whoever asks.
    async fn caller(&self, req: Request) -> Result<Reply> {
        let id = req.caller().entity_id.to_string();
        let entity = req.system.entity_info(&id).await?;
        let groups = req.system.groups_for_entity(&id).await?;
        let alias = |a: Alias| format!("{}:{}", a.mount_type, a.name);
        Ok(Reply::data(serde_json::json!({
            "entity_id": id,
            "name": entity.as_ref().map(|e| e.name.clone()),
            "aliases": entity.map(|e| e.aliases.into_iter().map(alias).collect::<Vec<_>>()),
            "groups": groups.into_iter().map(|g| g.name).collect::<Vec<_>>(),
        })))
    }

    async fn creds(&self, req: Request<Wish>) -> Result<Reply> {
        if self.switches.hold_credentials.load(Ordering::SeqCst) {
            let go = self.switches.go.notified();
            self.switches.waiting.fetch_add(1, Ordering::SeqCst);
            go.await;
        }
        let user = format!("user-{:08x}", rand::random::<u32>());
        self.switches.users.lock().insert(user.clone());
        Ok(Reply::data(BTreeMap::from([("user", &user)])).leased(
            "user",
            req.fields.ttl,
            User { user: user.clone() },
        ))
    }

    async fn revoke(&self, req: Request<User>) -> Result<Reply> {
        if self.switches.unrecoverable.load(Ordering::SeqCst) {
            return Err(Error::Unrecoverable);
        }
        if self.switches.fail_revocation.load(Ordering::SeqCst) {
            return Err(Error::internal("the test says that it cannot be revoked"));
        }
        self.switches.users.lock().remove(&req.fields.user);
        Ok(Reply::empty())
    }

    async fn renew(&self, req: Request<User>) -> Result<Reply> {
        let increment = req.secret().map_or(Duration::ZERO, |s| s.lease.increment);
        Ok(Reply::renewed(&req).ttl(increment))
    }

    async fn echo(&self, req: Request) -> Result<Reply> {
        Ok(Reply::text_of(match req.data().is_null() {
            true => Data::parse(b"{\"nothing\":true}".to_vec())?,
            false => req.data().clone(),
        }))
    }

    async fn wrap(&self, req: Request) -> Result<Reply> {
        let data = Data::parse(br#"{"inner":"value"}"#.to_vec())?;
        let info = req.system.wrap_data(data, Duration::from_secs(60)).await?;
        *self.switches.wrapped.lock() = Some(info.token.expose().to_owned());
        Ok(Reply::empty())
    }

    async fn exists(&self, req: Request<Place>) -> Result<bool> {
        Ok(req.storage.get(&req.fields.path).await?.is_some())
    }

    async fn read(&self, req: Request<Place>) -> Result<Reply> {
        Ok(match req.storage.get(&req.fields.path).await? {
            Some(entry) => Reply::text_of(Data::parse(entry.value.to_vec())?),
            None => Reply::not_found(),
        })
    }

    async fn write(&self, req: Request<Place>) -> Result<Reply> {
        let data = req.data().as_bytes().to_vec();
        req.storage.put(Entry::new(req.fields.path.clone(), data)).await?;
        Ok(Reply::data(BTreeMap::from([("operation", req.operation().as_str())])))
    }

    async fn delete(&self, req: Request<Place>) -> Result<Reply> {
        req.storage.delete(&req.fields.path).await?;
        Ok(Reply::empty())
    }
}

/// Lets everybody in; `login-and-error` does so with an error beside it.
struct Login {
    switches: Arc<Switches>,
}

#[derive(Deserialize, JsonSchema)]
struct Who {
    #[serde(default)]
    policies: Vec<String>,
    #[serde(default)]
    bound_cidrs: Vec<String>,
    #[serde(default)]
    num_uses: i64,
    #[serde(default)]
    batch: bool,
    /// Who logs in; nobody in particular if empty.
    #[serde(default)]
    name: String,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[serde(default)]
    groups: Vec<String>,
}

/// What the login remembers of itself.
#[derive(Deserialize, JsonSchema)]
struct Remembered {
    who: String,
}

impl Engine for Login {
    fn routes() -> Routes<Self> {
        Routes::new([
            path("login").login(Self::login),
            path("login-and-error").login(Self::login_and_error),
            path("not-a-login").write(Self::login),
        ])
        .renew_login(Self::renew)
    }
}

impl Login {
    async fn login(&self, req: Request<Who>) -> Result<Reply> {
        let mut auth = auth(req.fields.policies);
        auth.token.bound_cidrs = req.fields.bound_cidrs;
        auth.token.num_uses = req.fields.num_uses;
        auth.internal = Data::parse(br#"{"who":"alice"}"#.to_vec())?;
        // The accessor is a lie, which the core must not believe.
        let alias = |name: &String| Alias {
            name: name.clone(),
            mount_accessor: "auth_somebody_else".into(),
            ..Alias::default()
        };
        auth.group_aliases = req.fields.groups.iter().map(alias).collect();
        if !req.fields.name.is_empty() {
            auth.alias = Some(Alias { metadata: req.fields.metadata, ..alias(&req.fields.name) });
        }
        if req.fields.batch {
            auth.token.token_type = TokenType::Batch;
        }
        Ok(Reply::auth(auth))
    }

    /// Alice may go on for 100 seconds, unless the test says that she is gone.
    async fn renew(&self, req: Request<Remembered>) -> Result<Reply> {
        if req.fields.who != "alice" || self.switches.fail_revocation.load(Ordering::SeqCst) {
            return Err(Error::invalid("alice is gone"));
        }
        let mut auth = req.auth().cloned().ok_or_else(|| Error::internal("no auth"))?;
        auth.lease.ttl = Duration::from_secs(100);
        if let Some(groups) = &*self.switches.groups.lock() {
            let alias = |name: &String| Alias { name: name.clone(), ..Alias::default() };
            auth.group_aliases = groups.iter().map(alias).collect();
        }
        Ok(Reply::auth(auth))
    }

    async fn login_and_error(&self, _: Request<Who>) -> Result<Reply> {
        Ok(Reply::from(boltwork_logical::Reply {
            auth: Some(Box::new(auth(vec!["default".into()]))),
            data: Data::parse(br#"{"error":"no"}"#.to_vec())?,
            ..boltwork_logical::Reply::default()
        }))
    }
}

fn auth(policies: Vec<String>) -> Auth {
    Auth {
        policies,
        display_name: "alice".into(),
        lease: Lease { renewable: true, ..Lease::default() },
        token: TokenWish::default(),
        ..Auth::default()
    }
}

impl Plugins for TestPlugins {
    fn open(
        &self,
        _: Arc<dyn Storage>,
        server: Arc<dyn PluginServer>,
    ) -> BoxFuture<'_, Result<(), Error>> {
        *self.server.lock() = Some(server);
        Box::pin(async { Ok(()) })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    fn register(&self, _: Registration) -> BoxFuture<'_, Result<Vec<String>, Error>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn deregister<'a>(&'a self, _: &'a PluginId) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }

    fn get<'a>(&'a self, id: &'a PluginId) -> BoxFuture<'a, Result<Option<PluginEntry>, Error>> {
        Box::pin(async { Ok(Some(entry(&id.name))) })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<PluginEntry>, Error>> {
        Box::pin(async { Ok(["broken", "good"].into_iter().map(entry).collect()) })
    }

    fn pins(&self) -> BoxFuture<'_, Result<Vec<PluginId>, Error>> {
        let id = |((kind, name), version): (&(PluginKind, String), &String)| PluginId {
            kind: *kind,
            name: name.clone(),
            version: version.clone(),
        };
        Box::pin(async move { Ok(self.pins.lock().iter().map(id).collect()) })
    }

    fn pinned<'a>(
        &'a self,
        kind: PluginKind,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<PluginId>, Error>> {
        let pins = self.pins.lock();
        let version = pins.get(&(kind, name.to_owned())).cloned();
        let pin = version.map(|version| PluginId { kind, name: name.to_owned(), version });
        Box::pin(async { Ok(pin) })
    }

    fn pin<'a>(&'a self, id: &'a PluginId) -> BoxFuture<'a, Result<(), Error>> {
        self.pins.lock().insert((id.kind, id.name.clone()), id.version.clone());
        Box::pin(async { Ok(()) })
    }

    fn unpin<'a>(&'a self, kind: PluginKind, name: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        self.pins.lock().remove(&(kind, name.to_owned()));
        Box::pin(async { Ok(()) })
    }

    fn select_version<'a>(
        &'a self,
        _: PluginKind,
        _: &'a str,
        _: &'a str,
    ) -> BoxFuture<'a, Result<String, Error>> {
        Box::pin(async { Ok(String::new()) })
    }

    fn create<'a>(
        &'a self,
        id: &'a PluginId,
        setup: Setup,
    ) -> BoxFuture<'a, Result<Running, Error>> {
        Box::pin(self.make(id, setup))
    }

    fn open_database<'a>(
        &'a self,
        id: &'a PluginId,
        _: &'a str,
    ) -> BoxFuture<'a, Result<OpenedDatabase, Error>> {
        Box::pin(async move { Err(Error::invalid(format!("no database named {}", id.name))) })
    }

    fn reload_databases<'a>(&'a self, _: &'a str) -> BoxFuture<'a, usize> {
        Box::pin(async { 0 })
    }

    fn retire<'a>(&'a self, _: &'a PluginId) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn status(&self) -> BoxFuture<'_, Vec<PluginStatus>> {
        Box::pin(async { Vec::new() })
    }
}

fn entry(name: &str) -> PluginEntry {
    PluginEntry {
        id: PluginId { kind: PluginKind::Secret, name: name.to_owned(), version: String::new() },
        command: String::new(),
        args: Vec::new(),
        env: Vec::new(),
        sha256: Vec::new(),
        builtin: true,
        declarative: false,
        deprecation: None,
    }
}

/// Words of operations, for comparing.
pub fn word(operation: Operation) -> &'static str {
    operation.as_str()
}
