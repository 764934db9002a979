//! An engine from mount to unmount: routing, leases, logins, existence, life, help.

#![allow(clippy::unwrap_used)]

mod home;

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use boltwork_framework::*;
use boltwork_logical::{
    Auth, BackendKind, Data, Entry, Error, Existence, Operation, Secret, Storage,
};
use home::Home;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Default)]
struct Passwords {
    periods: AtomicUsize,
}

#[derive(Deserialize, Serialize, JsonSchema)]
struct Role {
    /// Name of the role.
    name: String,
    /// How many characters a password has.
    length: u8,
    /// How long a password is leased.
    ttl: Option<Ttl>,
}

#[derive(Deserialize, JsonSchema)]
struct Below {
    path: String,
}

impl Passwords {
    async fn write_role(&self, req: Request<Role>) -> Result<Reply> {
        req.storage.save(format!("role/{}", req.fields.name), &req.fields).await?;
        Ok(Reply::empty())
    }

    async fn read_role(&self, req: Request<Named>) -> Result<Reply> {
        let role: Option<Value> = req.storage.load(format!("role/{}", req.fields.name)).await?;
        Ok(role.map_or_else(Reply::not_found, Reply::data))
    }

    async fn has_role(&self, req: Request<Named>) -> Result<bool> {
        req.storage.contains(format!("role/{}", req.fields.name)).await
    }

    async fn list_roles(&self, req: Request) -> Result<Reply> {
        Ok(Reply::keys(&req.storage.keys("role/").await?))
    }

    async fn issue(&self, req: Request<Named>) -> Result<Reply> {
        let role: Option<Role> = req.storage.load(format!("role/{}", req.fields.name)).await?;
        let role = role.ok_or_else(|| Error::invalid("unknown role"))?;
        let reply = Reply::data(json!({ "password": "x".repeat(role.length.into()) }));
        Ok(reply.leased("password", role.ttl, json!({ "name": role.name })))
    }

    async fn renew(&self, req: Request<Named>) -> Result<Reply> {
        assert_eq!(req.fields.name, "db");
        Ok(Reply::renewed(&req).ttl(Duration::from_secs(60)))
    }

    async fn revoke(&self, req: Request<Named>) -> Result<Reply> {
        req.storage.save(format!("revoked/{}", req.fields.name), &true).await?;
        Ok(Reply::empty())
    }

    async fn below(&self, req: Request<Below>) -> Result<Reply> {
        Ok(Reply::data(json!({ "path": req.fields.path })))
    }

    async fn special(&self, _: Request) -> Result<Reply> {
        Ok(Reply::data(json!({ "path": "the literal" })))
    }

    async fn panic(&self, _: Request) -> Result<Reply> {
        panic!("hunter2");
    }

    async fn every(&self, _: Request) -> Result<Reply> {
        self.periods.fetch_add(1, Ordering::Relaxed);
        Ok(Reply::empty())
    }

    async fn undo(&self, req: Request<Named>) -> Result<Reply> {
        req.storage.save(format!("undone/{}", req.fields.name), &true).await?;
        Ok(Reply::empty())
    }

    async fn start(&self, req: Request) -> Result<Reply> {
        req.storage.save("started", &true).await?;
        Ok(Reply::empty())
    }

    async fn changed(&self, req: Request<Changed>) -> Result<Reply> {
        req.storage.save(format!("changed/{}", req.fields.key), &true).await?;
        Ok(Reply::empty())
    }

    async fn unknown_lease(&self, _: Request) -> Result<Reply> {
        Ok(Reply::data(json!({})).leased("nothing", None, json!({})))
    }
}

impl Engine for Passwords {
    fn routes() -> Routes<Self> {
        Routes::new([
            path("roles").list(Self::list_roles),
            path("roles/{name}")
                .help("What a password looks like.")
                .details("Roles say how passwords are made.")
                .write(Self::write_role)
                .read(Self::read_role)
                .exists(Self::has_role),
            path("creds/{name}").help("A new password.").read(Self::issue),
            path("tree/{path...}").read(Self::below).list(Self::below),
            path("tree/special").read(Self::special),
            path("panic").read(Self::panic),
            path("lease").read(Self::unknown_lease).sudo(),
        ])
        .help("Random passwords.")
        .revoke("password", Self::revoke)
        .renew("password", Self::renew)
        .every(Self::every)
        .rollback("create", Self::undo)
        .initialize(Self::start)
        .invalidate(Self::changed)
        .local(["cache/"])
        .seal_wrap(["role/"])
    }
}

fn mounted() -> Home {
    Home::of(Passwords::default())
}

#[test]
fn the_table_has_no_faults() {
    Passwords::routes().check().unwrap();
}

#[tokio::test]
async fn a_lease_goes_round() {
    let home = mounted();
    let written =
        home.ask(Operation::Update, "roles/db", json!({"length": "12", "ttl": "1h"})).await;
    assert!(written.unwrap().is_none());
    let reply = home.ask(Operation::Read, "creds/db", json!({})).await.unwrap().unwrap();
    assert_eq!(reply.data.fields().unwrap()["password"], "xxxxxxxxxxxx");
    let secret = reply.secret.unwrap();
    assert_eq!(secret.lease.ttl, Duration::from_secs(3600));
    assert!(secret.lease.renewable);
    let internal = secret.internal.fields().unwrap();
    assert_eq!(Value::from(internal), json!({ "name": "db", "secret_type": "password" }));

    let mut renew = home.request(Operation::Renew, "creds/db", json!({}));
    renew.secret = Some(secret.clone());
    let renewed = home.backend.handle(renew).await.unwrap().unwrap().secret.unwrap();
    assert_eq!(renewed.lease.ttl, Duration::from_secs(60));

    let mut revoke = home.request(Operation::Revoke, "creds/db", json!({}));
    revoke.secret = Some(secret);
    home.backend.handle(revoke).await.unwrap();
    assert!(home.storage.get("revoked/db").await.unwrap().is_some());
}

#[tokio::test]
async fn a_lease_of_another_engine_is_refused() {
    let home = mounted();
    let mut revoke = home.request(Operation::Revoke, "x", json!({}));
    revoke.secret = Some(Box::new(Secret {
        internal: Data::json(&json!({ "secret_type": "other" })),
        ..Secret::default()
    }));
    let failure = home.backend.handle(revoke).await.unwrap_err();
    assert_eq!(failure.error.to_string(), "secret is unsupported by this backend");
    let revoke = home.request(Operation::Revoke, "x", json!({}));
    let failure = home.backend.handle(revoke).await.unwrap_err();
    assert_eq!(failure.error.to_string(), "request has no secret");
}

#[tokio::test]
async fn a_lease_that_nobody_could_revoke_is_not_given() {
    let error = mounted().ask(Operation::Read, "lease", json!({})).await.unwrap_err();
    assert!(error.to_string().contains("no revocation"), "{error}");
}

#[tokio::test]
async fn literals_beat_captures_and_rests_keep_their_slashes() {
    let home = mounted();
    for (path, seen) in [
        ("tree/special", "the literal"),
        ("tree/a", "a"),
        ("tree/a/b/", "a/b/"),
        ("tree/", ""),
        ("tree/specialist", "specialist"),
        ("tree/special/x", "special/x"),
    ] {
        assert_eq!(home.read(path).await["path"], seen, "{path}");
    }
    for path in ["tree", "roles/a/b", "nothing", "", "creds//", "creds/"] {
        let error = home.ask(Operation::Read, path, json!({})).await.unwrap_err();
        assert_eq!(error, Error::UnsupportedPath, "{path}");
    }
    let error = home.ask(Operation::Delete, "roles/x", json!({})).await.unwrap_err();
    assert_eq!(error, Error::UnsupportedOperation);
}

#[tokio::test]
async fn a_list_ignores_the_slash_at_its_end() {
    let home = mounted();
    home.ask(Operation::Update, "roles/b", json!({"length": 1})).await.unwrap();
    home.ask(Operation::Update, "roles/a", json!({"length": 1})).await.unwrap();
    for path in ["roles", "roles/"] {
        let keys = home.data(Operation::List, path, json!({})).await;
        assert_eq!(keys, json!({ "keys": ["a", "b"] }));
    }
}

#[tokio::test]
async fn existence_is_asked_of_the_table() {
    let home = mounted();
    let ask = |path: &str| home.request(Operation::Update, path, json!({}));
    let check = async |path: &str| home.backend.exists(&ask(path)).await;
    assert_eq!(check("roles/db").await, Ok(Existence::Absent));
    home.ask(Operation::Create, "roles/db", json!({"length": 1})).await.unwrap();
    assert_eq!(check("roles/db").await, Ok(Existence::Exists));
    assert_eq!(check("creds/db").await, Ok(Existence::Unchecked));
    assert_eq!(check("nothing").await, Err(Error::UnsupportedPath));
}

#[tokio::test]
async fn a_panic_fails_its_own_request_and_quotes_nothing() {
    let home = mounted();
    let error = home.ask(Operation::Read, "panic", json!({})).await.unwrap_err();
    assert!(error.to_string().contains("panicked"));
    assert!(!error.to_string().contains("hunter2"));
    assert!(home.ask(Operation::Read, "roles/x", json!({})).await.unwrap().is_none());
}

#[tokio::test]
async fn a_refusal_is_a_reply_in_vaults_shape() {
    let home = mounted();
    let reply = home.ask(Operation::Read, "creds/none", json!({})).await.unwrap().unwrap();
    assert_eq!(reply.data.as_str(), r#"{"error":"unknown role"}"#);
}

#[tokio::test]
async fn work_left_behind_is_undone_when_it_is_old_enough() {
    let home = mounted();
    let wal = json!({ "type": "create", "data": { "name": "old" }, "created_at": 1_000 });
    home.storage.put(Entry::new("wal/1", wal.to_string())).await.unwrap();
    let young = home.storage.begin_work("create", &json!({ "name": "young" })).await.unwrap();
    home.ask(Operation::Rollback, "", json!({})).await.unwrap();
    assert!(home.storage.get("undone/old").await.unwrap().is_some());
    assert!(home.storage.get("wal/1").await.unwrap().is_none());
    assert!(home.storage.get("undone/young").await.unwrap().is_none());
    home.ask(Operation::Rollback, "", json!({ "immediate": true })).await.unwrap();
    assert!(home.storage.get("undone/young").await.unwrap().is_some());
    assert!(home.storage.get(&format!("wal/{young}")).await.unwrap().is_none());
}

#[tokio::test]
async fn the_mounts_life_reaches_the_engine() {
    let home = mounted();
    home.backend.initialize().await.unwrap();
    assert!(home.storage.get("started").await.unwrap().is_some());
    home.backend.invalidate("role/x").await;
    assert!(home.storage.get("changed/role/x").await.unwrap().is_some());
    home.backend.cleanup().await;
}

#[tokio::test]
async fn special_paths_are_read_off_the_table() {
    let special = mounted().backend.special_paths();
    assert_eq!(special.root, ["lease"]);
    assert_eq!(special.local_storage, ["cache/"]);
    assert_eq!(special.seal_wrap_storage, ["role/"]);
    assert!(special.unauthenticated.is_empty());
    assert_eq!(mounted().backend.kind(), BackendKind::Secret);
}

#[tokio::test]
async fn help_tells_of_a_path_its_fields_and_their_types() {
    let home = mounted();
    let page = home.data(Operation::Help, "roles/db", json!({})).await;
    assert_eq!(
        page["help"],
        "Request:        roles/db\n\
         Matching Route: ^roles/{name}$\n\
         \n\
         What a password looks like.\n\
         \n\
         ## PARAMETERS\n\
         \n    length (int)\n\n        How many characters a password has.\n\
         \n    name (string)\n\n        Name of the role.\n\
         \n    ttl (duration (sec))\n\n        How long a password is leased.\n\
         \n## DESCRIPTION\n\nRoles say how passwords are made."
    );
    assert_eq!(page["see_also"], Value::Null);
    let operation = &page["openapi"]["paths"]["/roles/{name}"];
    assert_eq!(operation["parameters"][0]["name"], "name");
    assert_eq!(operation["x-vault-createSupported"], true);
    let schema = &page["openapi"]["components"]["schemas"]["RolesNameRequest"];
    assert_eq!(schema["properties"]["length"]["type"], "integer");
    assert_eq!(schema["required"], json!(["length"]));
}

#[tokio::test]
async fn help_of_the_root_lists_every_path() {
    let page = mounted().data(Operation::Help, "", json!({})).await;
    let text = page["help"].as_str().unwrap();
    for line in
        ["Random passwords.", "    ^creds/{name}$\n        A new password.\n", "^tree/{path...}$"]
    {
        assert!(text.contains(line), "{line:?} in {text}");
    }
    assert_eq!(page["openapi"]["info"]["version"], "1.2.3");
    assert_eq!(page["openapi"]["paths"].as_object().unwrap().len(), 7);
}

struct Door;

#[derive(Deserialize, Serialize, JsonSchema)]
struct Key {
    key: String,
}

impl Door {
    async fn login(&self, req: Request<Key>) -> Result<Reply> {
        if req.fields.key != "open sesame" {
            return Err(Error::Denied);
        }
        let internal = Data::of(&req.fields)?;
        Ok(Reply::auth(Auth { display_name: "ali".into(), internal, ..Auth::default() }))
    }

    async fn renew(&self, req: Request<Key>) -> Result<Reply> {
        Ok(Reply::renewed(&req).ttl(Duration::from_secs(req.fields.key.len() as u64)))
    }

    async fn raw(&self, _: Request) -> Result<Reply> {
        Ok(Reply::raw(200, "text/plain", "text"))
    }
}

impl Engine for Door {
    fn routes() -> Routes<Self> {
        Routes::new([
            path("login").login(Self::login),
            path("login/{key}").login(Self::login),
            path("page/{key?}").read(Self::raw).write(Self::login).unauthenticated(),
        ])
        .renew_login(Self::renew)
    }
}

#[tokio::test]
async fn a_login_is_unauthenticated_and_makes_an_auth_method() {
    let home = Home::of(Door);
    assert_eq!(home.backend.kind(), BackendKind::Auth);
    let special = home.backend.special_paths();
    assert_eq!(special.unauthenticated, ["login", "login/+", "page", "page/+"]);
    let sent = json!({ "key": "open sesame" });
    let reply = home.ask(Operation::Update, "login", sent).await.unwrap().unwrap();
    let mut renew = home.request(Operation::Renew, "login", json!({}));
    renew.auth = reply.auth;
    let renewed = home.backend.handle(renew).await.unwrap().unwrap();
    assert_eq!(renewed.auth.unwrap().lease.ttl, Duration::from_secs(11));
    let denied = home.ask(Operation::Update, "login", json!({ "key": "x" })).await;
    assert_eq!(denied.unwrap_err(), Error::Denied);
}

#[tokio::test]
async fn raw_bodies_travel_in_base64() {
    let data = Home::of(Door).read("page").await;
    assert_eq!(
        data,
        json!({ "http_status_code": 200, "http_content_type": "text/plain", "http_raw_body": "dGV4dA==" })
    );
}

struct Faulty;

impl Faulty {
    async fn any(&self, _: Request) -> Result<Reply> {
        Ok(Reply::empty())
    }
}

impl Engine for Faulty {
    fn routes() -> Routes<Self> {
        Routes::new([
            path("a/{b").read(Self::any),
            path("same/{x}").read(Self::any).any_input(),
            path("same/{y}").read(Self::any).any_input(),
            path("twice").read(Self::any).read(Self::any),
            path("nothing"),
            path("lost/{capture}").read(Self::any),
            path("{rest...}/x").read(Self::any),
        ])
        .renew("endless", Self::any)
        .every(Self::any)
        .every(Self::any)
    }
}

#[test]
fn every_fault_of_a_table_is_found_and_no_backend_is_made() {
    let faults: Vec<String> =
        Faulty::routes().check().unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        faults,
        [
            "periodic work has two handlers",
            "leases of kind \"endless\" can be renewed but not revoked",
            "path \"a/{b\": a `{` without its `}` at the segment's end",
            "paths \"same/{x}\" and \"same/{y}\" match the same requests",
            "path \"twice\" has two handlers for read",
            "path \"nothing\" answers nothing",
            "path \"lost/{capture}\": no handler has a field \"capture\" for the capture of that name",
            "path \"{rest...}/x\": `{name?}` and `{name...}` must be the last segment",
        ]
    );
    let made = into_backend(Faulty, home::setup(Default::default()));
    assert!(made.is_err_and(|error| error.to_string().contains("faulty")));
}
