//! What only the SQLite engine has: grouping, the file and its lock, and the words for what is wrong with it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use boltwork_storage::{Batch, Check, Error, Physical as _, Sqlite, SqliteConfig, Write};

mod folder;
use folder::Folder;

fn config(folder: &Folder) -> SqliteConfig {
    SqliteConfig::new(folder.path().join("data.db"))
}

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).expect("exists").permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_batches_share_commits() {
    let folder = Folder::new();
    let engine = Arc::new(Sqlite::open(&config(&folder)).expect("open"));
    // One large batch keeps the writer busy while all others queue up behind it.
    let writes =
        (0..4000).map(|n| Write::Put { key: format!("large/{n}"), value: vec![1; 2000] }).collect();
    let large = tokio::spawn({
        let engine = engine.clone();
        async move { engine.apply(Batch { checks: vec![], writes }).await }
    });
    while engine.stats().batches == 0 {
        tokio::task::yield_now().await;
    }
    let tasks: Vec<_> = (0..500)
        .map(|n| {
            let engine = engine.clone();
            tokio::spawn(async move { engine.apply(Batch::put(format!("k{n}"), vec![2])).await })
        })
        .collect();
    large.await.expect("task").expect("write");
    for task in tasks {
        task.await.expect("task").expect("write");
    }
    let stats = engine.stats();
    assert_eq!(stats.batches, 501);
    assert!(stats.commits < 100, "501 batches took {} commits", stats.commits);
    for n in 0..500 {
        assert_eq!(engine.get(&format!("k{n}")).await.expect("read"), Some(vec![2]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_group_a_conflicting_batch_fails_alone() {
    let folder = Folder::new();
    let engine = Arc::new(Sqlite::open(&config(&folder)).expect("open"));
    let tasks: Vec<_> = (0..400)
        .map(|n| {
            let engine = engine.clone();
            tokio::spawn(async move {
                // Every fourth expects something that is not there.
                let expected = (n % 4 == 0).then(|| b"never".to_vec());
                let writes = vec![
                    Write::Put { key: format!("a/{n}"), value: vec![1] },
                    Write::Put { key: format!("b/{n}"), value: vec![2] },
                ];
                let checks = vec![Check::Value { key: format!("a/{n}"), expected }];
                (n, engine.apply(Batch { checks, writes }).await)
            })
        })
        .collect();
    for task in tasks {
        let (n, outcome) = task.await.expect("task");
        let there = engine.get(&format!("a/{n}")).await.expect("read").is_some();
        match outcome {
            Ok(()) => assert!(n % 4 != 0 && there, "{n}"),
            Err(Error::Conflict) => assert!(n % 4 == 0 && !there, "{n}"),
            Err(e) => panic!("{e}"),
        }
    }
}

#[tokio::test]
async fn what_was_written_is_there_after_reopening() {
    let folder = Folder::new();
    let engine = Sqlite::open(&config(&folder)).expect("open");
    engine.apply(Batch::put("k", b"v".to_vec())).await.expect("write");
    drop(engine);
    let log = folder.path().join("data.db-wal");
    assert!(!log.exists(), "a clean close folds the write-ahead log into the file");
    let engine = Sqlite::open(&config(&folder)).expect("open again");
    assert_eq!(engine.get("k").await.expect("read"), Some(b"v".to_vec()));
}

#[tokio::test]
async fn a_full_store_says_so_writes_nothing_and_recovers() {
    let folder = Folder::new();
    let mut config = config(&folder);
    config.max_bytes = Some(400 << 10);
    let engine = Sqlite::open(&config).expect("open");
    let mut kept = Vec::new();
    let error = loop {
        let key = format!("k/{:04}", kept.len());
        let twin = Write::Put { key: format!("{key}-twin"), value: vec![1; 3000] };
        let writes = vec![Write::Put { key: key.clone(), value: vec![0; 3000] }, twin];
        match engine.apply(Batch { checks: vec![], writes }).await {
            Ok(()) => kept.push(key),
            Err(e) => break e,
        }
        assert!(kept.len() < 1000, "the bound does not hold");
    };
    assert!(matches!(error, Error::Full { .. }), "{error}");
    assert!(error.to_string().contains("free space"), "{error}");
    assert_eq!(engine.list("k/", "", None).await.expect("list").len(), 2 * kept.len());
    // A large one that cannot fit at all does not take along what can.
    let gone = format!("{}-twin", kept[0]);
    engine.apply(Batch::delete(gone)).await.expect("deleting needs no space");
    engine.apply(Batch::put(&*kept[0], vec![9; 100])).await.expect("space returned");
    assert_eq!(engine.get(&kept[0]).await.expect("read"), Some(vec![9; 100]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_too_large_for_the_disk_does_not_take_its_group_along() {
    let folder = Folder::new();
    let mut config = config(&folder);
    config.max_bytes = Some(8 << 20);
    let engine = Arc::new(Sqlite::open(&config).expect("open"));
    let put = |key: String, len: usize| {
        let engine = engine.clone();
        tokio::spawn(async move { engine.apply(Batch::put(key, vec![0; len])).await })
    };
    let tasks: Vec<_> = (0..60)
        .map(|n| (n, put(format!("k{n}"), if n % 20 == 7 { 16 << 20 } else { 10 })))
        .collect();
    for (n, task) in tasks {
        let outcome = task.await.expect("task");
        assert_eq!(outcome.is_ok(), n % 20 != 7, "{n}: {outcome:?}");
    }
    assert_eq!(engine.list("", "", None).await.expect("list").len(), 57);
}

#[test]
fn file_and_folder_are_private() {
    let folder = Folder::new();
    let path = folder.path().join("new/deep/data.db");
    let engine = Sqlite::open(&SqliteConfig::new(&path)).expect("open");
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&folder.path().join("new/deep/data.db-wal")), 0o600);
    assert_eq!(mode(&folder.path().join("new/deep")), 0o700);
    drop(engine);
    fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("chmod");
    let _engine = Sqlite::open(&SqliteConfig::new(&path)).expect("open");
    assert_eq!(mode(&path), 0o600, "an open file was not made private");
}

#[test]
fn a_second_server_is_refused_and_told_whom_to_stop() {
    let folder = Folder::new();
    let first = Sqlite::open(&config(&folder)).expect("open");
    let error = Sqlite::open(&config(&folder)).err().expect("the lock holds");
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    let wanted = format!("process {}", std::process::id());
    assert!(error.to_string().contains(&wanted), "{error}");
    drop(first);
    Sqlite::open(&config(&folder)).expect("free again");
}

#[test]
fn a_file_that_is_not_ours_is_named_and_left_alone() {
    let folder = Folder::new();
    let config = config(&folder);
    let text = b"this is a letter to my aunt, and by no means a database".repeat(40);
    fs::write(&config.path, &text).expect("write");
    let error = Sqlite::open(&config).err().expect("not a database");
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("not an SQLite database"), "{error}");
    assert_eq!(fs::read(&config.path).expect("read"), text);

    fs::remove_file(&config.path).expect("remove");
    let other = rusqlite::Connection::open(&config.path).expect("open");
    other.execute_batch("CREATE TABLE birds (name TEXT)").expect("create");
    drop(other);
    let error = Sqlite::open(&config).err().expect("another program's");
    assert!(error.to_string().contains("another program"), "{error}");
}

#[tokio::test]
async fn a_damaged_file_gives_an_error_and_no_panic() {
    let folder = Folder::new();
    let config = config(&folder);
    let engine = Sqlite::open(&config).expect("open");
    for n in 0..200 {
        engine.apply(Batch::put(format!("k{n:03}"), vec![n; 500])).await.expect("write");
    }
    drop(engine);
    let mut content = fs::read(&config.path).expect("read");
    content[4096..].fill(0xa5);
    fs::write(&config.path, content).expect("write");
    let error = match Sqlite::open(&config) {
        Ok(engine) => engine.get("k100").await.expect_err("damaged"),
        Err(error) => error,
    };
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

#[test]
fn a_path_that_cannot_be_a_file_is_refused_with_the_reason() {
    let folder = Folder::new();
    fs::create_dir(folder.path().join("data.db")).expect("mkdir");
    let error = Sqlite::open(&config(&folder)).err().expect("a folder is no file");
    assert!(error.to_string().contains("not a file"), "{error}");
    fs::write(folder.path().join("plain"), "x").expect("write");
    let below = SqliteConfig::new(folder.path().join("plain/data.db"));
    let error = Sqlite::open(&below).err().expect("a file is no folder");
    assert!(matches!(error, Error::Unusable { .. }), "{error}");
}

#[test]
fn a_folder_that_is_read_only_is_refused_with_the_reason() {
    // Root may write everywhere, so there the refusal comes from a file system that is read-only for all.
    let sys = std::path::Path::new("/proc/boltwork/data.db");
    let error = Sqlite::open(&SqliteConfig::new(sys)).err().expect("nobody can create this");
    assert!(matches!(error, Error::Unusable { .. }), "{error}");
    assert!(error.to_string().contains("/proc/boltwork"), "{error}");
}

#[tokio::test]
async fn a_closed_engine_finished_what_it_had_taken() {
    let folder = Folder::new();
    let engine = Sqlite::open(&config(&folder)).expect("open");
    let mut write = Box::pin(engine.apply(Batch::put("k", b"v".to_vec())));
    // Polled once, the job is in the queue; then the caller loses interest.
    assert!(futures_util::poll!(write.as_mut()).is_pending());
    drop(write);
    drop(engine);
    let engine = Sqlite::open(&config(&folder)).expect("open again");
    assert_eq!(engine.get("k").await.expect("read"), Some(b"v".to_vec()));
}
