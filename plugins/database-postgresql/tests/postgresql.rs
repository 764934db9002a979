//! The plugin against a PostgreSQL server of its own: users, TLS, and what is left when the database
//! breaks.
//!
//! Left out on purpose: servers, leases, processes; `tests/e2e` has them.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use boltwork_database_postgresql::PostgreSql;
use boltwork_e2e::postgres::{Postgres, Running, SUPERUSER};
use boltwork_e2e::wait_for;
use boltwork_sdk::logical::{
    Credential, Data, Database, DatabaseError, MadeUser, NewUser, SecretText, UserChange,
};
use serde_json::{Value, json};

const CREATE: &str =
    r#"CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';"#;

fn config(postgres: &Running, url: &str, more: &Value) -> Data {
    let mut config = json!({
        "connection_url": url, "username": SUPERUSER, "password": postgres.password(),
    });
    for (key, value) in more.as_object().expect("an object") {
        config[key] = value.clone();
    }
    Data::json(&config)
}

async fn try_open(
    postgres: &Running,
    url: &str,
    more: &Value,
) -> Result<PostgreSql, DatabaseError> {
    let database = PostgreSql::default();
    database.initialize(config(postgres, url, more), true).await?;
    Ok(database)
}

async fn open(postgres: &Running, more: &Value) -> PostgreSql {
    try_open(postgres, &postgres.url(), more).await.expect("it opens")
}

fn wanted(statements: &[&str], password: &str) -> NewUser {
    NewUser {
        display_name: "token-alice".to_owned(),
        role_name: "readonly".to_owned(),
        credential: Credential::Password(SecretText::new(password)),
        expiration: Some(SystemTime::now() + Duration::from_secs(3600)),
        statements: statements.iter().map(|text| (*text).to_owned()).collect(),
        rollback_statements: Vec::new(),
        renew_statements: Vec::new(),
        revocation_statements: Vec::new(),
    }
}

async fn make(database: &PostgreSql, statements: &[&str], password: &str) -> MadeUser {
    database.new_user(wanted(statements, password)).await.expect("a user")
}

fn made_users(postgres: &Running) -> Vec<String> {
    postgres.query("SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%'")
}

fn new_password(user: &str, password: &str) -> UserChange {
    let credential = Credential::Password(SecretText::new(password));
    UserChange {
        username: user.to_owned(),
        credential: Some((credential, Vec::new())),
        ..UserChange::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_lives_changes_and_is_gone() {
    let Some(postgres) = Postgres::default().start() else { return };
    postgres.query(r#"CREATE SCHEMA "odd ""schema"; CREATE TABLE "odd ""schema".t (a int)"#);
    let database = open(&postgres, &json!({})).await;
    let grant = r#"GRANT USAGE ON SCHEMA "odd ""schema" TO "{{name}}"; -- it's; one
        GRANT SELECT ON ALL TABLES IN SCHEMA "odd ""schema" TO "{{username}}";
        DO $$ BEGIN EXECUTE 'COMMENT ON ROLE "{{name}}" IS ''a;b'''; END $$"#;
    let user = make(&database, &[CREATE, grant], "first").await.username;
    assert!(user.starts_with("v-token-al-readonly-"), "{user}");
    let read = r#"SELECT count(*) FROM "odd ""schema".t"#;
    assert_eq!(postgres.ask(&user, "first", read), Ok(vec!["0".to_owned()]));

    database.update_user(new_password(&user, "it's \\ \"second\" $$ {{name}}")).await.unwrap();
    assert!(!postgres.admits(&user, "first"));
    assert!(postgres.admits(&user, "it's \\ \"second\" $$ {{name}}"));

    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
    let change = UserChange {
        username: user.clone(),
        expiration: Some((end, Vec::new())),
        ..UserChange::default()
    };
    database.update_user(change).await.unwrap();
    let ends = format!(
        "SELECT extract(epoch FROM rolvaliduntil)::bigint FROM pg_roles WHERE rolname = '{user}'"
    );
    assert_eq!(postgres.query(&ends), ["4000000000"]);

    database.delete_user(&user, &[]).await.unwrap();
    assert!(!postgres.has_role(&user));
    database.delete_user(&user, &[]).await.unwrap();
    let own = [r#"REASSIGN OWNED BY "{{name}}" TO CURRENT_USER; DROP ROLE "{{name}}""#.to_owned()];
    database.delete_user(&user, &own).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_quotes_in_it_is_a_name_and_nothing_else() {
    let Some(postgres) = Postgres::default().start() else { return };
    postgres.query("CREATE ROLE victim");
    let template = json!({ "username_template": "{{.DisplayName}}-{{random 5}}" });
    let database = open(&postgres, &template).await;
    let mut user = wanted(&[CREATE], "p'); DROP ROLE victim; --");
    user.display_name = r#"a"; DROP ROLE victim; --'"#.to_owned();
    let made = database.new_user(user.clone()).await.unwrap().username;
    assert!(postgres.has_role("victim") && postgres.has_role(&made));
    assert!(postgres.admits(&made, "p'); DROP ROLE victim; --"));
    database.delete_user(&made, &[]).await.unwrap();
    assert!(postgres.has_role("victim") && !postgres.has_role(&made));

    user.statements = vec!["CREATE ROLE {{name}}".to_owned()];
    let refused = database.new_user(user).await.err().expect("a refusal").to_string();
    assert!(refused.contains("{{name}}") && !refused.contains("DROP"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_scram_the_database_never_reads_the_password() {
    let Some(postgres) = Postgres::default().start() else { return };
    let database = open(&postgres, &json!({ "password_authentication": "scram-sha-256" })).await;
    let user = make(&database, &[CREATE], "clear-text-1").await.username;
    assert!(postgres.admits(&user, "clear-text-1"));
    database.update_user(new_password(&user, "clear-text-2")).await.unwrap();
    assert!(postgres.admits(&user, "clear-text-2") && !postgres.admits(&user, "clear-text-1"));
    // The server logs every statement.
    assert!(postgres.log().contains("SCRAM-SHA-256$4096:"));
    assert!(!postgres.log().contains("clear-text"));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_error_there_is_no_user_and_no_secret_in_the_text() {
    let Some(postgres) = Postgres::default().start() else { return };
    let database = open(&postgres, &json!({})).await;
    for statements in [
        vec![CREATE, "SELECT * FROM nowhere"],
        vec![CREATE, "COMMIT", "SELECT * FROM nowhere"],
        vec![CREATE, "SELECT {{password}} FROM"],
    ] {
        let refused = database.new_user(wanted(&statements, "hunter22")).await;
        let refused = refused.err().expect("a refusal").to_string();
        assert!(refused.contains("SQLSTATE 42") && !refused.contains("hunter22"), "{refused}");
        assert_eq!(made_users(&postgres), [] as [&str; 0], "{statements:?}");
    }
    for (credential, why) in [
        (Credential::PublicKey(vec![1]), "rsa_private_key"),
        (Credential::Subject("CN=a".to_owned()), "client_certificate"),
    ] {
        let user = NewUser { credential, ..wanted(&[CREATE], "") };
        let refused = database.new_user(user).await.err().expect("a refusal").to_string();
        assert!(refused.contains(why), "{refused}");
    }
    let empty = database.new_user(wanted(&[" "], "x")).await.err().expect("a refusal");
    assert_eq!(empty.to_string(), "empty creation statements");
    let missing = database.update_user(new_password("nobody", "hunter22")).await.unwrap_err();
    assert!(missing.to_string().contains("does not exist (SQLSTATE 42704)"), "{missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_whom_nobody_heard_is_removed() {
    let Some(postgres) = Postgres::default().start() else { return };
    let database = open(&postgres, &json!({})).await;
    let slow = [CREATE, "SELECT pg_sleep(1)"];
    let unheard = tokio::time::timeout(Duration::from_millis(300), make(&database, &slow, "x"));
    assert!(unheard.await.is_err());
    let log = || postgres.log();
    wait_for("the user that nobody waits for", || {
        log().contains("DROP ROLE IF EXISTS").then_some(())
    });
    wait_for("its end", || made_users(&postgres).is_empty().then_some(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_dies_in_the_middle_leaves_no_user_when_it_is_back() {
    let Some(mut postgres) = Postgres::default().start() else { return };
    let database = Arc::new(open(&postgres, &json!({})).await);
    // Committed before the crash: the worst moment.
    let statements = [CREATE, "COMMIT; SELECT pg_sleep(30)"];
    let making = tokio::spawn({
        let database = Arc::clone(&database);
        async move { database.new_user(wanted(&statements, "x")).await }
    });
    wait_for("a user that is half made", || (!made_users(&postgres).is_empty()).then_some(()));
    postgres.crash();
    let error = making.await.unwrap().err().expect("an error").to_string();
    assert!(!error.contains(postgres.password()), "{error}");
    let down = database.new_user(wanted(&[CREATE], "x")).await.err().expect("an error");
    assert!(down.to_string().contains("failed to connect to `user="), "{down}");
    postgres.recover();
    wait_for("the end of the user", || made_users(&postgres).is_empty().then_some(()));
    make(&database, &[CREATE], "x").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_does_not_answer_is_given_up_in_time() {
    let Some(postgres) = Postgres::default().start() else { return };
    let url = postgres.url_with("sslmode=disable&connect_timeout=1&statement_timeout=1s");
    let database = try_open(&postgres, &url, &json!({})).await.unwrap();
    let asleep = database.new_user(wanted(&[CREATE, "SELECT pg_sleep(60)"], "x")).await;
    let asleep = asleep.err().expect("an error").to_string();
    assert!(asleep.contains("statement timeout (SQLSTATE 57014)"), "{asleep}");
    postgres.freeze();
    let start = Instant::now();
    let frozen = database.new_user(wanted(&[CREATE], "x")).await;
    postgres.thaw();
    let frozen = frozen.err().expect("an error").to_string();
    assert!(frozen.contains("no answer within 1 s"), "{frozen}");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_eq!(made_users(&postgres), [] as [&str; 0]);
    make(&database, &[CREATE], "x").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_connections_are_open_than_allowed() {
    let Some(postgres) = Postgres::default().start() else { return };
    let limits = json!({ "max_open_connections": 2, "max_idle_connections": 1 });
    let database = Arc::new(open(&postgres, &limits).await);
    let ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vault'";
    let making: Vec<_> = (0..10)
        .map(|_| {
            let database = Arc::clone(&database);
            tokio::spawn(
                async move { make(&database, &[CREATE, "SELECT pg_sleep(0.3)"], "x").await },
            )
        })
        .collect();
    let mut most = 0;
    while !making.iter().all(tokio::task::JoinHandle::is_finished) {
        most = most.max(postgres.query(ours)[0].parse::<u32>().unwrap());
    }
    assert_eq!((most, made_users(&postgres).len()), (2, 10));
    wait_for("the one that is kept", || (postgres.query(ours) == ["1"]).then_some(()));
    database.close().await;
    wait_for("the end of all connections", || (postgres.query(ours) == ["0"]).then_some(()));
    let closed = database.delete_user("x", &[]).await.unwrap_err();
    assert_eq!(closed.to_string(), "connection has not been initialized");
}

/// PostgreSQL refuses one of two changes of the same rights at the same time: "tuple concurrently
/// updated".
#[tokio::test(flavor = "multi_thread")]
async fn users_that_are_made_and_removed_at_the_same_time_are_not_in_each_others_way() {
    let Some(postgres) = Postgres::default().start() else { return };
    let database = Arc::new(open(&postgres, &json!({ "max_open_connections": 8 })).await);
    let grant = r#"GRANT USAGE ON SCHEMA public TO "{{name}}""#;
    let lives: Vec<_> = (0..8)
        .map(|_| {
            let database = Arc::clone(&database);
            tokio::spawn(async move {
                for _ in 0..10 {
                    let user = make(&database, &[CREATE, grant], "x").await.username;
                    database.delete_user(&user, &[]).await.expect("it is removed");
                }
            })
        })
        .collect();
    for life in lives {
        life.await.unwrap();
    }
    assert!(made_users(&postgres).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_configuration_is_refused_without_its_secrets() {
    let Some(postgres) = Postgres::default().start() else { return };
    let wrong = json!({ "password": "guessed%!" });
    let refused = try_open(&postgres, &postgres.url(), &wrong).await.err().expect("a refusal");
    let text = refused.to_string();
    assert!(text.starts_with("error verifying connection: failed to connect to `user="), "{text}");
    assert!(text.contains("password authentication failed"), "{text}");
    assert!(!text.contains("guessed") && !text.contains("connection_url"), "{text}");
    // Unverified, it is taken, and fails when it is needed.
    let database = PostgreSql::default();
    database.initialize(config(&postgres, &postgres.url(), &wrong), false).await.unwrap();
    assert!(database.new_user(wanted(&[CREATE], "x")).await.is_err());
    assert_eq!(database.kind().await.unwrap(), "pgx");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_an_address_reaches_the_database() {
    let Some(postgres) = Postgres::default().start() else { return };
    let odd = "p@ss:w/o?r#d%41 '\\x'";
    let quoted = odd.replace('\'', "''");
    postgres.query(&format!("CREATE ROLE \"od d@\" SUPERUSER LOGIN PASSWORD '{quoted}'"));
    let (port, socket) = (postgres.port(), postgres.socket_folder());
    let socket = socket.display();
    for url in [
        postgres.url(),
        format!(
            "host=127.0.0.1 port={port} user={{{{username}}}} password={{{{password}}}} dbname=postgres"
        ),
        format!(
            "host={socket} port={port} user='{{{{username}}}}' password='{{{{password}}}}' dbname=postgres"
        ),
        format!("postgres://{{{{username}}}}:{{{{password}}}}@/postgres?host={socket}&port={port}"),
        format!(
            "postgres://{{{{username}}}}:{{{{password}}}}@127.0.0.1:1,127.0.0.1:{port}/postgres"
        ),
    ] {
        let login = json!({ "username": "od d@", "password": odd });
        if let Err(why) = try_open(&postgres, &url, &login).await {
            panic!("{url}: {why}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_without_a_root_change_their_own_password() {
    let Some(postgres) = Postgres::default().start() else { return };
    postgres.query("CREATE ROLE own LOGIN PASSWORD 'first'");
    let alone = json!({ "username": "", "password": "", "self_managed": true });
    let database = open(&postgres, &alone).await;
    let change = |old: &str, new: &str| UserChange {
        self_managed_password: Some(SecretText::new(old)),
        ..new_password("own", new)
    };
    let refused = database.update_user(change("guessed", "second")).await.unwrap_err();
    assert!(!refused.to_string().contains("guessed"), "{refused}");
    database.update_user(change("first", "second")).await.unwrap();
    assert!(postgres.admits("own", "second") && !postgres.admits("own", "first"));
}

#[tokio::test(flavor = "multi_thread")]
async fn sslmode_means_what_it_means_to_libpq() {
    let setup = Postgres::default().tls();
    let Some(postgres) = setup.hba("hostssl all certified 127.0.0.1/32 cert").start() else {
        return;
    };
    let certificates = postgres.certificates();
    postgres.query("CREATE ROLE certified SUPERUSER LOGIN");
    let protected = "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) \
                     WHERE s.ssl AND a.application_name = 'vault'";
    let (ca, stranger) = (json!(certificates.authority), json!(certificates.stranger));
    let by_name = |mode: &str| postgres.url_with(mode).replace("127.0.0.1", "localhost");
    for (url, authority, works, tls) in [
        (postgres.url_with("sslmode=disable"), None, true, "0"),
        (postgres.url_with("sslmode=allow"), None, true, "0"),
        (postgres.url_with("sslmode=prefer"), None, true, "1"),
        (postgres.url_with("sslmode=require"), None, true, "1"),
        (postgres.url_with("sslmode=require&channel_binding=require"), None, true, "1"),
        (postgres.url_with("sslmode=require"), Some(&stranger), false, ""),
        (postgres.url_with("sslmode=verify-ca"), Some(&ca), true, "1"),
        (postgres.url_with("sslmode=verify-ca"), Some(&stranger), false, ""),
        (postgres.url_with("sslmode=verify-full"), Some(&ca), true, "1"),
        (by_name("sslmode=verify-full"), Some(&ca), true, "1"),
        (by_name("").trim_end_matches('?').to_owned(), Some(&stranger), false, ""),
    ] {
        let more = authority.map_or(json!({}), |pem| json!({ "tls_ca": pem }));
        match try_open(&postgres, &url, &more).await {
            Ok(database) => {
                assert!(works, "{url} must not work");
                assert_eq!(postgres.query(protected), [tls], "{url}");
                database.close().await;
                wait_for("its end", || (postgres.query(protected) == ["0"]).then_some(()));
            }
            Err(why) => {
                assert!(!works, "{url}: {why}");
                assert!(why.to_string().contains("certificate"), "{url}: {why}");
            }
        }
    }
    let client = json!({
        "username": "certified", "password": "", "tls_ca": ca,
        "tls_certificate": certificates.client, "private_key": certificates.client_key,
    });
    let url = format!(
        "postgresql://certified@127.0.0.1:{}/postgres?sslmode=verify-full",
        postgres.port()
    );
    try_open(&postgres, &url, &client).await.expect("a certificate is enough");
    let half = json!({ "tls_certificate": certificates.client });
    let refused = try_open(&postgres, &url, &half).await.err().expect("a refusal").to_string();
    assert!(refused.contains("belong together"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_tls_is_refused_where_tls_is_asked_for() {
    let Some(postgres) = Postgres::default().start() else { return };
    try_open(&postgres, &postgres.url_with("sslmode=prefer"), &json!({})).await.unwrap();
    let url = postgres.url_with("sslmode=require");
    let refused = try_open(&postgres, &url, &json!({})).await.err().expect("a refusal").to_string();
    assert!(refused.contains("TLS") && !refused.contains(postgres.password()), "{refused}");
}
