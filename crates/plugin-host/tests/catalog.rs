//! The catalog's rules from outside, programs that are no plugins, and built-in plugins. Nothing
//! here needs Go.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use boltwork_logical::{
    Backend, BackendKind, BoxFuture, Entry, Error, Factory, Failure, PluginKind, Plugins,
    Registration, Reply, Request, Setup, SpecialPaths, Storage, StorageError,
};
use boltwork_plugin_host::{Builtin, Compiled};
use serde_json::json;
use support::{MemoryStorage, Server, secret, tool};

const BUILTIN: &str = "v1.0.0+builtin.boltwork";

/// Writes when it is made, which is refused, and remembers what it was told.
struct Eager;

struct Made {
    storage: Arc<dyn Storage>,
}

impl Factory for Eager {
    fn create(&self, setup: Setup) -> BoxFuture<'_, Result<Arc<dyn Backend>, Error>> {
        Box::pin(async move {
            let refused = setup.storage.put(Entry::new("early", "x")).await;
            assert_eq!(refused, Err(StorageError::during_setup()));
            Ok(Arc::new(Made { storage: setup.storage }) as Arc<dyn Backend>)
        })
    }
}

impl Backend for Made {
    fn kind(&self) -> BackendKind {
        BackendKind::Secret
    }
    fn special_paths(&self) -> Arc<SpecialPaths> {
        Arc::default()
    }
    fn initialize(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async { Ok(self.storage.put(Entry::new("late", "x")).await?) })
    }
    fn handle(&self, _: Request) -> BoxFuture<'_, Result<Option<Reply>, Failure>> {
        Box::pin(async { Ok(None) })
    }
}

async fn with_builtin() -> Server {
    with_builtin_that_is("supported").await
}

async fn with_builtin_that_is(deprecation: &'static str) -> Server {
    Server::with(move |config| {
        config.start_timeout = Duration::from_secs(3);
        config.builtins = vec![Builtin {
            kind: PluginKind::Secret,
            name: "kv".into(),
            version: BUILTIN.into(),
            factory: Compiled::Backend(Arc::new(Eager)),
            deprecation,
        }];
    })
    .await
}

/// Puts an entry into the catalog as another server would have.
async fn stored(server: &Server, name: &str, version: &str) {
    let key = match version {
        "" => format!("secret/{name}"),
        version => format!("secret/{name}/{version}"),
    };
    let entry = json!({"name": name, "type": "secret", "version": version, "command": "x",
        "args": null, "env": null, "sha256": "AQI=", "builtin": false});
    server.catalog.put(Entry::new(key, entry.to_string())).await.unwrap();
}

async fn names(server: &Server) -> Vec<String> {
    let listed = server.host.list().await.unwrap();
    listed.iter().map(|entry| format!("{} {}", entry.id.name, entry.id.version)).collect()
}

#[tokio::test]
async fn a_builtin_writes_from_initialize_on_and_not_before() {
    let server = with_builtin().await;
    let mount = server.mount(&secret("kv", ""), "kv/").await.unwrap();
    assert!(mount.running.builtin);
    assert_eq!((mount.running.version.as_str(), mount.running.sha256.as_str()), (BUILTIN, ""));
    assert_eq!(mount.storage.list("").await.unwrap(), ["late"]);
}

#[tokio::test]
async fn lists_are_in_the_order_of_versions_and_an_unversioned_plugin_hides_the_builtin() {
    let server = with_builtin().await;
    for version in ["v1.10.0", "v1.2.0"] {
        stored(&server, "a/b", version).await;
    }
    server.catalog.put(Entry::new("pinned/secret/a", "{}")).await.unwrap();
    server.catalog.put(Entry::new("secret/broken", "no JSON")).await.unwrap();
    let builtin = format!("kv {BUILTIN}");
    assert_eq!(names(&server).await, ["a/b v1.2.0", "a/b v1.10.0", &builtin]);
    stored(&server, "kv", "").await;
    assert_eq!(names(&server).await, ["a/b v1.2.0", "a/b v1.10.0", "kv "]);
    assert!(server.host.get(&secret("kv", BUILTIN)).await.unwrap().is_none());
    server.host.deregister(&secret("kv", "")).await.unwrap();
    assert!(server.host.get(&secret("kv", BUILTIN)).await.unwrap().unwrap().builtin);
    let refused = server.host.deregister(&secret("kv", BUILTIN)).await.unwrap_err();
    assert_eq!(refused, Error::Invalid(format!("version {BUILTIN:?} cannot be deleted")));
}

#[tokio::test]
async fn the_version_of_a_new_mount_is_chosen_as_in_vault() {
    let server = with_builtin().await;
    let select = async |name, wanted| {
        server
            .host
            .select_version(PluginKind::Secret, name, wanted)
            .await
            .map_err(|e| e.to_string())
    };
    assert_eq!(select("kv", "").await.unwrap(), "");
    assert_eq!(select("kv", BUILTIN).await.unwrap(), "");
    assert!(select("kv", "junk").await.unwrap_err().contains("is not a valid semantic version"));
    let missing = select("kv", "v7.7.7").await.unwrap_err();
    assert_eq!(missing, "plugin not found in the catalog: kv, version=v7.7.7");
    for version in ["v1.9.0", "v1.10.0", "v1.10.0-beta1"] {
        stored(&server, "kv", version).await;
    }
    assert_eq!(select("kv", "").await.unwrap(), "v1.10.0");
    assert_eq!(select("kv", "1.10beta1").await.unwrap(), "v1.10.0-beta1", "the loose form");
    assert_eq!(select("kv", "1.9").await.unwrap(), "v1.9.0");
    stored(&server, "kv", "").await;
    assert_eq!(select("kv", "").await.unwrap(), "", "the unversioned one comes first");
    assert!(
        select("kv", BUILTIN).await.unwrap_err().contains("it is overridden by an unversioned")
    );
    let none = server.mount(&secret("nothing", ""), "x/").await.err().unwrap();
    assert_eq!(none.to_string(), "plugin not found in the catalog: nothing");
}

#[tokio::test]
async fn an_unversioned_name_is_not_mistaken_for_another_plugins_version() {
    let server = with_builtin().await;
    stored(&server, "a/v1.0.0", "").await;
    assert!(server.host.get(&secret("a", "v1.0.0")).await.unwrap().is_none());
    assert!(server.host.get(&secret("a/v1.0.0", "")).await.unwrap().is_some());
}

#[tokio::test]
async fn without_a_folder_no_external_plugin_counts() {
    let server = Server::with(|config| config.plugin_directory = None).await;
    stored(&server, "x", "").await;
    assert_eq!(names(&server).await, Vec::<String>::new());
    let registration = Registration {
        kind: "secret".into(),
        name: "x".into(),
        sha256: "ab".repeat(32),
        command: "x".into(),
        ..Registration::default()
    };
    let error = server.host.register(registration).await.unwrap_err();
    let text = "could not set plugin, plugin directory is not configured";
    assert_eq!(error, Error::Internal(text.into()));
}

#[tokio::test]
async fn a_sealed_catalog_answers_that_it_is_sealed() {
    let server = with_builtin().await;
    server.host.close().await;
    assert_eq!(server.host.get(&secret("x", "")).await, Err(Error::Sealed));
    server.host.open(Arc::new(MemoryStorage::default()), support::no_server()).await.unwrap();
    assert_eq!(server.host.get(&secret("x", "")).await, Ok(None));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_plugin_is_refused_with_its_reason_and_leaves_nothing() {
    let server = with_builtin().await;
    for (name, script, words) in [
        ("usage", "echo 'usage: x MODE' >&2", &["plugin exited", "usage: x MODE"][..]),
        ("chatty", "echo Starting up; sleep 100", &["Unrecognized remote plugin message"]),
        ("exits", "echo no file >&2; exit 7", &["plugin exited", "exit status: 7", "no file"]),
        ("aborts", "kill -ABRT $$", &["signal"]),
        ("silent", "sleep 100", &["timeout while waiting for plugin to start"]),
        ("core", "echo '2|5|unix|/x|grpc|'; sleep 9", &["incompatible core API version"]),
        ("older", "echo '1|2|unix|/x|grpc|'; sleep 9", &["incompatible API version", "version 2"]),
        ("rpc", "echo '1|5|unix|/x|netrpc|'; sleep 9", &["unsupported plugin protocol"]),
        ("plain", "echo '1|5|unix|/x|grpc|'; sleep 9", &["certificate"]),
    ] {
        let registration = server.script(name, &format!("#!/bin/sh\n{script}\n"));
        let error = server.host.register(registration).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{name}: {error}");
        let text = error.to_string();
        assert!(text.contains(name) && text.contains("was not registered"), "{text}");
        for word in words {
            assert!(text.contains(word), "{name}: {word:?} is not in: {text}");
        }
    }
    assert_eq!(names(&server).await, [format!("kv {BUILTIN}")]);
    server.expect_nothing_left().await;
    support::wait_for("no child is left", || support::children().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_starts_leak_no_descriptor() {
    let server = with_builtin().await;
    let registration = server.script("bad", "#!/bin/sh\nexit 1\n");
    let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let _ = server.host.register(registration.clone()).await.unwrap_err();
    let before = count();
    for _ in 0..20 {
        let _ = server.host.register(registration.clone()).await.unwrap_err();
    }
    // Other tests of this program open and close files meanwhile.
    support::wait_for("descriptors are closed", || count() <= before + 15).await;
    server.expect_nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_start_at_a_mount_names_the_plugin_and_is_not_the_callers_fault() {
    let server = with_builtin().await;
    stored(&server, "gone", "").await;
    let error = server.mount(&secret("gone", ""), "gone/").await.err().unwrap();
    let Error::Unavailable(text) = &error else { panic!("{error}") };
    assert!(text.contains("\"gone\"") && text.contains("no such file or directory"), "{text}");
}

#[tokio::test]
async fn a_pinned_version_is_what_runs_and_stays_registered() {
    let server = with_builtin().await;
    stored(&server, "kv", "v1.0.0").await;
    stored(&server, "kv", "v2.0.0").await;
    server.host.pin(&secret("kv", "v1.0.0")).await.unwrap();
    // The registered program is not there; the refusal tells which version was to start.
    let started = async |version| {
        let error = server.mount(&secret("kv", version), "kv/").await.err().unwrap();
        error.to_string()
    };
    for mounted in ["", "v2.0.0", BUILTIN] {
        assert!(started(mounted).await.contains("v1.0.0"), "{mounted:?}");
    }
    let refused = server.host.deregister(&secret("kv", "v1.0.0")).await.unwrap_err();
    assert_eq!(refused, Error::Invalid("cannot delete a pinned version".into()));
    server.host.deregister(&secret("kv", "v2.0.0")).await.unwrap();
    server.host.unpin(PluginKind::Secret, "kv").await.unwrap();
    server.host.deregister(&secret("kv", "v1.0.0")).await.unwrap();
    assert!(server.mount(&secret("kv", ""), "kv/").await.unwrap().running.builtin);
}

#[tokio::test]
async fn pins_outlive_a_seal_and_are_read_as_others_wrote_them() {
    let server = with_builtin().await;
    stored(&server, "a/b", "v1.0.0").await;
    server.host.pin(&secret("a/b", "v1.0.0")).await.unwrap();
    let theirs = json!({"name": "kv", "type": "secret", "version": "v3.0.0"}).to_string();
    server.catalog.put(Entry::new("pinned/secret/kv", theirs)).await.unwrap();
    server.host.close().await;
    server.host.open(server.catalog.clone(), support::no_server()).await.unwrap();
    let pins = server.host.pins().await.unwrap();
    assert_eq!(pins, [secret("a/b", "v1.0.0"), secret("kv", "v3.0.0")]);
    let pinned = server.host.pinned(PluginKind::Secret, "a/b").await.unwrap();
    assert_eq!(pinned, Some(secret("a/b", "v1.0.0")));
    assert_eq!(server.host.pinned(PluginKind::Auth, "a/b").await.unwrap(), None);
    // What is pinned but gone is not replaced by something else.
    let error = server.mount(&secret("kv", ""), "kv/").await.err().unwrap();
    assert_eq!(error.to_string(), "plugin not found in the catalog: kv, version=v3.0.0");
    server.catalog.put(Entry::new("pinned/secret/kv", "no JSON")).await.unwrap();
    let error = server.mount(&secret("kv", ""), "kv/").await.err().unwrap();
    assert!(error.to_string().contains("\"pinned/secret/kv\" cannot be read"), "{error}");
    assert_eq!(server.host.pins().await.unwrap(), [secret("a/b", "v1.0.0")]);
}

#[tokio::test]
async fn only_registered_versions_can_be_pinned() {
    let server = with_builtin().await;
    stored(&server, "x", "").await;
    for (name, version, text) in [
        ("x", "", "missing plugin version"),
        ("x", "v1.0.0", "secret plugin \"x\" version v1.0.0 does not exist"),
        (
            "kv",
            BUILTIN,
            "version \"v1.0.0+builtin.boltwork\" is not allowed because 'builtin' is a reserved \
             metadata identifier",
        ),
    ] {
        let error = server.host.pin(&secret(name, version)).await.unwrap_err();
        assert_eq!(error, Error::Invalid(text.into()));
    }
    server.host.unpin(PluginKind::Secret, "never").await.unwrap();
    assert_eq!(server.host.pins().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn pending_removal_a_plugin_of_the_same_name_takes_the_place_of_the_builtin() {
    let Some(program) = tool("mock-plugin") else { return };
    for deprecation in ["pending removal", "removed"] {
        let server = with_builtin_that_is(deprecation).await;
        let refused = server.mount(&secret("kv", BUILTIN), "old/").await.err().unwrap();
        let wanted = format!("mount entry associated with {deprecation} builtin");
        assert!(refused.to_string().ends_with(&wanted), "{refused}");
        server.host.register(server.install(&program, "kv")).await.unwrap();
        let mount = server.mount(&secret("kv", "v0.0.0+mock"), "new/").await.unwrap();
        assert!(!mount.running.builtin);
        assert_eq!(mount.running.deprecation, None);
        assert!(mount.read("internal").await.unwrap().is_some(), "it serves");
        mount.backend().cleanup().await;
        server.expect_nothing_left().await;
    }
}
