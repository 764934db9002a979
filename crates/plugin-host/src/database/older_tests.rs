//! Version 4 of the database protocol, against a plugin of a library that nobody here wrote.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use boltwork_logical::{Credential, Data, Database, DatabaseError, NewUser, UserChange};
use serde_json::{Value, json};

use super::Opened;
use crate::process::{Member, Process};

const LIMIT: Duration = Duration::from_secs(20);

/// The Go mock; none, and the test is skipped, if it was not built.
fn mock() -> Option<PathBuf> {
    let tools = std::env::var_os("BOLTWORK_TOOLS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools"), PathBuf::from);
    let program = tools.join("bin/mock-database");
    if program.is_file() {
        return Some(program);
    }
    eprintln!("skipped: {} is not there; `make tools` builds it, with Go", program.display());
    None
}

async fn open(program: &Path, serve: &str) -> Opened {
    let process = Process::old_database(program, &[serve]).await;
    Opened::begin(Member::join(&process).unwrap(), LIMIT).await.unwrap()
}

fn user(role: &str) -> NewUser {
    NewUser {
        display_name: "token".into(),
        role_name: role.into(),
        credential: Credential::Password("".into()),
        expiration: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000)),
        statements: vec!["make".into()],
        rollback_statements: Vec::new(),
        renew_statements: vec!["renew".into()],
        revocation_statements: vec!["revoke".into()],
    }
}

fn change(username: &str, credential: Option<Credential>, end: Option<SystemTime>) -> UserChange {
    UserChange {
        username: username.to_owned(),
        credential: credential.map(|it| (it, Vec::new())),
        expiration: end.map(|end| (end, Vec::new())),
        ..UserChange::default()
    }
}

async fn configure(database: &dyn Database, config: &Value) -> Value {
    let kept = database.initialize(Data::json(config), true).await.unwrap();
    Value::Object(kept.fields().unwrap())
}

#[tokio::test]
async fn an_old_plugin_makes_changes_and_removes_users_and_makes_passwords() {
    let Some(program) = mock() else { return };
    let opened = open(&program, "-serve=v4").await;
    assert_eq!(opened.process.client.version(), 4);
    let database = opened.database;
    let file = std::env::temp_dir().join(format!("old-database-{:08x}", rand::random::<u32>()));
    let users = || std::fs::read_to_string(&file).unwrap();
    assert_eq!(database.kind().await.unwrap(), "mock");
    assert!(database.makes_passwords());
    assert_eq!(database.make_password().await.unwrap().expose(), "generated-by-the-mock");
    let kept = configure(&*database, &json!({"file": file, "port": 5432})).await;
    assert_eq!((&kept["verified"], &kept["port"]), (&json!(true), &json!(5432)));

    let made = database.new_user(user("reader")).await.unwrap();
    assert_eq!(made.username, "mock-token-reader-1");
    assert_eq!(made.password.unwrap().expose(), "made-by-the-mock");
    let line = "mock-token-reader-1 password=made-by-the-mock 2096-10-02T07:06:40Z make\n";
    assert_eq!(users(), line);
    let name = made.username;
    let password = Some(Credential::Password("new".into()));
    database.update_user(change(&name, password, None)).await.unwrap();
    assert_eq!(users(), "mock-token-reader-1 password=new\n");
    database.update_user(change(&name, None, Some(SystemTime::UNIX_EPOCH))).await.unwrap();
    assert_eq!(users(), "mock-token-reader-1 1970-01-01T00:00:00Z\n");
    let key = database.update_user(change(&name, Some(Credential::PublicKey(vec![1])), None)).await;
    assert!(matches!(key, Err(DatabaseError::Unsupported(_))));
    database.delete_user(&name, &[]).await.unwrap();
    assert_eq!(users(), "");

    let rotated = database.rotate_root(&["rotate".into()]).await.unwrap().fields().unwrap();
    assert_eq!(rotated["password"], "rotated-by-the-mock");
    database.close().await;
    assert!(opened.process.is_gone(), "its process is its own");
    std::fs::remove_file(&file).unwrap();
}

#[tokio::test]
async fn an_old_plugin_refuses_and_dies() {
    let Some(program) = mock() else { return };
    let database = open(&program, "-serve=v4").await.database;
    configure(&*database, &json!({})).await;
    let failed = database.new_user(user("fail")).await.err().unwrap();
    assert_eq!(failed.to_string(), "rpc error: code = Unknown desc = the mock was told to fail");
    let nameless = database.new_user(user("nameless")).await.err().unwrap();
    assert!(nameless.to_string().ends_with("the plugin named no user"), "{nameless}");
    let died = database.new_user(user("die")).await.err().unwrap();
    assert_eq!(died, DatabaseError::Shutdown);
    let after = database.delete_user("u", &[]).await.err().unwrap();
    assert_eq!(after, DatabaseError::Shutdown);
    database.close().await;
}
