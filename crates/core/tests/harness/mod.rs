//! A core over memory, with plugins that behave or misbehave as a test says.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod plugins;

use std::{net::IpAddr, sync::Arc, time::Duration};

use boltwork_barrier::Barrier;
use boltwork_core::{Core, CoreConfig, Inbound, InitRequest, Outcome, ServerVersion};
use boltwork_logical::{
    Connection, Data, Error, Failure, Operation, Reply, SecretText, WrapRequest,
};
use boltwork_storage::{FaultInjector, Memory};
use serde_json::{Map, Value};

pub use plugins::TestPlugins;

/// A server and everything around it that a test may touch.
pub struct Server {
    pub core: Arc<Core>,
    pub barrier: Barrier,
    pub plugins: Arc<TestPlugins>,
    pub storage: Arc<FaultInjector>,
    pub share: Vec<u8>,
    pub root: String,
}

pub fn config() -> CoreConfig {
    CoreConfig {
        default_lease_ttl: Duration::from_secs(3600),
        max_lease_ttl: Duration::from_secs(7200),
        cluster_name: "test".into(),
        mlock: false,
        api_addr: String::new(),
        version: ServerVersion {
            shown: "1.2.3+boltwork".into(),
            plugin: "1.2.3".into(),
            build_date: String::new(),
        },
    }
}

impl Server {
    /// Unsealed, with nothing mounted but the core's own.
    pub async fn start() -> Self {
        Self::start_with(config()).await
    }

    /// The same with settings.
    pub async fn start_with(config: CoreConfig) -> Self {
        let storage = Arc::new(FaultInjector::new(Arc::new(Memory::new())));
        let plugins = Arc::new(TestPlugins::default());
        let barrier = Barrier::new(storage.clone());
        let core = Core::new(config, barrier.clone(), plugins.clone());
        let request = InitRequest { secret_shares: 1, secret_threshold: 1, root_token: None };
        let made = core.initialize(request).await.expect("initialize");
        let share = made.shares[0].to_vec();
        core.unseal(&share).await.expect("unseal");
        let root = made.root_token.expose().to_owned();
        Self { core, barrier, plugins, storage, share, root }
    }

    /// Unsealed, with the test engine at `kv/`.
    pub async fn with_engine() -> Self {
        let server = Self::start().await;
        server.enable("kv", "good").await.expect("enable");
        server
    }

    /// Seals, waits for the end of everything, and unseals.
    pub async fn restart(&self) {
        self.core.shut_down().await;
        self.core.unseal(&self.share).await.expect("unseal");
    }

    /// Another server on the same storage, when this one can write no more: as after a crash. What
    /// plugins have made elsewhere is still there.
    pub async fn start_anew(self) -> Self {
        self.storage.fail_writes_from(1);
        self.core.shut_down().await;
        self.storage.lift();
        let plugins = Arc::new(TestPlugins {
            switches: Arc::clone(&self.plugins.switches),
            ..TestPlugins::default()
        });
        let barrier = Barrier::new(self.storage.clone());
        let core = Core::new(config(), barrier.clone(), plugins.clone());
        core.unseal(&self.share).await.expect("unseal");
        Self { core, barrier, plugins, ..self }
    }

    pub async fn enable(&self, path: &str, kind: &str) -> Result<Option<Reply>, Failure> {
        let body = serde_json::json!({ "type": kind });
        self.root(Operation::Update, &format!("sys/mounts/{path}"), body).await
    }

    pub async fn root(
        &self,
        operation: Operation,
        path: &str,
        body: Value,
    ) -> Result<Option<Reply>, Failure> {
        self.by(&self.root.clone(), operation, path, body).await
    }

    pub async fn by(
        &self,
        token: &str,
        operation: Operation,
        path: &str,
        body: Value,
    ) -> Result<Option<Reply>, Failure> {
        self.core.handle(request(token, operation, path, body)).await.result
    }

    pub async fn send(&self, inbound: Inbound) -> Outcome {
        self.core.handle(inbound).await
    }

    pub async fn read(&self, token: &str, path: &str) -> Result<Option<Reply>, Failure> {
        self.by(token, Operation::Read, path, Value::Null).await
    }

    pub async fn write(
        &self,
        token: &str,
        path: &str,
        body: Value,
    ) -> Result<Option<Reply>, Failure> {
        self.by(token, Operation::Update, path, body).await
    }

    /// A child of root with these fields in its wish.
    pub async fn token(&self, wish: Value) -> String {
        self.token_by(&self.root.clone(), wish).await
    }

    pub async fn token_by(&self, parent: &str, wish: Value) -> String {
        let reply = self.write(parent, "auth/token/create", wish).await;
        let auth = reply.expect("create").expect("a reply").auth.expect("a token");
        auth.client_token.expose().to_owned()
    }

    pub async fn policy(&self, name: &str, text: &str) {
        let body = serde_json::json!({ "policy": text });
        self.root(Operation::Update, &format!("sys/policies/acl/{name}"), body)
            .await
            .expect("policy");
    }

    /// Whether a token is good for anything.
    pub async fn is_good(&self, token: &str) -> bool {
        self.read(token, "auth/token/lookup-self").await.is_ok()
    }

    /// What `sys/mounts` says of a mount; `None` if it is not there.
    pub async fn mount(&self, path: &str) -> Option<Value> {
        let reply = self.root(Operation::Read, "sys/mounts", Value::Null).await;
        fields(reply).remove(path)
    }
}

pub fn request(token: &str, operation: Operation, path: &str, body: Value) -> Inbound {
    Inbound {
        id: "the-request".into(),
        operation,
        path: path.to_owned(),
        token: SecretText::new(token),
        data: Data::json(&body),
        headers: Default::default(),
        connection: Some(Arc::new(Connection {
            remote_addr: IpAddr::from([127, 0, 0, 1]).to_string(),
            remote_port: 1234,
            tls: None,
        })),
        wrap: None,
        policy_override: false,
    }
}

pub fn wrapped(mut inbound: Inbound, seconds: u64) -> Inbound {
    inbound.wrap = Some(WrapRequest { ttl: Duration::from_secs(seconds), format: String::new() });
    inbound
}

/// The fields of a reply that there must be.
pub fn fields(result: Result<Option<Reply>, Failure>) -> Map<String, Value> {
    let reply = result.expect("success").expect("a reply");
    assert_eq!(reply.error_text(), None, "an error response");
    reply.data.fields().expect("fields")
}

/// The text of a failure that there must be, an error response included.
pub fn refusal(result: Result<Option<Reply>, Failure>) -> String {
    match result {
        Err(failure) => failure.error.to_string(),
        Ok(Some(reply)) => reply.error_text().expect("an error"),
        Ok(None) => panic!("no reply, and no error"),
    }
}

pub fn is_plain_denial(result: &Result<Option<Reply>, Failure>) -> bool {
    matches!(result, Err(Failure { error: Error::Denied, .. }))
}

/// Waits until something is so; fails the test if it never is.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !is_so().await {
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
