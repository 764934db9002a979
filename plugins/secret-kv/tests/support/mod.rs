//! A mount spoken to as a client speaks to a server: paths, JSON, statuses. Where it lives, in this
//! process or behind the plugin protocol, is the tests' choice.
//!
//! What the server's other rooms would do (deciding between create and update, choosing statuses) is
//! done here in a few lines, so that the tests can be written in the API's words.

#![allow(dead_code, reason = "every test binary uses its own part")]

pub mod memory;

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use boltwork_sdk::logical::{
    Backend, Data, Error, Existence, Factory, Failure, Operation, Reply, Request, Setup, Storage,
};
use boltwork_sdk_test::{Bench, FakeSystem};
use boltwork_secret_kv::Kv;
use memory::Memory;
use serde_json::{Map, Value, json};

/// The UUID of every mount here.
pub const UUID: &str = "0b4d7c4e-6b8a-4a6e-9d0e-3f5f1c2a7b11";

/// A mount.
pub struct Mount {
    pub backend: Arc<dyn Backend>,
    storage: Arc<dyn Storage>,
}

/// A mount in this process over storage that can be looked into and made to fail.
pub struct Lab {
    mount: Mount,
    pub storage: Arc<Memory>,
}

impl std::ops::Deref for Lab {
    type Target = Mount;
    fn deref(&self) -> &Mount {
        &self.mount
    }
}

/// What a client sees.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub data: Value,
    pub warnings: Vec<String>,
    pub errors: Vec<String>,
    pub lease_duration: u64,
    pub renewable: bool,
}

impl Answer {
    fn of(status: u16) -> Self {
        let (warnings, errors) = (Vec::new(), Vec::new());
        Self { status, data: Value::Null, warnings, errors, lease_duration: 0, renewable: false }
    }

    fn refused(status: u16, text: impl Into<String>) -> Self {
        Self { errors: vec![text.into()], ..Self::of(status) }
    }

    /// The value at a path of keys below `data`, separated by `/`.
    pub fn at(&self, pointer: &str) -> &Value {
        self.data.pointer(&format!("/{pointer}")).unwrap_or(&Value::Null)
    }

    /// Expects success.
    pub fn ok(self) -> Self {
        assert!(matches!(self.status, 200 | 204), "{self:?}");
        self
    }
}

impl Lab {
    /// A fresh mount of this version.
    pub async fn new(version: &str) -> Self {
        Self::over(version, Arc::new(Memory::default())).await
    }

    /// A mount of this version over storage that may hold something.
    pub async fn over(version: &str, storage: Arc<Memory>) -> Self {
        let lab = Self::try_over(&[("version", version)], storage).await.unwrap();
        lab.backend.initialize().await.unwrap();
        lab
    }

    /// A mount that may fail, and is not initialized yet.
    pub async fn try_over(options: &[(&str, &str)], storage: Arc<Memory>) -> Result<Self, Error> {
        let config = options.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let setup = Setup {
            storage: Arc::clone(&storage) as Arc<dyn Storage>,
            system: Arc::new(server()),
            config,
            backend_uuid: UUID.to_owned(),
            mount_point: "secret/".to_owned(),
        };
        let backend = Kv::with_clock(now).create(setup).await?;
        let mount = Mount { backend, storage: Arc::clone(&storage) as Arc<dyn Storage> };
        Ok(Self { mount, storage })
    }
}

impl Mount {
    /// Fresh mounts with these options in both homes: in this process, and as a plugin behind the
    /// wire.
    pub async fn both(options: &[(&str, &str)]) -> [Self; 2] {
        let bench = Bench::of(Arc::new(Kv::with_clock(now))).system(server());
        let bench = options.iter().fold(bench, |bench, (name, value)| bench.option(name, value));
        bench.both().await.map(|mount| Self {
            backend: Arc::clone(mount.backend()),
            storage: Arc::new(mount.storage().clone()),
        })
    }

    /// A request of this mount's, to be handled as it is.
    pub fn request(&self, operation: Operation, path: &str) -> Request {
        Request::new(operation, path, Arc::clone(&self.storage))
    }

    pub async fn read(&self, path: &str) -> Answer {
        self.ask(Operation::Read, path, json!({})).await
    }

    /// A read with query parameters.
    pub async fn read_with(&self, path: &str, query: Value) -> Answer {
        self.ask(Operation::Read, path, query).await
    }

    pub async fn write(&self, path: &str, body: Value) -> Answer {
        self.ask(Operation::Update, path, body).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.ask(Operation::Patch, path, body).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.ask(Operation::Delete, path, json!({})).await
    }

    pub async fn list(&self, path: &str) -> Answer {
        self.ask(Operation::List, path, json!({})).await
    }

    /// Any operation; a write is a create if the backend says so.
    pub async fn ask(&self, operation: Operation, path: &str, body: Value) -> Answer {
        self.ask_text(operation, path, &body.to_string()).await
    }

    /// The same, with a body that is kept to the letter.
    pub async fn ask_text(&self, operation: Operation, path: &str, body: &str) -> Answer {
        let mut path = path.to_owned();
        let listed = matches!(operation, Operation::List | Operation::Scan);
        if listed && !path.is_empty() && !path.ends_with('/') {
            path.push('/');
        }
        let mut request = self.request(operation, &path);
        request.data = Data::parse(body.into()).unwrap();
        if operation == Operation::Update {
            match self.backend.exists(&request).await {
                Ok(Existence::Absent) => request.operation = Operation::Create,
                Ok(_) => {}
                Err(error) => return failed(&error),
            }
        }
        shown(operation, self.backend.handle(request).await)
    }
}

/// An outcome as HTTP would show it.
fn shown(operation: Operation, outcome: Result<Option<Reply>, Failure>) -> Answer {
    let reply = match outcome {
        Err(failure) => return failed(&failure.error),
        Ok(reply) => reply,
    };
    let reads = matches!(operation, Operation::Read | Operation::List | Operation::Scan);
    let Some(reply) = reply else { return Answer::of(if reads { 404 } else { 204 }) };
    if let Some(text) = reply.error_text() {
        return Answer::refused(400, text);
    }
    let fields = reply.data.fields().unwrap();
    if fields.contains_key("http_status_code") {
        return raw(&fields);
    }
    if operation == Operation::List && !fields.contains_key("keys") {
        return Answer::of(404);
    }
    let data = if reply.data.is_null() { Value::Null } else { Value::Object(fields) };
    let lease = reply.secret.as_ref().map(|secret| secret.lease).unwrap_or_default();
    Answer {
        data,
        warnings: reply.warnings,
        lease_duration: lease.ttl.as_secs(),
        renewable: lease.renewable,
        ..Answer::of(200)
    }
}

fn raw(fields: &Map<String, Value>) -> Answer {
    let status = fields["http_status_code"].as_u64().unwrap() as u16;
    assert_eq!(fields["http_content_type"], "application/json");
    let body = BASE64_STANDARD.decode(fields["http_raw_body"].as_str().unwrap()).unwrap();
    if body.is_empty() {
        return Answer::of(status);
    }
    let mut body: Map<String, Value> = serde_json::from_slice(&body).unwrap();
    let warnings = body["warnings"].as_array().cloned().unwrap_or_default();
    let warnings = warnings.iter().map(|text| text.as_str().unwrap().to_owned()).collect();
    Answer { data: body["data"].take(), warnings, ..Answer::of(status) }
}

fn failed(error: &Error) -> Answer {
    let status = match error {
        Error::Invalid(_) | Error::InvalidRequest => 400,
        Error::UnsupportedPath => 404,
        Error::UnsupportedOperation => 405,
        Error::Coded { status, .. } => *status,
        Error::Unavailable(_) => 503,
        _ => 500,
    };
    // What is no answer of the backend's own, the server words as a list.
    Answer::refused(status, format!("1 error occurred:\n\t* {error}\n\n"))
}

/// A server whose default lease lasts 768 hours, as that of the recordings.
fn server() -> FakeSystem {
    let ttl = Duration::from_secs(2_764_800);
    FakeSystem { default_lease_ttl: ttl, max_lease_ttl: ttl, ..FakeSystem::default() }
}

/// Seconds that the tests' clock is ahead of the system's.
static AHEAD: AtomicI64 = AtomicI64::new(0);

/// The tests' clock.
pub fn now() -> SystemTime {
    SystemTime::now() + Duration::from_secs(AHEAD.load(Ordering::SeqCst) as u64)
}

/// Lets time pass, for every mount of the test binary.
pub fn wait(seconds: i64) {
    AHEAD.fetch_add(seconds, Ordering::SeqCst);
}

/// Times and UUIDs replaced by a mark, so that answers can be compared.
pub fn masked(value: &Value) -> Value {
    match value {
        Value::Object(map) => map.iter().map(|(k, v)| (k.clone(), masked(v))).collect(),
        Value::Array(list) => list.iter().map(masked).collect(),
        Value::String(text) if is_time(text) => json!("<time>"),
        other => other.clone(),
    }
}

fn is_time(text: &str) -> bool {
    let shape: String =
        text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).take(19).collect();
    shape == "0000-00-00T00:00:00" && text.ends_with('Z')
}
