//! Connections to databases that come and go, in every way in which they can: after many of them
//! there are no more processes, descriptors and folders than after a few. Alone in its process,
//! because it counts them.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, SystemTime};

use boltwork_logical::{Credential, Data, DatabaseError, NewUser, PluginId, PluginKind, Plugins};
use serde_json::json;
use support::{Server, children, eventually, kill9, tool, wait_for};

const WAYS: usize = 7;

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn user(role: &str) -> NewUser {
    NewUser {
        display_name: "token".into(),
        role_name: role.into(),
        credential: Credential::Password("pass".into()),
        expiration: Some(SystemTime::now()),
        statements: Vec::new(),
        rollback_statements: Vec::new(),
        renew_statements: Vec::new(),
        revocation_statements: Vec::new(),
    }
}

async fn come_and_go(server: &Server, way: usize) {
    let id = PluginId { kind: PluginKind::Database, name: "mock".into(), version: String::new() };
    let database = server.host.open_database(&id, "database/").await.unwrap().database;
    let action = match way {
        0 => "fail",
        1 => "die",
        _ => "",
    };
    let config = Data::json(&json!({ "do": action }));
    assert_eq!(database.initialize(config, true).await.is_ok(), way > 1);
    match way {
        // Dropped after a refusal, and after a death.
        0 | 1 => {}
        2 => database.close().await,
        3 => {
            let died = database.new_user(user("die")).await;
            assert!(matches!(died, Err(DatabaseError::Shutdown)));
        }
        4 => {
            let given_up = Duration::from_millis(20);
            let hung = tokio::time::timeout(given_up, database.new_user(user("hang"))).await;
            assert!(hung.is_err());
        }
        5 => {
            children().into_iter().for_each(kill9);
            wait_for("it is noticed", || !database.is_current()).await;
        }
        _ => {
            assert_eq!(server.host.reload_databases("mock").await, 1);
        }
    }
    drop(database);
    server.expect_nothing_left().await;
    wait_for("the process is reaped", || children().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_come_and_go_leave_nothing() {
    let Some(program) = tool("mock-database") else { return };
    let server = Server::new().await;
    let mut registration = server.install(&program, "mock");
    registration.kind = "database".into();
    server.host.register(registration).await.unwrap();
    for way in 0..WAYS {
        come_and_go(&server, way).await;
    }
    let before = descriptors();
    for cycle in 0..10 * WAYS {
        come_and_go(&server, cycle % WAYS).await;
    }
    eventually("descriptors are closed", async || descriptors() <= before).await;
    assert!(server.host.status().await.is_empty());
}
