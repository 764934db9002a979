//! The same engine in both homes: everything that an engine can do, and what hurts it.

#![allow(clippy::unwrap_used)]

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use boltwork_logical::{BackendKind, Entity, Error, Group, Storage, StorageError};
use boltwork_sdk::prelude::*;
use boltwork_sdk_test::{Bench, FakeSystem, Home, MemoryStorage, Mount, both};

#[derive(Default)]
struct Everything {
    reads: AtomicUsize,
}

#[derive(Deserialize, Serialize, JsonSchema)]
struct Item {
    /// Where it is.
    path: String,
    /// What it is.
    #[serde(default)]
    value: String,
    /// How long it lasts.
    ttl: Option<Ttl>,
}

#[derive(Deserialize, JsonSchema)]
struct At {
    path: String,
}

#[derive(Deserialize, JsonSchema)]
struct Page {
    path: String,
    #[serde(default)]
    after: String,
    limit: Option<usize>,
}

impl Everything {
    async fn write(&self, req: Request<Item>) -> Result<Reply> {
        req.storage.save(&req.fields.path, &req.fields).await?;
        Ok(Reply::data(json!({ "operation": req.operation().as_str() })))
    }

    async fn exists(&self, req: Request<At>) -> Result<bool> {
        req.storage.contains(&req.fields.path).await
    }

    async fn read(&self, req: Request<At>) -> Result<Reply> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let item: Option<Item> = req.storage.load(&req.fields.path).await?;
        Ok(item.map_or_else(Reply::not_found, |item| {
            let internal = json!({ "path": item.path });
            Reply::data(json!({ "value": item.value })).leased("item", item.ttl, internal)
        }))
    }

    async fn delete(&self, req: Request<At>) -> Result<Reply> {
        req.storage.remove(&req.fields.path).await?;
        Ok(Reply::empty())
    }

    async fn list(&self, req: Request<Page>) -> Result<Reply> {
        let Page { path, after, limit } = &req.fields;
        Ok(Reply::keys(&req.storage.list_page(path, after, *limit).await?))
    }

    async fn revoke(&self, req: Request<At>) -> Result<Reply> {
        req.storage.remove(&req.fields.path).await?;
        Ok(Reply::empty())
    }

    async fn renew(&self, req: Request<At>) -> Result<Reply> {
        Ok(Reply::renewed(&req).ttl(Duration::from_secs(req.fields.path.len() as u64)))
    }

    async fn swap(&self, req: Request) -> Result<Reply> {
        let reads = &self.reads;
        let storage = &req.storage;
        storage
            .transaction(|tx| async move {
                let a: Option<String> = tx.load("swap/a").await?;
                let b: Option<String> = tx.load("swap/b").await?;
                // Another writer, but only the first time.
                if reads.fetch_add(1, Ordering::Relaxed) == 0 && a.is_some() {
                    storage.save("swap/a", "other").await?;
                }
                tx.save("swap/a", &b).await?;
                tx.save("swap/b", &a).await?;
                Ok(Reply::data(json!({ "a": b, "b": a })))
            })
            .await
    }

    async fn half(&self, req: Request) -> Result<Reply> {
        let outcome: Result<()> = req
            .storage
            .transaction(|tx| async move {
                tx.save("half/first", &1).await?;
                Err(Error::invalid("no second half"))
            })
            .await;
        outcome.map(|()| Reply::empty())
    }

    async fn system(&self, req: Request) -> Result<Reply> {
        let system = &req.system;
        let entity = system.entity_info("e").await?.map(|entity| entity.name);
        let groups = system.groups_for_entity("e").await?;
        let wrapped = system.wrap_data(Data::json(&json!({"a": 1})), Duration::from_secs(60));
        Ok(Reply::data(json!({
            "default": system.default_lease_ttl().await.as_secs(),
            "max": system.max_lease_ttl().await.as_secs(),
            "tainted": system.tainted().await,
            "caching_disabled": system.caching_disabled().await,
            "replication": system.replication_state().await.0,
            "local": system.local_mount().await,
            "mlock": system.mlock_enabled().await,
            "entity": entity,
            "nobody": system.entity_info("nobody").await?.is_none(),
            "groups": groups.iter().map(|group| &group.name).collect::<Vec<_>>(),
            "version": system.plugin_environment().await?.version,
            "password": system.generate_password("strong").await?,
            "no password": system.generate_password("none").await.unwrap_err().to_string(),
            "cluster": system.cluster_info().await?.1,
            "wrapped": wrapped.await?.token.expose(),
        })))
    }

    async fn facts(&self, req: Request) -> Result<Reply> {
        Ok(Reply::data(json!({
            "point": req.mount().point,
            "option": req.options().get("version"),
            "uuid": req.backend_uuid().len(),
            "name": &*req.caller().display_name,
            "id": req.id(),
        }))
        .warning("careful")
        .header("X-Test", "1"))
    }

    async fn errors(&self, req: Request<Named>) -> Result<Reply> {
        Err(match req.fields.name.as_str() {
            "invalid" => Error::invalid("bad"),
            "denied" => Error::Denied,
            "coded" => Error::Coded { status: 418, message: "tea".into() },
            "internal" => Error::internal("broken"),
            "path" => Error::UnsupportedPath,
            "storage" => {
                StorageError::ReadOnly("cannot write to readonly storage: x".into()).into()
            }
            _ => panic!("a panic with hunter2"),
        })
    }

    async fn login(&self, req: Request<Named>) -> Result<Reply> {
        assert!(req.caller().unauthenticated);
        let name = req.fields.name;
        Ok(Reply::auth(Auth {
            policies: vec!["a".into()],
            display_name: name.clone(),
            alias: Some(Alias { name, ..Alias::default() }),
            ..Auth::default()
        })
        .ttl(Duration::from_secs(30))
        .renewable(true))
    }

    async fn renew_login(&self, req: Request) -> Result<Reply> {
        Ok(Reply::renewed(&req).ttl(Duration::from_secs(31)))
    }

    async fn start(&self, req: Request) -> Result<Reply> {
        req.storage.save("started", &true).await?;
        Ok(Reply::empty())
    }

    async fn changed(&self, req: Request<Changed>) -> Result<Reply> {
        req.storage.save(format!("seen/{}", req.fields.key), &true).await?;
        Ok(Reply::empty())
    }

    async fn raw(&self, _: Request) -> Result<Reply> {
        Ok(Reply::raw(201, "text/plain", "Response"))
    }
}

impl Engine for Everything {
    fn routes() -> Routes<Self> {
        Routes::new([
            path("kv/{path...}")
                .write(Self::write)
                .read(Self::read)
                .delete(Self::delete)
                .list(Self::list)
                .exists(Self::exists),
            path("swap").write(Self::swap),
            path("half").write(Self::half),
            path("system").read(Self::system),
            path("facts").read(Self::facts).sudo(),
            path("errors/{name}").read(Self::errors),
            path("login/{name}").login(Self::login),
            path("raw").read(Self::raw),
        ])
        .revoke("item", Self::revoke)
        .renew("item", Self::renew)
        .renew_login(Self::renew_login)
        .initialize(Self::start)
        .invalidate(Self::changed)
        .seal_wrap(["kv/"])
    }
}

async fn mounts() -> [Mount; 2] {
    both(Everything::default).await
}

#[test]
fn the_table_has_no_faults() {
    Everything::routes().check().unwrap();
}

#[tokio::test]
async fn an_item_is_created_updated_listed_and_deleted() {
    for mount in mounts().await {
        let home = mount.home();
        let written = mount.write("kv/a/b", json!({ "value": "1" })).await.unwrap();
        assert_eq!(written.str("operation"), "create", "{home:?}");
        let written = mount.write("kv/a/b", json!({ "value": 2, "what": 1 })).await.unwrap();
        assert_eq!(written.str("operation"), "update", "{home:?}");
        assert_eq!(written.warnings(), ["Endpoint ignored these unrecognized parameters: [what]"]);
        assert_eq!(mount.read("kv/a/b").await.unwrap()["value"], "2");
        mount.write("kv/c", json!({})).await.unwrap();
        assert_eq!(mount.list("kv").await.unwrap().keys(), ["a/", "c", "started"]);
        assert!(mount.delete("kv/a/b").await.unwrap().is_empty());
        assert!(mount.read("kv/a/b").await.unwrap().is_empty(), "{home:?}");
    }
}

#[tokio::test]
async fn lists_come_in_pages() {
    for mount in mounts().await {
        for name in ["a", "b", "c", "d"] {
            mount.write(&format!("kv/p/{name}"), json!({})).await.unwrap();
        }
        let page = json!({ "after": "a", "limit": "2" });
        let request = mount.request(Operation::List, "kv/p/", page);
        assert_eq!(mount.send(request).await.unwrap().keys(), ["b", "c"], "{:?}", mount.home());
    }
}

#[tokio::test]
async fn a_lease_is_renewed_and_revoked() {
    for mount in mounts().await {
        mount.write("kv/leased", json!({ "ttl": "90s" })).await.unwrap();
        let read = mount.read("kv/leased").await.unwrap();
        assert_eq!(read.secret().lease.ttl, Duration::from_secs(90));
        assert!(read.secret().lease.renewable);
        let renewed = mount.renew(&read).await.unwrap();
        assert_eq!(renewed.secret().lease.ttl, Duration::from_secs(6));
        mount.revoke(&read).await.unwrap();
        assert!(mount.read("kv/leased").await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_login_says_who_it_is_and_is_renewed() {
    for mount in mounts().await {
        let login = mount.login("login/ali", json!({})).await.unwrap();
        assert_eq!(login.auth().display_name, "ali");
        assert_eq!(login.auth().policies, ["a"]);
        assert_eq!(login.auth().alias.as_ref().unwrap().name, "ali");
        assert!(login.auth().lease.renewable);
        let renewed = mount.renew(&login).await.unwrap();
        assert_eq!(renewed.auth().lease.ttl, Duration::from_secs(31));
    }
}

#[tokio::test]
async fn a_transaction_that_met_another_writer_runs_again() {
    for mount in mounts().await {
        mount.storage().set("swap/a", "\"1\"");
        mount.storage().set("swap/b", "\"2\"");
        let swapped = mount.write("swap", json!({})).await.unwrap();
        assert_eq!(swapped.data(), &json!({ "a": "2", "b": "other" }), "{:?}", mount.home());
        assert_eq!(mount.storage().text("swap/b").unwrap(), "\"other\"");
    }
}

#[tokio::test]
async fn a_transaction_that_fails_leaves_nothing() {
    for mount in mounts().await {
        let refused = mount.write("half", json!({})).await.unwrap_err();
        assert_eq!(refused.0, Error::invalid("no second half"));
        assert_eq!(mount.storage().keys(), ["started"], "{:?}", mount.home());
        mount.storage().fail_write(2);
        assert!(mount.write("swap", json!({})).await.is_err());
        assert_eq!(mount.storage().keys(), ["started"], "{:?}", mount.home());
    }
}

#[tokio::test]
async fn without_transactions_the_work_runs_on_plain_storage() {
    for home in [Home::InProcess, Home::OverTheWire] {
        let storage = MemoryStorage::new().without_transactions();
        let bench = Bench::new(Everything::default).storage(storage);
        let mount = bench.mount(home).await.unwrap();
        mount.write("half", json!({})).await.unwrap_err();
        assert_eq!(mount.storage().keys(), ["half/first", "started"], "{home:?}");
        let refused = mount.storage().begin(false).await.err();
        assert_eq!(refused, Some(StorageError::NoTransactions));
    }
}

#[tokio::test]
async fn the_server_answers_what_it_is_asked() {
    let mut system = FakeSystem { tainted: true, ..FakeSystem::default() };
    let entity = Entity { name: "ali".into(), ..Entity::default() };
    system.entities.insert("e".into(), entity);
    let group = Group { name: "admins".into(), ..Group::default() };
    system.groups.insert("e".into(), vec![group]);
    system.passwords.insert("strong".into(), "S3cret".into());
    for mount in Bench::new(Everything::default).system(system).both().await {
        let answer = mount.read("system").await.unwrap();
        assert_eq!(
            answer.data(),
            &json!({
                "default": 3600, "max": 86_400, "tainted": true, "caching_disabled": false,
                "replication": 0x3000, "local": false, "mlock": false, "entity": "ali",
                "nobody": true, "groups": ["admins"], "version": "1.2.3", "password": "S3cret",
                "no password": "failed to generate password", "cluster": "cluster-id",
                "wrapped": "hvs.wrapped",
            }),
            "{:?}",
            mount.home()
        );
    }
}

#[tokio::test]
async fn an_engine_knows_its_mount_and_its_caller() {
    for mount in Bench::new(Everything::default).option("version", "2").both().await {
        let facts = mount.read("facts").await.unwrap();
        assert_eq!(
            facts.data(),
            &json!({ "point": "test/", "option": "2", "uuid": 36, "name": "tester", "id": "test-request" })
        );
        assert_eq!(facts.warnings(), ["careful"]);
        assert_eq!(facts.reply().unwrap().headers["X-Test"], ["1"]);
    }
}

#[tokio::test]
async fn every_error_means_the_same_in_both_homes() {
    for mount in mounts().await {
        for (name, error) in [
            ("invalid", Error::invalid("bad")),
            ("denied", Error::Denied),
            ("coded", Error::Coded { status: 418, message: "tea".into() }),
            ("internal", Error::internal("broken")),
            ("path", Error::UnsupportedPath),
            ("storage", Error::internal("cannot write to readonly storage: x")),
        ] {
            let refused = mount.read(&format!("errors/{name}")).await.unwrap_err();
            assert_eq!(refused.0, error, "{name} {:?}", mount.home());
        }
        let refused = mount.read("nowhere").await.unwrap_err();
        assert_eq!(refused.0, Error::UnsupportedPath);
        let refused = mount.delete("facts").await.unwrap_err();
        assert_eq!(refused.0, Error::UnsupportedOperation);
    }
}

#[tokio::test]
async fn a_panic_fails_one_request_and_the_mount_goes_on() {
    for mount in mounts().await {
        let refused = mount.read("errors/panic").await.unwrap_err().to_string();
        assert!(refused.contains("panicked") && !refused.contains("hunter2"), "{refused}");
        assert_eq!(mount.read("raw").await.unwrap()["http_status_code"], 201);
    }
}

#[tokio::test]
async fn a_standbys_text_reaches_the_server_unchanged() {
    for mount in mounts().await {
        mount.storage().read_only(true);
        let refused = mount.write("kv/x", json!({})).await.unwrap_err();
        assert!(refused.to_string().contains("cannot write to readonly storage"));
    }
}

#[tokio::test]
async fn what_the_table_declares_reaches_the_server() {
    for mount in mounts().await {
        let special = mount.special_paths();
        assert_eq!(special.root, ["facts"]);
        assert_eq!(special.unauthenticated, ["login/+"]);
        assert_eq!(special.seal_wrap_storage, ["kv/"]);
        assert_eq!(mount.backend().kind(), BackendKind::Auth);
        assert_eq!(mount.storage().text("started").unwrap(), "true");
        mount.invalidate("kv/x").await;
        assert_eq!(mount.storage().text("seen/kv/x").unwrap(), "true");
        let help = mount.help("").await.unwrap();
        assert!(help.str("help").contains("^kv/{path...}$"));
        mount.unmount().await;
    }
}

#[tokio::test]
async fn large_payloads_cross() {
    for mount in mounts().await {
        let value = "x".repeat(8 << 20);
        mount.write("kv/large", json!({ "value": value })).await.unwrap();
        assert_eq!(mount.read("kv/large").await.unwrap().str("value").len(), 8 << 20);
    }
}

#[tokio::test]
async fn concurrent_requests_do_not_wait_for_each_other() {
    for mount in mounts().await {
        mount.write("kv/shared", json!({ "value": "v" })).await.unwrap();
        let mount = std::sync::Arc::new(mount);
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                let mount = std::sync::Arc::clone(&mount);
                tokio::spawn(async move { mount.read("kv/shared").await.unwrap()["value"].clone() })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), "v");
        }
    }
}
