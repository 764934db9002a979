//! Version 2: what the recordings do not show: what is stored, what a crash leaves, who wins.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod support;

use std::sync::Arc;

use boltwork_sdk::logical::Operation;
use serde_json::{Value, json};
use support::{Lab, Mount, UUID, memory::Memory};

async fn mount() -> Lab {
    Lab::new("2").await
}

/// Whether a text stands anywhere in storage.
fn stored(mount: &Lab, needle: &str) -> bool {
    let contains = |bytes: &[u8]| bytes.windows(needle.len()).any(|w| w == needle.as_bytes());
    mount.storage.entries().iter().any(|(key, value)| contains(key.as_bytes()) || contains(value))
}

#[tokio::test]
async fn a_secret_is_returned_to_the_letter() {
    for mount in Mount::both(&[("version", "2")]).await {
        let secret =
            r#"{"n":12345678901234567890123,"f":1.50,"e":1E+2,"u":"\u00e9","o":{"b":1,"a":2}}"#;
        let body = format!(r#" {{ "data" : {secret} , "options" : {{}} }} "#);
        mount.ask_text(Operation::Update, "data/a", &body).await.ok();
        let request = mount.request(Operation::Read, "data/a");
        let reply = mount.backend.handle(request).await.unwrap().unwrap();
        assert!(reply.data.as_str().contains(secret), "{}", reply.data.as_str());
    }
}

#[tokio::test]
async fn reading_a_secret_costs_one_storage_read() {
    let mount = mount().await;
    for n in 0..3 {
        mount.write("data/a", json!({"data": {"n": n}})).await.ok();
    }
    let before = mount.storage.gets();
    assert_eq!(mount.read("data/a").await.at("data/n"), 2);
    assert_eq!(mount.storage.gets() - before, 1);
    assert_eq!(mount.read_with("data/a", json!({"version": "1"})).await.at("data/n"), 0);
    assert_eq!(mount.storage.gets() - before, 3);
}

#[tokio::test]
async fn the_settings_are_read_from_storage_once() {
    let mount = mount().await;
    mount.write("data/a", json!({"data": {}})).await.ok();
    let before = mount.storage.gets();
    mount.write("data/a", json!({"data": {}})).await.ok();
    // The existence check and the change itself.
    assert_eq!(mount.storage.gets() - before, 2);
}

#[tokio::test]
async fn settings_changed_elsewhere_are_noticed_when_the_server_says_so() {
    let storage = Arc::new(Memory::default());
    let one = Lab::over("2", Arc::clone(&storage)).await;
    let other = Lab::over("2", storage).await;
    assert_eq!(one.read("config").await.at("max_versions"), 0);
    other.write("config", json!({"max_versions": 3})).await.ok();
    one.backend.invalidate(&format!("{UUID}/settings")).await;
    assert_eq!(one.read("config").await.at("max_versions"), 3);
}

#[tokio::test]
async fn data_of_versions_that_had_to_go_is_not_kept() {
    for storage in [Arc::new(Memory::default()), Memory::without_transactions()] {
        let mount = Lab::over("2", storage).await;
        mount.write("config", json!({"max_versions": 2})).await.ok();
        for n in 1..=5 {
            mount.write("data/a", json!({"data": {"word": format!("hunter{n}")}})).await.ok();
            for old in 1..=5 {
                let kept = old <= n && old + 2 > n;
                assert_eq!(stored(&mount, &format!("hunter{old}")), kept, "{old} after {n}");
            }
        }
    }
}

#[tokio::test]
async fn destroyed_and_removed_data_is_gone_from_storage() {
    for storage in [Arc::new(Memory::default()), Memory::without_transactions()] {
        let mount = Lab::over("2", storage).await;
        for n in 1..=3 {
            mount.write("data/a", json!({"data": {"word": format!("hunter{n}")}})).await.ok();
        }
        mount.write("destroy/a", json!({"versions": [1, 3]})).await.ok();
        assert!(!stored(&mount, "hunter1") && stored(&mount, "hunter2"));
        assert!(!stored(&mount, "hunter3"));
        assert_eq!(mount.read("data/a").await.status, 404);
        // A destroyed current version does not come back as an old one.
        mount.write("data/a", json!({"data": {"word": "hunter4"}})).await.ok();
        assert_eq!(mount.read_with("data/a", json!({"version": 3})).await.status, 404);
        mount.delete("metadata/a").await.ok();
        assert!(!stored(&mount, "hunter") && !stored(&mount, "/a"));
    }
}

#[tokio::test]
async fn keys_and_folders_of_the_same_names_do_not_meet() {
    for mount in Mount::both(&[("version", "2")]).await {
        for path in ["a", "a/1", "a/1/2", "a/b"] {
            for n in 0..3 {
                mount
                    .write(&format!("data/{path}"), json!({"data": {"at": path, "n": n}}))
                    .await
                    .ok();
            }
        }
        for path in ["a", "a/1", "a/1/2", "a/b"] {
            for n in 0..3 {
                let version = json!({"version": n + 1});
                let answer = mount.read_with(&format!("data/{path}"), version).await.ok();
                assert_eq!(answer.at("data"), &json!({"at": path, "n": n}));
            }
        }
        mount.delete("metadata/a").await.ok();
        assert_eq!(mount.read("data/a/1").await.at("data/n"), 2);
        assert_eq!(mount.list("metadata/a").await.at("keys"), &json!(["1", "1/", "b"]));
    }
}

#[tokio::test]
async fn a_null_resets_a_setting() {
    for mount in Mount::both(&[("version", "2")]).await {
        let settings = json!({
            "max_versions": 3, "cas_required": true, "delete_version_after": "1h",
            "metadata_cas_required": true, "custom_metadata": {"a": "b"},
        });
        mount.write("metadata/a", settings).await.ok();
        let reset = json!({
            "max_versions": null, "cas_required": null, "delete_version_after": null,
            "metadata_cas_required": null, "custom_metadata": null, "metadata_cas": 1,
        });
        mount.patch("metadata/a", reset).await.ok();
        let answer = mount.read("metadata/a").await;
        for (name, value) in [
            ("max_versions", json!(0)),
            ("cas_required", json!(false)),
            ("metadata_cas_required", json!(false)),
            ("delete_version_after", json!("0s")),
            ("custom_metadata", Value::Null),
            ("current_metadata_version", json!(2)),
        ] {
            assert_eq!(answer.at(name), &value, "{name}");
        }
    }
}

#[tokio::test]
async fn a_limit_beyond_all_numbers_is_no_limit() {
    for mount in Mount::both(&[("version", "2")]).await {
        for limit in [json!(-1), json!(4_294_967_296_i64), json!("9223372036854775807")] {
            mount.write("config", json!({"max_versions": limit})).await.ok();
            assert_eq!(mount.read("config").await.at("max_versions"), u32::MAX, "{limit}");
        }
    }
}

/// Writes to one key from many tasks, spread over mounts of the same storage, and reads everything
/// back.
async fn write_from_many_tasks(mounts: Vec<Arc<Lab>>) {
    const WRITES: u64 = 40;
    mounts[0].write("config", json!({"max_versions": 1000})).await.ok();
    let writers: Vec<_> = (0..WRITES)
        .map(|n| {
            let mount = Arc::clone(&mounts[n as usize % mounts.len()]);
            tokio::spawn(async move {
                let answer = mount.write("data/a", json!({"data": {"n": n}})).await.ok();
                (answer.at("version").as_u64().unwrap(), n)
            })
        })
        .collect();
    let mut given = std::collections::BTreeMap::new();
    for writer in writers {
        let (version, n) = writer.await.unwrap();
        assert_eq!(given.insert(version, n), None, "version {version} was given twice");
    }
    assert_eq!(given.keys().copied().collect::<Vec<_>>(), (1..=WRITES).collect::<Vec<_>>());
    for (version, n) in given {
        let answer = mounts[0].read_with("data/a", json!({"version": version})).await;
        assert_eq!(answer.at("data/n"), n, "version {version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_version_is_lost_between_writers_in_two_processes() {
    let storage = Arc::new(Memory::default());
    let one = Arc::new(Lab::over("2", Arc::clone(&storage)).await);
    write_from_many_tasks(vec![one, Arc::new(Lab::over("2", storage).await)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_version_is_lost_between_writers_in_one_process_without_transactions() {
    let storage = Memory::without_transactions();
    write_from_many_tasks(vec![Arc::new(Lab::over("2", storage).await)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_writers_that_expect_the_same_version_one_wins() {
    let storage = Arc::new(Memory::default());
    let mounts = [
        Arc::new(Lab::over("2", Arc::clone(&storage)).await),
        Arc::new(Lab::over("2", storage).await),
    ];
    for round in 0..20 {
        let writers: Vec<_> = (0..8)
            .map(|n| {
                let mount = Arc::clone(&mounts[n % 2]);
                let body = json!({"data": {"n": n}, "options": {"cas": round}});
                tokio::spawn(async move { mount.write("data/a", body).await.status })
            })
            .collect();
        let mut won = 0;
        for writer in writers {
            match writer.await.unwrap() {
                200 => won += 1,
                status => assert_eq!(status, 400),
            }
        }
        assert_eq!(won, 1, "round {round}");
    }
}

/// What can be seen of the key `a`: its versions with their data, all readable.
async fn history(mount: &Mount) -> Vec<Value> {
    let metadata = mount.read("metadata/a").await;
    let Some(versions) = metadata.at("versions").as_object() else { return Vec::new() };
    let mut history = Vec::new();
    for (version, facts) in versions {
        let answer = mount.read_with("data/a", json!({"version": version})).await;
        if facts["destroyed"] == true {
            assert_eq!(answer.status, 404, "version {version}");
        } else {
            assert_eq!(answer.status, 200, "version {version}: {answer:?}");
            history.push(answer.at("data/n").clone());
        }
    }
    history
}

/// Runs an operation whose storage fails after every possible number of writes, checks that the
/// history is the one before or the one after, and that the operation can be done again.
async fn cut_short(storage: fn() -> Arc<Memory>, operation: &str, path: &str, body: Value) {
    for writes in 0.. {
        let mount = Lab::over("2", storage()).await;
        mount.write("config", json!({"max_versions": 3})).await.ok();
        for n in 1..=4 {
            mount.write("data/a", json!({"data": {"n": n}})).await.ok();
        }
        let before = history(&mount).await;
        let operation = Operation::parse(operation).unwrap();
        mount.storage.fail_after(writes);
        let answer = mount.ask(operation, path, body.clone()).await;
        let done = answer.status < 300;
        mount.storage.heal();
        let after = Lab::over("2", Arc::clone(&mount.storage)).await;
        let seen = history(&after).await;
        if !done {
            after.ask(operation, path, body.clone()).await.ok();
        }
        let wanted = history(&after).await;
        assert!(
            seen == before || seen == wanted,
            "{operation} {path} cut short after {writes} writes: {seen:?}"
        );
        if done && answer.warnings.is_empty() {
            return assert!(writes > 0, "{operation} {path} wrote nothing");
        }
    }
}

#[tokio::test]
async fn a_write_cut_short_anywhere_loses_no_version() {
    let patched = json!({"data": {"n": 9}});
    for storage in [|| Arc::new(Memory::default()), Memory::without_transactions] {
        cut_short(storage, "update", "data/a", patched.clone()).await;
        cut_short(storage, "patch", "data/a", patched.clone()).await;
        cut_short(storage, "update", "destroy/a", json!({"versions": [4]})).await;
        cut_short(storage, "update", "destroy/a", json!({"versions": [2, 3, 4]})).await;
        cut_short(storage, "update", "metadata/a", json!({"max_versions": 2})).await;
    }
}

#[tokio::test]
async fn a_removal_cut_short_can_be_done_again() {
    for storage in [|| Arc::new(Memory::default()), Memory::without_transactions] {
        for writes in 0.. {
            let mount = Lab::over("2", storage()).await;
            for n in 1..=3 {
                mount.write("data/a", json!({"data": {"word": "hunter", "n": n}})).await.ok();
            }
            mount.storage.fail_after(writes);
            let status = mount.delete("metadata/a").await.status;
            mount.storage.heal();
            // The key is there with its current version, or it is gone: never half.
            match mount.read("data/a").await {
                answer if answer.status == 200 => assert_eq!(answer.at("data/n"), 3),
                answer => assert_eq!((answer.status, status), (404, 204)),
            }
            mount.delete("metadata/a").await.ok();
            assert!(!stored(&mount, "hunter"));
            if status == 204 {
                break;
            }
        }
    }
}

#[tokio::test]
async fn old_versions_that_could_not_be_removed_are_removed_by_the_next_write() {
    let mount = Lab::over("2", Memory::without_transactions()).await;
    mount.write("metadata/a", json!({"max_versions": 1})).await.ok();
    mount.write("metadata/a", json!({"max_versions": 3})).await.ok();
    for n in 1..=3 {
        mount.write("data/a", json!({"data": {"word": format!("hunter{n}")}})).await.ok();
    }
    // The version before moves, the record is stored; then the removal fails.
    mount.storage.fail_after(2);
    let answer = mount.write("data/a", json!({"data": {"word": "hunter4"}})).await.ok();
    mount.storage.heal();
    assert!(answer.warnings[0].starts_with("error occurred when cleaning up old versions"));
    assert!(stored(&mount, "hunter1"));
    assert_eq!(mount.read_with("data/a", json!({"version": 1})).await.status, 404);
    mount.write("data/a", json!({"data": {"word": "hunter5"}})).await.ok();
    assert!(!stored(&mount, "hunter1") && !stored(&mount, "hunter2"));
    assert!(stored(&mount, "hunter3"));
}

#[tokio::test]
async fn a_failed_write_in_a_transaction_changes_nothing_at_all() {
    let mount = mount().await;
    mount.write("data/a", json!({"data": {"n": 1}})).await.ok();
    let before = mount.storage.entries();
    mount.storage.fail_after(0);
    let answer = mount.write("data/a", json!({"data": {"n": "hunter2"}})).await;
    assert_eq!(answer.status, 500);
    assert!(!answer.errors[0].contains("hunter2"));
    assert_eq!(mount.storage.entries(), before);
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_is_named_and_not_quoted() {
    let mount = mount().await;
    mount.storage.set(&format!("{UUID}/meta/a"), "hunter2");
    mount.storage.set(&format!("{UUID}/settings"), "hunter2");
    for answer in [
        mount.read("data/a").await,
        mount.read("metadata/a").await,
        mount.write("data/b", json!({"data": {}})).await,
        mount.read("config").await,
    ] {
        assert_eq!(answer.status, 500);
        assert!(answer.errors[0].contains(UUID) && !answer.errors[0].contains("hunter2"));
    }
}

#[tokio::test]
async fn what_was_sent_is_in_no_error() {
    for mount in Mount::both(&[("version", "2")]).await {
        for (path, body) in [
            ("data/a", json!({"data": "hunter2"})),
            ("data/a", json!({"data": {}, "options": "hunter2"})),
            ("data/a", json!({"data": {}, "options": {"cas": "hunter2"}})),
            ("config", json!({"max_versions": "hunter2"})),
            ("config", json!({"delete_version_after": "hunter2"})),
            ("metadata/a", json!({"delete_version_after": "hunter2"})),
            ("metadata/a", json!({"custom_metadata": {"k": ["hunter2"]}})),
            ("metadata/a", json!({"custom_metadata": {"k": "hunter2\u{7}"}})),
            ("delete/a", json!({"versions": "hunter2"})),
        ] {
            let answer = mount.write(path, body.clone()).await;
            assert_eq!(answer.status, 400, "{path} {body}");
            assert!(!answer.errors[0].contains("hunter2"), "{}", answer.errors[0]);
        }
    }
}

#[tokio::test]
async fn every_path_explains_itself() {
    for (version, paths) in [
        ("1", &["", "a"][..]),
        (
            "2",
            &[
                "",
                "config",
                "data/a",
                "delete/a",
                "undelete/a",
                "destroy/a",
                "subkeys/a",
                "metadata/a",
                "detailed-metadata/a",
                "anything",
            ],
        ),
    ] {
        for mount in Mount::both(&[("version", version)]).await {
            for path in paths {
                let answer = mount.ask(Operation::Help, path, json!({})).await;
                let help = answer.at("help").as_str().unwrap_or_default().to_owned();
                assert!(answer.status == 200 && help.len() > 80, "{version} {path}: {answer:?}");
            }
        }
    }
}
