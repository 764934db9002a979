//! What the tests of this package share: mounts whose clock can be moved, and words for requests.

#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses some; a test may panic")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use boltwork_auth_approle::Approle;
use boltwork_sdk::logical::{Connection, Operation};
use boltwork_sdk_test::{Answer, Bench, FakeSystem, Mount, Refused};
use serde_json::{Value, json};

/// Seconds that the tests' clock is ahead of the system's. Only ever grows, and one test at a time
/// may care: those that do not make no secret ids that end.
static AHEAD: AtomicU64 = AtomicU64::new(0);

fn now() -> SystemTime {
    SystemTime::now() + Duration::from_secs(AHEAD.load(Ordering::SeqCst))
}

/// Lets time pass, for every mount of the test binary.
pub fn wait(seconds: u64) {
    AHEAD.fetch_add(seconds, Ordering::SeqCst);
}

/// The method in both homes, under a server whose longest lease is 768 hours.
pub async fn mounts() -> [Mount; 2] {
    bench().both().await
}

pub fn bench() -> Bench {
    let max_lease_ttl = Duration::from_secs(768 * 3600);
    let system = FakeSystem { max_lease_ttl, ..FakeSystem::default() };
    Bench::new(|| Approle::with_clock(now)).system(system)
}

/// Logs in from an address.
pub async fn login_from(
    mount: &Mount,
    role_id: &str,
    secret_id: &str,
    from: &str,
) -> Result<Answer, Refused> {
    let data = json!({ "role_id": role_id, "secret_id": secret_id });
    let mut request = mount.request(Operation::Update, "login", data);
    request.caller.unauthenticated = true;
    request.connection =
        Some(Arc::new(Connection { remote_addr: from.to_owned(), ..Connection::default() }));
    mount.send(request).await
}

pub async fn login(mount: &Mount, role_id: &str, secret_id: &str) -> Result<Answer, Refused> {
    login_from(mount, role_id, secret_id, "127.0.0.1").await
}

/// Makes the role `app` with the role id `app`.
pub async fn role(mount: &Mount, mut fields: Value) {
    fields["role_id"] = json!("app");
    mount.write("role/app", fields).await.unwrap();
}

/// Makes a secret id of the role `app`; it and its accessor.
pub async fn secret(mount: &Mount, fields: Value) -> (String, String) {
    let made = mount.write("role/app/secret-id", fields).await.unwrap();
    (made.str("secret_id").to_owned(), made.str("secret_id_accessor").to_owned())
}

/// Renews what a login gave.
pub async fn renew(mount: &Mount, login: &Answer) -> Result<Answer, Refused> {
    let mut request = mount.request(Operation::Renew, "login", Value::Null);
    request.auth = Some(Box::new(login.auth().clone()));
    mount.send(request).await
}

/// Keys in storage below a prefix.
pub fn keys(mount: &Mount, prefix: &str) -> Vec<String> {
    mount.storage().keys().into_iter().filter(|key| key.starts_with(prefix)).collect()
}
