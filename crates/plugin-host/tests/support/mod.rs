//! A server for one test: a plugin folder, a catalog and mounts in memory, and the plugins that
//! were built by others. What is missing on a machine skips the test by name.
#![allow(clippy::unwrap_used, dead_code, reason = "not every test file uses everything")]

#[path = "../memory/mod.rs"]
mod memory;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use boltwork_logical::{
    Backend, BoxFuture, Data, Entry, Error, Failure, Operation, PluginEnvironment, PluginId,
    PluginKind, Plugins, Registration, Reply, Request, Running, Setup, Storage, SystemView,
    WrapInfo,
};
use boltwork_plugin_host::{PluginHost, PluginHostConfig};

pub use memory::{MemoryStorage, no_server};

/// The server as these tests' plugins see it.
pub struct System;

fn ready<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, T> {
    Box::pin(std::future::ready(value))
}

impl SystemView for System {
    fn default_lease_ttl(&self) -> BoxFuture<'_, Duration> {
        ready(Duration::from_secs(3600))
    }
    fn max_lease_ttl(&self) -> BoxFuture<'_, Duration> {
        ready(Duration::from_secs(7200))
    }
    fn plugin_environment(&self) -> BoxFuture<'_, Result<PluginEnvironment, Error>> {
        ready(Ok(PluginEnvironment { version: "1.18.3".into(), ..PluginEnvironment::default() }))
    }
    fn generate_password<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<String, Error>> {
        ready(Ok("password".into()))
    }
    fn cluster_info(&self) -> BoxFuture<'_, Result<(String, String), Error>> {
        ready(Ok(("cluster".into(), "id".into())))
    }
    fn wrap_data(&self, _: Data, ttl: Duration) -> BoxFuture<'_, Result<WrapInfo, Error>> {
        ready(Ok(WrapInfo { ttl, ..WrapInfo::default() }))
    }
}

/// A built tool, or `None` after saying that the test is skipped.
pub fn tool(name: &str) -> Option<PathBuf> {
    let tools = std::env::var_os("BOLTWORK_TOOLS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools"), PathBuf::from);
    let path = tools.join("bin").join(name);
    if path.is_file() {
        return Some(path);
    }
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    eprintln!("skipped: {test}: {} is not there; `make tools` builds it, with Go", path.display());
    None
}

/// A server without a core.
pub struct Server {
    pub host: Arc<PluginHost>,
    pub catalog: Arc<MemoryStorage>,
    pub folder: PathBuf,
}

impl Server {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut PluginHostConfig)) -> Self {
        let folder = std::env::temp_dir().join(format!("ph{:08x}", rand::random::<u32>()));
        std::fs::create_dir_all(folder.join("plugins")).unwrap();
        let folder = folder.canonicalize().unwrap();
        let mut config = PluginHostConfig::new("1.18.3", folder.join("run"));
        config.plugin_directory = Some(folder.join("plugins"));
        config.start_timeout = Duration::from_secs(20);
        change(&mut config);
        let host = PluginHost::new(config).unwrap();
        let catalog = Arc::new(MemoryStorage::default());
        host.open(catalog.clone(), no_server()).await.unwrap();
        Self { host, catalog, folder }
    }

    /// Puts a program into the plugin folder; its registration.
    pub fn install(&self, program: &Path, name: &str) -> Registration {
        let target = self.folder.join("plugins").join(name);
        // By another process: this one must not hold the file open for writing while it forks.
        let copied = std::process::Command::new("cp").args([program, &target]).status().unwrap();
        assert!(copied.success());
        self.registration(name)
    }

    /// Writes a script into the plugin folder; its registration.
    pub fn script(&self, name: &str, text: &str) -> Registration {
        use std::os::unix::fs::PermissionsExt;
        let path = self.folder.join("plugins").join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        self.registration(name)
    }

    fn registration(&self, name: &str) -> Registration {
        let bytes = std::fs::read(self.folder.join("plugins").join(name)).unwrap();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
        Registration {
            kind: "secret".into(),
            name: name.into(),
            sha256: hex::encode(digest),
            command: name.into(),
            ..Registration::default()
        }
    }

    /// Changes the checksum that is registered for a secrets engine, behind the catalog's back.
    pub async fn rewrite_checksum(&self, name: &str, version: &str, sha256: &str) {
        let key = format!("secret/{name}/{version}");
        let stored = self.catalog.get(&key).await.unwrap().unwrap();
        let mut entry: serde_json::Value = serde_json::from_slice(&stored.value).unwrap();
        let bytes = hex::decode(sha256).unwrap();
        entry["sha256"] = base64::prelude::BASE64_STANDARD.encode(bytes).into();
        self.catalog.put(Entry::new(key, entry.to_string().into_bytes())).await.unwrap();
    }

    /// Brings a backend up at a mount point, with storage of its own.
    pub async fn mount(&self, id: &PluginId, point: &str) -> Result<Mount, Error> {
        self.mount_on(id, point, Arc::new(MemoryStorage::default())).await
    }

    pub async fn mount_on(
        &self,
        id: &PluginId,
        point: &str,
        storage: Arc<MemoryStorage>,
    ) -> Result<Mount, Error> {
        let setup = Setup {
            storage: storage.clone(),
            system: Arc::new(System),
            config: BTreeMap::new(),
            backend_uuid: format!("uuid-of-{point}"),
            mount_point: point.into(),
        };
        let running = self.host.create(id, setup).await?;
        running.backend.initialize().await?;
        Ok(Mount { running, storage })
    }

    /// Process ids of the children that run from memory files or from our folders.
    pub fn children(&self) -> Vec<u32> {
        children()
    }

    /// What lies in the folders of plugin processes.
    pub fn leftovers(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for server in std::fs::read_dir(self.folder.join("run")).unwrap().flatten() {
            for entry in std::fs::read_dir(server.path()).unwrap().flatten() {
                if entry.file_name() != "lock" {
                    found.push(entry.path());
                }
            }
        }
        found
    }

    /// Wants no socket folder left, a moment after everything ended.
    pub async fn expect_nothing_left(&self) {
        wait_for("nothing is left", || self.leftovers().is_empty()).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Children of this process, zombies included.
pub fn children() -> Vec<u32> {
    let own = std::process::id().to_string();
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|it| it.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let rest = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
        rest.split_whitespace().nth(1) == Some(own.as_str())
    })
    .collect()
}

pub fn is_alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// Polls, up to twenty seconds.
pub async fn wait_for(what: &str, done: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Asks, up to twenty seconds.
pub async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let start = std::time::Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < Duration::from_secs(20), "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A mounted backend.
pub struct Mount {
    pub running: Running,
    pub storage: Arc<MemoryStorage>,
}

impl Mount {
    pub fn backend(&self) -> &dyn Backend {
        &*self.running.backend
    }

    pub fn request(&self, operation: Operation, path: &str, json: &str) -> Request {
        let mut request = Request::new(operation, path, self.storage.clone());
        request.data = Data::parse(json.as_bytes().to_vec()).unwrap();
        request
    }

    pub async fn call(
        &self,
        operation: Operation,
        path: &str,
        json: &str,
    ) -> Result<Option<Reply>, Failure> {
        self.backend().handle(self.request(operation, path, json)).await
    }

    pub async fn read(&self, path: &str) -> Result<Option<Reply>, Failure> {
        self.call(Operation::Read, path, "null").await
    }

    /// One field of what is read.
    pub async fn field(&self, path: &str, field: &str) -> serde_json::Value {
        let reply = self.read(path).await.unwrap_or_else(|error| panic!("{path}: {error}"));
        let reply = reply.unwrap_or_else(|| panic!("{path}: nothing"));
        reply.data.fields().unwrap()[field].clone()
    }

    pub async fn write(&self, path: &str, json: &str) -> Result<Option<Reply>, Failure> {
        self.call(Operation::Update, path, json).await
    }

    pub async fn pid(&self) -> u32 {
        u32::try_from(self.field("process", "pid").await.as_u64().unwrap()).unwrap()
    }
}

pub fn secret(name: &str, version: &str) -> PluginId {
    PluginId { kind: PluginKind::Secret, name: name.into(), version: version.into() }
}

pub fn kill9(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}
