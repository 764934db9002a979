//! Database plugins: a Go one that nobody here wrote the library of, in each form of the protocol,
//! and a built-in one; what they do, and what they do wrong.
#![allow(clippy::unwrap_used)]

mod support;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use boltwork_logical::{
    BoxFuture, Credential, Data, Database, DatabaseError, DatabaseFactory, MadeUser, NewUser,
    OpenedDatabase, PluginId, PluginKind, Plugins, Registration, UserChange,
};
use boltwork_plugin_host::{Builtin, Compiled};
use serde_json::{Value, json};
use support::{Server, eventually, is_alive, kill9, tool, wait_for};

const VERSION: &str = "TESTING_MOCK_VAULT_PLUGIN_VERSION";
const POINT: &str = "database/";

fn database(name: &str, version: &str) -> PluginId {
    PluginId { kind: PluginKind::Database, name: name.into(), version: version.into() }
}

/// A registration of the Go plugin; none if it is not there.
fn mock(server: &Server, serve: &str) -> Option<Registration> {
    let mut registration = server.install(&tool("mock-database")?, "mock");
    registration.kind = "database".into();
    registration.args = vec![format!("-serve={serve}")];
    Some(registration)
}

async fn started(serve: &str) -> Option<Server> {
    let server = Server::new().await;
    let registration = mock(&server, serve)?;
    let warnings = server.host.register(registration).await.unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    Some(server)
}

async fn open(server: &Server) -> OpenedDatabase {
    server.host.open_database(&database("mock", ""), POINT).await.unwrap()
}

/// An open connection with this configuration.
async fn configured(server: &Server, config: Value) -> Arc<dyn Database> {
    let database = open(server).await.database;
    database.initialize(Data::json(&config), true).await.unwrap();
    database
}

fn user(role: &str) -> NewUser {
    NewUser {
        display_name: "token".into(),
        role_name: role.into(),
        credential: Credential::Password("pass".into()),
        expiration: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000)),
        statements: vec!["one".into(), "two".into()],
        rollback_statements: Vec::new(),
        renew_statements: Vec::new(),
        revocation_statements: Vec::new(),
    }
}

fn failed<T>(answer: Result<T, DatabaseError>) -> String {
    match answer {
        Err(DatabaseError::Failed(text)) => text,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it did not fail"),
    }
}

fn is_shutdown<T>(answer: Result<T, DatabaseError>) -> bool {
    matches!(answer, Err(DatabaseError::Shutdown))
}

/// The process ids that the status shows, with their mounts.
async fn processes(server: &Server) -> Vec<(u32, Vec<String>)> {
    let status = server.host.status().await;
    status.into_iter().map(|process| (process.pid, process.mounts)).collect()
}

async fn a_life(serve: &str) {
    let Some(server) = started(serve).await else { return };
    server.expect_nothing_left().await;
    let file = server.folder.join("users");
    let users = || std::fs::read_to_string(&file).unwrap_or_default();
    let opened = open(&server).await;
    assert!(!opened.builtin && opened.running_version.is_empty() && opened.sha256.len() == 64);
    let database = opened.database;
    assert_eq!(database.kind().await.unwrap(), "mock");

    let config = json!({"file": file, "port": 5432, "deep": {"ports": [1, 2.5]}});
    let kept = database.initialize(Data::json(&config), true).await.unwrap().fields().unwrap();
    assert_eq!(kept["seen_port"], "int64 5432", "an integer, to Go as well");
    assert_eq!((&kept["port"], &kept["deep"]), (&json!(5432), &config["deep"]));
    assert_eq!(kept["verified"], true);
    let types = json!(["password", "rsa_private_key", "client_certificate"]);
    assert_eq!(kept["supported_credential_types"], types);

    let made = database.new_user(user("reader")).await.unwrap();
    assert_eq!(made.username, "mock-token-reader-1");
    assert!(made.password.is_none(), "it has the one that it was given");
    assert_eq!(users(), "mock-token-reader-1 password=pass 2096-10-02T07:06:40Z one;two\n");
    for credential in [Credential::PublicKey(vec![1; 9]), Credential::Subject("CN=x".into())] {
        let expiration = None;
        database.new_user(NewUser { credential, expiration, ..user("key") }).await.unwrap();
    }
    assert!(users().contains("key=9 never") && users().contains("subject=CN=x never"));

    let username = made.username;
    let change = UserChange {
        username: username.clone(),
        credential: Some((Credential::Password("new".into()), vec!["set".into()])),
        expiration: Some((SystemTime::UNIX_EPOCH, vec!["until".into()])),
        ..UserChange::default()
    };
    database.update_user(change).await.unwrap();
    let line = "mock-token-reader-1 password=new set 1970-01-01T00:00:00Z until\n";
    assert!(users().contains(line), "{}", users());
    database.delete_user(&username, &["drop".into()]).await.unwrap();
    database.delete_user(&username, &[]).await.unwrap();
    assert!(!users().contains(&username));

    assert!(database.is_current());
    database.close().await;
    assert!(!database.is_current());
    assert!(is_shutdown(database.new_user(user("reader")).await));
    database.close().await;
    server.expect_nothing_left().await;
    assert!(processes(&server).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_multiplexed_go_database_lives_from_opening_to_closing() {
    a_life("mux").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_go_database_lives_from_opening_to_closing() {
    a_life("plain").await;
}

async fn sharing(serve: &str, wanted: usize) {
    let Some(server) = started(serve).await else { return };
    let connections = [
        configured(&server, json!({})).await,
        configured(&server, json!({})).await,
        configured(&server, json!({})).await,
    ];
    let running = processes(&server).await;
    assert_eq!(running.len(), wanted, "{running:?}");
    assert!(running.iter().all(|(_, mounts)| mounts == &[POINT]), "{running:?}");
    for connection in &connections {
        let made = connection.new_user(user("reader")).await.unwrap();
        assert_eq!(made.username, "mock-token-reader-1", "each has a database of its own");
    }
    connections[0].close().await;
    for connection in &connections[1..] {
        assert!(connection.new_user(user("reader")).await.is_ok(), "the others go on");
        connection.close().await;
    }
    server.expect_nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_share_a_process_that_multiplexes() {
    sharing("mux", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_a_plain_plugin_have_processes_of_their_own() {
    sharing("plain", 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_a_plugin_read_as_they_do_elsewhere() {
    let Some(server) = started("mux").await else { return };
    let connection = open(&server).await.database;
    let config = |action: &str| Data::json(&json!({ "do": action }));
    assert_eq!(
        failed(connection.initialize(config("fail"), true).await),
        "unable to initialize: rpc error: code = Internal desc = failed to initialize: the mock \
         was told to fail"
    );
    connection.initialize(config(""), false).await.unwrap();
    assert_eq!(
        failed(connection.new_user(user("fail")).await),
        "unable to create new user: rpc error: code = Internal desc = unable to create new user: \
         the mock was told to fail"
    );
    let nameless = failed(connection.new_user(user("nameless")).await);
    assert_eq!(nameless, "unable to create new user: the plugin named no user");
    let expiration = Some((SystemTime::now(), Vec::new()));
    let change = UserChange { username: "fail".into(), expiration, ..UserChange::default() };
    let text = failed(connection.update_user(change).await);
    assert!(text.starts_with("unable to update user: rpc error: code = Internal"), "{text}");
    let text = failed(connection.delete_user("fail", &[]).await);
    assert!(text.starts_with("unable to delete user: rpc error: code = Internal"), "{text}");

    let invalid = |error| matches!(error, Err(DatabaseError::Invalid(_)));
    let nobody = NewUser { credential: Credential::Password("".into()), ..user("reader") };
    assert!(invalid(connection.new_user(nobody).await.map(drop)));
    assert!(invalid(connection.update_user(UserChange::default()).await));
    assert!(invalid(connection.delete_user("", &[]).await));
    assert!(connection.new_user(user("reader")).await.is_ok(), "after all of that it works");
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_in_an_answer_is_a_failure_of_that_call() {
    let Some(server) = started("mux").await else { return };
    let connection = open(&server).await.database;
    let nonsense = Data::json(&json!({"do": "nonsense"}));
    assert_eq!(
        failed(connection.initialize(nonsense, true).await),
        "unable to initialize: malformed message: config_data: a number is not finite"
    );
    connection.initialize(Data::json(&json!({})), true).await.unwrap();
    let huge = failed(connection.new_user(user("huge")).await);
    assert!(huge.starts_with("unable to create new user: rpc error: code = OutOfRange"), "{huge}");
    assert!(connection.new_user(user("reader")).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_in_a_call_ends_its_connections_and_no_more() {
    let Some(server) = started("mux").await else { return };
    for role in ["die", "panic"] {
        let (dies, other) =
            (configured(&server, json!({})).await, configured(&server, json!({})).await);
        assert!(is_shutdown(dies.new_user(user(role)).await));
        assert!(!dies.is_current() && !other.is_current(), "they shared the process");
        assert!(is_shutdown(other.new_user(user("reader")).await));
        let status = server.host.status().await;
        assert!(status.iter().all(|process| process.last_exit.starts_with("exited")), "{status:?}");

        let next = configured(&server, json!({})).await;
        assert!(next.new_user(user("reader")).await.is_ok());
        for connection in [dies, other, next] {
            connection.close().await;
        }
        server.expect_nothing_left().await;
    }
    let dies = open(&server).await.database;
    assert!(is_shutdown(dies.initialize(Data::json(&json!({"do": "die"})), true).await));
    drop(dies);
    server.expect_nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_is_noticed_before_the_next_call() {
    let Some(server) = started("plain").await else { return };
    let connection = configured(&server, json!({})).await;
    let (pid, _) = processes(&server).await.remove(0);
    kill9(pid);
    wait_for("it is noticed", || !connection.is_current()).await;
    wait_for("it is reaped", || !is_alive(pid)).await;
    drop(connection);
    server.expect_nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_hangs_holds_up_nobody_who_closes_it() {
    let Some(server) = started("plain").await else { return };
    for hung in ["initialize", "new user"] {
        let connection = open(&server).await.database;
        let ready = configured(&server, json!({})).await;
        let mut call: std::pin::Pin<Box<dyn Future<Output = bool> + Send>> = match hung {
            "initialize" => {
                let (hangs, config) = (connection.clone(), Data::json(&json!({"do": "hang"})));
                Box::pin(async move { is_shutdown(hangs.initialize(config, true).await) })
            }
            _ => {
                let hangs = ready.clone();
                Box::pin(async move { is_shutdown(hangs.new_user(user("hang")).await) })
            }
        };
        let early = tokio::time::timeout(Duration::from_millis(300), &mut call).await;
        assert!(early.is_err(), "it hangs");
        let begun = std::time::Instant::now();
        tokio::join!(connection.close(), ready.close());
        assert!(begun.elapsed() < Duration::from_secs(10), "{hung}: {:?}", begun.elapsed());
        assert!(call.await, "{hung}: who waited for it hears of the end");
        server.expect_nothing_left().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_hangs_while_it_closes_is_ended() {
    let Some(server) = started("mux").await else { return };
    let connection = configured(&server, json!({})).await;
    let change = UserChange {
        username: "hang-on-close".into(),
        expiration: Some((SystemTime::now(), Vec::new())),
        ..UserChange::default()
    };
    connection.update_user(change).await.unwrap();
    let begun = std::time::Instant::now();
    connection.close().await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    server.expect_nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_dropped_leaves_nothing() {
    let Some(server) = started("mux").await else { return };
    for _ in 0..5 {
        let connection = configured(&server, json!({})).await;
        let calling = connection.clone();
        {
            let mut call = pin!(calling.new_user(user("hang")));
            assert!(tokio::time::timeout(Duration::from_millis(50), &mut call).await.is_err());
        }
        drop((connection, calling));
        server.expect_nothing_left().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_takes_connections_out_of_use_and_lets_their_calls_end() {
    let Some(server) = started("mux").await else { return };
    assert_eq!(server.host.reload_databases("mock").await, 0, "there is none yet");
    let [one, two] = [configured(&server, json!({})).await, configured(&server, json!({})).await];
    let (before, _) = processes(&server).await.remove(0);
    assert_eq!(server.host.reload_databases("another").await, 0);
    assert!(one.is_current() && two.is_current());
    assert_eq!(server.host.reload_databases("mock").await, 2);
    assert!(!one.is_current() && !two.is_current());
    let new = configured(&server, json!({})).await;
    assert!(new.is_current());
    let (after, _) = processes(&server).await.remove(0);
    assert_ne!(before, after, "in a process of its own");
    assert!(one.new_user(user("reader")).await.is_ok(), "whoever had taken it before is served");
    wait_for("the old process is gone", || !is_alive(before)).await;
    assert!(is_shutdown(one.new_user(user("reader")).await));
    assert_eq!(server.host.reload_databases("mock").await, 1, "only those in use count");
    server.expect_nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sealing_ends_every_connection() {
    let Some(server) = started("mux").await else { return };
    let connection = configured(&server, json!({})).await;
    let hangs = connection.clone();
    let call = tokio::spawn(async move { is_shutdown(hangs.new_user(user("hang")).await) });
    // The configuration and the user.
    eventually("it is called", async || server.host.status().await[0].requests == 2).await;
    server.host.close().await;
    assert!(call.await.unwrap());
    assert!(!connection.is_current());
    server.expect_nothing_left().await;
    let sealed = server.host.open_database(&database("mock", ""), POINT).await;
    assert_eq!(sealed.err(), Some(boltwork_logical::Error::Sealed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_decides_which_version_runs() {
    let server = Server::new().await;
    let Some(registration) = mock(&server, "mux") else { return };
    for version in ["v1.0.0", "v2.0.0"] {
        let env = vec![format!("{VERSION}={version}")];
        server.host.register(Registration { env, ..registration.clone() }).await.unwrap();
    }
    let select =
        |wanted: &'static str| server.host.select_version(PluginKind::Database, "mock", wanted);
    assert_eq!(select("").await.unwrap(), "v2.0.0", "the highest");
    assert_eq!(select("1.0.0").await.unwrap(), "v1.0.0");
    let missing = select("3.0.0").await.unwrap_err().to_string();
    assert_eq!(missing, "plugin not found in the catalog: mock, version=v3.0.0");

    let running = async |version: &str| {
        let opened = server.host.open_database(&database("mock", version), POINT).await.unwrap();
        opened.database.close().await;
        opened.running_version
    };
    assert_eq!(running("v2.0.0").await, "v2.0.0");
    server.host.pin(&database("mock", "v1.0.0")).await.unwrap();
    assert_eq!(running("v2.0.0").await, "v1.0.0");
    assert_eq!(select("").await.unwrap(), "v1.0.0");
    assert_eq!(select("1.0.0").await.unwrap(), "v1.0.0");
    assert_eq!(
        select("2.0.0").await.unwrap_err().to_string(),
        "cannot specify plugin_version for plugin \"mock\" as it is pinned (v1.0.0)"
    );
    server.host.unpin(PluginKind::Database, "mock").await.unwrap();
    assert_eq!(running("v2.0.0").await, "v2.0.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_database_plugin_is_not_opened() {
    let Some(program) = tool("mock-plugin") else { return };
    let server = Server::new().await;
    let registration = server.install(&program, "mock");
    let registration = Registration { kind: "database".into(), ..registration };
    let refused = server.host.register(registration).await.unwrap_err().to_string();
    assert!(refused.contains("was not registered, because it cannot run"), "{refused}");
    let missing = server.host.open_database(&database("absent", "v1.0.0"), POINT).await;
    assert_eq!(
        missing.err().unwrap().to_string(),
        "plugin not found in the catalog: absent, version=v1.0.0"
    );
    server.expect_nothing_left().await;
}

/// Compiled in; does what the role says.
struct BuiltIn;

impl DatabaseFactory for BuiltIn {
    fn create(&self) -> Result<Arc<dyn Database>, DatabaseError> {
        Ok(Arc::new(Self))
    }
}

impl Database for BuiltIn {
    fn initialize(&self, config: Data, _: bool) -> BoxFuture<'_, Result<Data, DatabaseError>> {
        Box::pin(async { Ok(config) })
    }
    fn new_user(&self, user: NewUser) -> BoxFuture<'_, Result<MadeUser, DatabaseError>> {
        Box::pin(async move {
            assert!(user.role_name != "panic");
            Ok(MadeUser { username: user.role_name, password: None })
        })
    }
    fn update_user(&self, _: UserChange) -> BoxFuture<'_, Result<(), DatabaseError>> {
        Box::pin(async { Ok(()) })
    }
    fn delete_user<'a>(
        &'a self,
        _: &'a str,
        _: &'a [String],
    ) -> BoxFuture<'a, Result<(), DatabaseError>> {
        Box::pin(async { Ok(()) })
    }
    fn kind(&self) -> BoxFuture<'_, Result<String, DatabaseError>> {
        Box::pin(async { Ok("built in".to_owned()) })
    }
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { panic!("on purpose") })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_built_in_database_is_opened_reloaded_and_may_panic() {
    const BUILTIN: &str = "v0.1.0+builtin.boltwork";
    let server = Server::with(|config| {
        config.builtins = vec![Builtin {
            kind: PluginKind::Database,
            name: "mock".into(),
            version: BUILTIN.into(),
            factory: Compiled::Database(Arc::new(BuiltIn)),
            deprecation: "supported",
        }];
    })
    .await;
    let opened = open(&server).await;
    assert!(opened.builtin && opened.sha256.is_empty());
    assert_eq!(opened.running_version, BUILTIN);
    let connection = opened.database;
    assert_eq!(
        failed(connection.new_user(user("panic")).await),
        "the database plugin \"mock\" panicked"
    );
    assert_eq!(connection.new_user(user("reader")).await.unwrap().username, "reader");
    assert!(processes(&server).await.is_empty(), "it has no process");
    assert_eq!(server.host.reload_databases("mock").await, 1);
    assert!(!connection.is_current());
    let next = open(&server).await.database;
    assert!(next.is_current());
    next.close().await;
    assert!(is_shutdown(next.new_user(user("reader")).await));

    // An external one of the same name is the one that counts.
    let Some(registration) = mock(&server, "mux") else { return };
    server.host.register(registration).await.unwrap();
    assert!(!open(&server).await.builtin);
}
