//! Mounts: made, changed and removed, with plugins and storage that fail at every step.

mod harness;

use std::{sync::atomic::Ordering, time::Duration};

use boltwork_logical::{Error, Failure, Operation};
use harness::{Server, fields, is_plain_denial, refusal, request, until};
use serde_json::{Value, json};

async fn disable(server: &Server, path: &str) -> Result<(), Failure> {
    let path = format!("sys/mounts/{path}");
    server.root(Operation::Delete, &path, Value::Null).await.map(|_| ())
}

async fn reload(server: &Server, path: &str) -> Result<(), String> {
    let body = json!({ "mounts": [path] });
    match server.root(Operation::Update, "sys/plugins/reload/backend", body).await {
        Ok(Some(reply)) => reply.error_text().map_or(Ok(()), Err),
        Ok(None) => Ok(()),
        Err(failure) => Err(failure.error.to_string()),
    }
}

fn ok(result: Result<Option<boltwork_logical::Reply>, Failure>) -> bool {
    matches!(&result, Ok(reply) if reply.as_ref().is_none_or(|r| r.error_text().is_none()))
}

#[tokio::test]
async fn a_failed_enable_leaves_nothing() {
    let server = Server::start().await;
    let written = server.storage.batches_written();
    for kind in ["broken", "uninitializable", "unheard-of", "login", "", "system", "token"] {
        assert!(!ok(server.enable("x", kind).await), "{kind}");
        assert!(server.mount("x/").await.is_none(), "{kind}");
        assert_eq!(server.plugins.alive(), 0, "{kind}");
    }
    assert!(server.storage.batches_written() > written, "one of them wrote something");
    server.enable("x", "good").await.expect("the path is free");
    assert!(server.read(&server.root, "x/at/made-at-start").await.is_ok());
}

#[tokio::test]
async fn an_enable_that_cannot_be_stored_leaves_nothing() {
    let server = Server::start().await;
    // The first write notes that it is being made, the second is the engine's own while it is
    // initialized.
    server.storage.fail_nth_write(3);
    let text = refusal(server.enable("x", "good").await);
    assert!(text.contains("nothing was changed"), "{text}");
    assert!(server.mount("x/").await.is_none());
    assert_eq!(server.plugins.alive(), 0);
    server.restart().await;
    assert!(server.mount("x/").await.is_none());
}

#[tokio::test]
async fn a_path_is_taken_once_however_many_ask_at_the_same_time() {
    let server = Server::start().await;
    server.plugins.switches.hold_creation.store(true, Ordering::SeqCst);
    let enable = |path: &'static str| {
        let (core, root) = (server.core.clone(), server.root.clone());
        tokio::spawn(async move {
            let path = format!("sys/mounts/{path}");
            let body = json!({ "type": "good" });
            core.handle(request(&root, Operation::Update, &path, body)).await.result
        })
    };
    let first = enable("x");
    until("the plugin is starting", async || {
        server.plugins.switches.waiting.load(Ordering::SeqCst) == 1
    })
    .await;
    for path in ["x", "x/below"] {
        let text = refusal(enable(path).await.expect("join"));
        assert_eq!(text, "path is already in use at x/");
    }
    server.plugins.release();
    assert!(ok(first.await.expect("join")));
    assert_eq!(server.plugins.alive(), 1);
}

#[tokio::test]
async fn a_plugin_that_is_slow_to_start_holds_up_no_other_change() {
    let server = Server::with_engine().await;
    server.plugins.switches.hold_creation.store(true, Ordering::SeqCst);
    let (core, root) = (server.core.clone(), server.root.clone());
    let slow = tokio::spawn(async move {
        let body = json!({ "type": "good" });
        core.handle(request(&root, Operation::Update, "sys/mounts/slow", body)).await.result
    });
    until("it is starting", async || server.plugins.switches.waiting.load(Ordering::SeqCst) == 1)
        .await;
    let body = json!({ "description": "new" });
    let path = "sys/mounts/kv/tune";
    assert!(ok(server.root(Operation::Update, path, body).await));
    disable(&server, "kv").await.expect("disable");
    assert!(!slow.is_finished());
    server.plugins.release();
    assert!(ok(slow.await.expect("join")));
    assert!(server.mount("slow/").await.is_some() && server.mount("kv/").await.is_none());
}

#[tokio::test]
async fn a_mount_is_finished_even_if_the_client_goes_away() {
    let server = Server::start().await;
    server.plugins.switches.hold_creation.store(true, Ordering::SeqCst);
    let (core, root) = (server.core.clone(), server.root.clone());
    let client = tokio::spawn(async move {
        let body = json!({ "type": "good" });
        core.handle(request(&root, Operation::Update, "sys/mounts/x", body)).await
    });
    until("it is starting", async || server.plugins.switches.waiting.load(Ordering::SeqCst) == 1)
        .await;
    client.abort();
    server.plugins.release();
    until("it is mounted", async || server.mount("x/").await.is_some()).await;
    server.restart().await;
    assert!(server.mount("x/").await.is_some(), "and stored");
}

/// State and reason of a mount for which nothing runs.
async fn status_of(server: &Server, point: &str) -> (String, String) {
    let status = fields(server.read(&server.root, "sys/plugins/status").await);
    let plugins = status["plugins"].as_array().expect("a list");
    let found = plugins.iter().find(|it| it["mounts"] == json!([point])).expect("it is listed");
    let text = |field: &str| found[field].as_str().expect("a text").to_owned();
    (text("state"), text("last_exit"))
}

#[tokio::test]
async fn a_mount_whose_backend_cannot_start_is_listed_with_its_reason_and_can_be_reloaded_or_disabled()
 {
    let server = Server::with_engine().await;
    server.enable("other", "good").await.expect("enable");
    server.write(&server.root, "kv/at/x", json!({ "a": 1 })).await.expect("write");
    server.plugins.switches.fail_creation.store(true, Ordering::SeqCst);
    server.restart().await;
    until("it has failed", async || {
        server.mount("kv/").await.is_some_and(|info| info["state"] == "unavailable")
    })
    .await;
    let info = server.mount("kv/").await.expect("listed");
    assert!(info["state_reason"].as_str().is_some_and(|r| r.contains("cannot be created")));
    let (state, reason) = status_of(&server, "kv/").await;
    assert!(state == "unavailable" && reason.contains("cannot be created"), "{state}: {reason}");
    let result = server.read(&server.root, "kv/at/x").await;
    assert!(matches!(&result, Err(Failure { error: Error::Unavailable(_), .. })));
    assert!(refusal(result).contains("cannot be created"));
    assert!(is_plain_denial(&server.read("", "kv/at/x").await));

    assert!(reload(&server, "kv").await.is_err());
    disable(&server, "other").await.expect("disable");
    server.plugins.switches.fail_creation.store(false, Ordering::SeqCst);
    reload(&server, "kv").await.expect("reload");
    assert_eq!(fields(server.read(&server.root, "kv/at/x").await)["a"], 1);
    assert!(server.mount("other/").await.is_none());
}

#[tokio::test]
async fn unsealing_does_not_wait_for_a_plugin_and_sealing_does_not_leak_it() {
    let server = Server::with_engine().await;
    server.core.shut_down().await;
    assert_eq!(server.plugins.alive(), 0, "sealing ends every backend");
    server.plugins.switches.hold_creation.store(true, Ordering::SeqCst);
    server.core.unseal(&server.share).await.expect("unseal");
    assert!(server.mount("kv/").await.is_some());
    until("it is starting", async || server.plugins.switches.waiting.load(Ordering::SeqCst) == 1)
        .await;
    assert_eq!(status_of(&server, "kv/").await, ("starting".to_owned(), String::new()));
    server.core.shut_down().await;
    server.plugins.release();
    until("what came up too late is gone", async || server.plugins.alive() == 0).await;
    server.core.unseal(&server.share).await.expect("unseal");
    assert!(server.read(&server.root, "kv/echo").await.is_ok());
}

#[tokio::test]
async fn sealing_ends_every_backend_and_refuses_every_request() {
    let server = Server::with_engine().await;
    for path in ["a", "b", "c"] {
        server.enable(path, "good").await.expect("enable");
    }
    assert_eq!(server.plugins.alive(), 4);
    server.root(Operation::Update, "sys/seal", Value::Null).await.expect("seal");
    assert!(server.core.is_sealed());
    let result = server.read(&server.root, "kv/echo").await;
    assert!(matches!(result, Err(Failure { error: Error::Sealed, .. })));
    // At once, while the old life is still ending.
    server.core.unseal(&server.share).await.expect("unseal");
    assert!(server.read(&server.root, "kv/echo").await.is_ok());
    until("all are back", async || server.plugins.alive() == 4).await;
}

#[tokio::test]
async fn a_removed_mount_answers_no_more_and_removing_it_again_is_no_error() {
    let server = Server::with_engine().await;
    disable(&server, "kv").await.expect("disable");
    disable(&server, "kv").await.expect("a second time is no error");
    assert_eq!(server.plugins.alive(), 0);
    assert!(server.read(&server.root, "kv/at/x").await.is_err());
}

#[tokio::test]
async fn an_interrupted_disable_is_finished_after_unseal() {
    let server = Server::with_engine().await;
    server.write(&server.root, "kv/at/x", json!({ "a": 1 })).await.expect("write");
    // The first write marks the mount, the second is the first deletion.
    server.storage.fail_nth_write(2);
    assert!(disable(&server, "kv").await.is_err());
    assert!(server.read(&server.root, "kv/at/x").await.is_err(), "it does not come back");
    server.restart().await;
    until("it is gone", async || server.mount("kv/").await.is_none()).await;
    server.enable("kv", "good").await.expect("enable");
    assert!(server.read(&server.root, "kv/at/x").await.expect("read").is_none());
}

#[tokio::test]
async fn a_disable_that_cannot_be_stored_changes_nothing() {
    let server = Server::with_engine().await;
    server.storage.fail_nth_write(1);
    assert!(disable(&server, "kv").await.is_err());
    assert!(server.read(&server.root, "kv/echo").await.is_ok());
}

#[tokio::test]
async fn the_tokens_of_an_auth_method_end_with_it() {
    let server = Server::start().await;
    let body = json!({ "type": "login" });
    server.root(Operation::Update, "sys/auth/in", body).await.expect("enable");
    let reply = server.write("", "auth/in/login", Value::Null).await;
    let auth = reply.expect("login").expect("a reply").auth.expect("a token");
    let other = server.token(json!({})).await;
    server.root(Operation::Delete, "sys/auth/in", Value::Null).await.expect("disable");
    assert!(!server.is_good(auth.client_token.expose()).await);
    assert!(server.is_good(&other).await);
}

#[tokio::test]
async fn new_options_that_no_backend_takes_change_nothing() {
    let server = Server::with_engine().await;
    server.write(&server.root, "kv/at/x", json!({ "a": 1 })).await.expect("write");
    let tune = async || {
        let body = json!({ "options": { "colour": "red" } });
        server.root(Operation::Update, "sys/mounts/kv/tune", body).await
    };
    let options = async || server.mount("kv/").await.expect("listed")["options"].clone();
    let switches = &server.plugins.switches;

    switches.fail_creation.store(true, Ordering::SeqCst);
    assert!(!ok(tune().await));
    switches.fail_creation.store(false, Ordering::SeqCst);
    switches.fail_initialization.store(true, Ordering::SeqCst);
    assert!(!ok(tune().await));
    switches.fail_initialization.store(false, Ordering::SeqCst);
    // One write is the new backend's own.
    server.storage.fail_nth_write(2);
    assert!(!ok(tune().await));
    assert_eq!(options().await, json!({}));
    assert_eq!(fields(server.read(&server.root, "kv/at/x").await)["a"], 1);
    assert_eq!(server.plugins.alive(), 1);

    assert!(ok(tune().await));
    assert_eq!(options().await, json!({ "colour": "red" }));
    assert_eq!(server.plugins.alive(), 1);
    server.restart().await;
    assert_eq!(options().await, json!({ "colour": "red" }));
}

#[tokio::test]
async fn a_mount_without_a_backend_can_be_tuned_and_says_so() {
    let server = Server::with_engine().await;
    server.plugins.switches.fail_creation.store(true, Ordering::SeqCst);
    server.restart().await;
    let body = json!({ "options": { "colour": "red" } });
    let reply = server.root(Operation::Update, "sys/mounts/kv/tune", body).await;
    let reply = reply.expect("tune").expect("a warning");
    assert!(reply.warnings[0].contains("still unavailable"), "{:?}", reply.warnings);
    let info = server.mount("kv/").await.expect("listed");
    assert_eq!(info["options"], json!({ "colour": "red" }));
    assert_eq!(info["state"], "unavailable");
}

#[tokio::test]
async fn a_moved_mount_keeps_its_data_and_a_move_that_fails_moves_nothing() {
    let server = Server::with_engine().await;
    server.write(&server.root, "kv/at/x", json!({ "a": 1 })).await.expect("write");
    let to = async |to: &str| {
        let body = json!({ "from": "kv", "to": to });
        server.root(Operation::Update, "sys/remount", body).await
    };
    server.storage.fail_nth_write(1);
    assert!(!ok(to("new").await));
    for place in ["sys/x", "auth/x", "cubbyhole", "kv"] {
        assert!(!ok(to(place).await), "{place}");
    }
    assert_eq!(fields(server.read(&server.root, "kv/at/x").await)["a"], 1);
    assert!(ok(to("new").await));
    for _ in 0..2 {
        assert_eq!(fields(server.read(&server.root, "new/at/x").await)["a"], 1);
        assert!(server.mount("kv/").await.is_none());
        server.restart().await;
    }
}

#[tokio::test]
async fn the_cores_own_mounts_stay_where_they_are() {
    let server = Server::start().await;
    for path in ["sys/mounts/sys", "sys/mounts/cubbyhole", "sys/auth/token"] {
        assert!(!ok(server.root(Operation::Delete, path, Value::Null).await), "{path}");
    }
    for from in ["sys", "cubbyhole", "auth/token"] {
        let body = json!({ "from": from, "to": "elsewhere" });
        assert!(!ok(server.root(Operation::Update, "sys/remount", body).await), "{from}");
    }
    assert!(reload(&server, "cubbyhole").await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_go_on_while_a_mount_is_reloaded_again_and_again() {
    let server = Server::with_engine().await;
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (core, root) = (server.core.clone(), server.root.clone());
            tokio::spawn(async move {
                let mut read = 0;
                for _ in 0..300 {
                    let inbound = request(&root, Operation::Read, "kv/echo", Value::Null);
                    core.handle(inbound).await.result.expect("read");
                    read += 1;
                }
                read
            })
        })
        .collect();
    for _ in 0..20 {
        reload(&server, "kv").await.expect("reload");
    }
    for reader in readers {
        let read = tokio::time::timeout(Duration::from_secs(20), reader).await;
        assert_eq!(read.expect("in time").expect("join"), 300);
    }
    assert_eq!(server.plugins.alive(), 1);
}

#[tokio::test]
async fn every_backend_is_rolled_back_once_a_minute() {
    let server = Server::with_engine().await;
    let before = server.plugins.requests();
    tokio::time::pause();
    tokio::time::sleep(std::time::Duration::from_secs(61)).await;
    let after_one = server.plugins.requests();
    assert!(after_one > before, "one minute, one rollback");
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert!(server.plugins.requests() > after_one, "and one a minute later");
}

#[tokio::test]
async fn enabling_a_deprecated_built_in_warns_and_its_mount_says_so() {
    let server = Server::start().await;
    let reply = server.enable("x", "old").await.expect("it is enabled").expect("it has a warning");
    assert_eq!(reply.warnings, ["mount entry associated with deprecated builtin"]);
    assert_eq!(server.mount("x/").await.expect("it is listed")["deprecation_status"], "deprecated");
    server.enable("y", "good").await.expect("it is enabled");
    assert!(server.mount("y/").await.expect("it is listed").get("deprecation_status").is_none());
}

#[tokio::test]
async fn a_removal_that_failed_over_a_lease_of_the_last_moment_can_be_asked_for_again() {
    let server = Server::with_engine().await;
    server.plugins.switches.hold_credentials.store(true, Ordering::SeqCst);
    let (core, root) = (server.core.clone(), server.root.clone());
    let asked = tokio::spawn(async move {
        core.handle(request(&root, Operation::Read, "kv/creds", Value::Null)).await.result
    });
    let switches = &server.plugins.switches;
    until("it is asked", async || switches.waiting.load(Ordering::SeqCst) == 1).await;
    let (core, root) = (server.core.clone(), server.root.clone());
    let removing = tokio::spawn(async move {
        core.handle(request(&root, Operation::Delete, "sys/mounts/kv", Value::Null)).await.result
    });
    until("it is being removed", async || {
        server.mount("kv/").await.is_some_and(|info| info["state"] == "unavailable")
    })
    .await;
    // The lease is stored, and cannot be removed again.
    server.storage.fail_writes_from(2);
    switches.hold_credentials.store(false, Ordering::SeqCst);
    switches.go.notify_waiters();
    assert!(ok(asked.await.expect("join")), "the lease is given");
    assert!(!ok(removing.await.expect("join")));
    server.storage.lift();
    disable(&server, "kv").await.expect("disable");
    assert!(server.mount("kv/").await.is_none());
    let left = server.root(Operation::List, "sys/leases/lookup/kv/creds/", Value::Null).await;
    let left = left.expect("list").map(|reply| reply.data.fields().expect("fields"));
    assert!(left.is_none_or(|left| left.is_empty()), "and no lease is left");
}

#[tokio::test]
async fn a_removal_that_was_written_is_carried_on_though_storage_says_that_it_was_not() {
    let server = Server::with_engine().await;
    server.write(&server.root, "kv/at/x", json!({ "a": 1 })).await.expect("write");
    // Otherwise the mount would serve on, and be gone after the next start.
    server.storage.lose_nth_answer(1);
    assert!(ok(server.root(Operation::Delete, "sys/mounts/kv", Value::Null).await));
    assert!(server.mount("kv/").await.is_none());
    let server = server.start_anew().await;
    assert!(server.mount("kv/").await.is_none());
}
