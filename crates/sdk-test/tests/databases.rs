//! The same database plugin in both homes: everything that it can be asked, and what hurts it.

#![allow(clippy::unwrap_used)]

use std::{
    sync::Mutex,
    time::{Duration, SystemTime},
};

use boltwork_sdk::prelude::*;
use boltwork_sdk_test::both_databases;

type Done<T> = std::result::Result<T, DatabaseError>;

/// Writes down what it is asked.
#[derive(Default)]
struct Diary(Mutex<Vec<String>>);

impl Diary {
    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

fn credential(credential: &Credential) -> String {
    match credential {
        Credential::Password(password) => format!("password {}", password.expose()),
        Credential::PublicKey(key) => format!("key {key:?}"),
        Credential::Subject(subject) => format!("subject {subject}"),
        _ => "another".to_owned(),
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

impl Database for Diary {
    fn initialize(&self, config: Data, verify: bool) -> BoxFuture<'_, Done<Data>> {
        Box::pin(async move {
            let mut fields = config.fields().unwrap();
            if fields.contains_key("refuse") {
                return Err(DatabaseError::Failed("no route to hunter2".into()));
            }
            fields.insert("verified".into(), json!(verify));
            Ok(Data::json(&Value::Object(fields)))
        })
    }

    fn new_user(&self, user: NewUser) -> BoxFuture<'_, Done<MadeUser>> {
        Box::pin(async move {
            assert!(user.role_name != "panic", "on purpose");
            self.note(format!(
                "new {} {} until {:?} by {:?} or {:?}",
                user.display_name,
                credential(&user.credential),
                user.expiration.map(seconds),
                user.statements,
                user.rollback_statements,
            ));
            Ok(MadeUser { username: format!("v-{}", user.role_name), password: None })
        })
    }

    fn update_user(&self, change: UserChange) -> BoxFuture<'_, Done<()>> {
        Box::pin(async move {
            let set = change.credential.map(|(it, by)| (credential(&it), by));
            let until = change.expiration.map(|(time, by)| (seconds(time), by));
            self.note(format!("change {} {set:?} {until:?}", change.username));
            Ok(())
        })
    }

    fn delete_user<'a>(&'a self, name: &'a str, by: &'a [String]) -> BoxFuture<'a, Done<()>> {
        Box::pin(async move {
            self.note(format!("delete {name} by {by:?}"));
            Ok(())
        })
    }

    /// What it has written down so far, which is nobody's sort of database.
    fn kind(&self) -> BoxFuture<'_, Done<String>> {
        Box::pin(async { Ok(self.0.lock().unwrap().join("\n")) })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { self.0.lock().unwrap().clear() })
    }
}

#[tokio::test]
async fn a_database_is_asked_the_same_in_both_homes() {
    for connection in both_databases(Diary::default).await {
        let home = connection.home();
        let config = json!({"port": 5432, "ratio": 0.5, "hosts": [{"port": 1}], "on": true});
        let mut wanted = config.clone();
        wanted["verified"] = json!(true);
        assert_eq!(connection.configure(config).await.unwrap(), wanted, "{home:?}");

        assert_eq!(connection.new_user("reader", "p", &["a", "b"]).await.unwrap(), "v-reader");
        let key = NewUser {
            display_name: "tester".into(),
            role_name: "key".into(),
            credential: Credential::PublicKey(vec![0, 255]),
            expiration: None,
            statements: Vec::new(),
            rollback_statements: vec!["undo".into()],
            renew_statements: Vec::new(),
            revocation_statements: Vec::new(),
        };
        let subject = NewUser { credential: Credential::Subject("CN=x".into()), ..key.clone() };
        connection.make(key).await.unwrap();
        connection.make(subject).await.unwrap();
        connection.set_password("v-reader", "q", &["set"]).await.unwrap();
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(7);
        let change = UserChange {
            username: "v-reader".into(),
            expiration: Some((end, vec!["until".into()])),
            ..UserChange::default()
        };
        connection.change(change).await.unwrap();
        connection.delete_user("v-reader", &["drop"]).await.unwrap();
        assert_eq!(
            connection.database().kind().await.unwrap(),
            "new tester password p until Some(4000000000) by [\"a\", \"b\"] or []\n\
             new tester key [0, 255] until None by [] or [\"undo\"]\n\
             new tester subject CN=x until None by [] or [\"undo\"]\n\
             change v-reader Some((\"password q\", [\"set\"])) None\n\
             change v-reader None Some((7, [\"until\"]))\n\
             delete v-reader by [\"drop\"]",
            "{home:?}"
        );
        connection.database().close().await;
    }
}

#[tokio::test]
async fn a_refusal_reaches_whoever_asked() {
    for connection in both_databases(Diary::default).await {
        let refused = connection.configure(json!({"refuse": 1})).await.unwrap_err().to_string();
        assert!(refused.ends_with("no route to hunter2"), "{:?}: {refused}", connection.home());
    }
}

#[tokio::test]
async fn a_panic_fails_its_own_call_and_no_other() {
    for connection in both_databases(Diary::default).await {
        connection.configure(json!({})).await.unwrap();
        let failed = connection.new_user("panic", "p", &[]).await.unwrap_err().to_string();
        assert!(failed.ends_with("the plugin panicked"), "{:?}: {failed}", connection.home());
        assert!(!failed.contains("on purpose"));
        assert_eq!(connection.new_user("reader", "p", &[]).await.unwrap(), "v-reader");
    }
}
