//! One suite, run over every engine through the trait object. Leaves out what only one engine has.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use boltwork_storage::{
    Batch, Cache, Check, Error, FaultInjector, MAX_VALUE_LEN, Memory, Physical, Sqlite,
    SqliteConfig, Write,
};

mod folder;
use folder::Folder;

type Engine = Arc<dyn Physical>;

fn engines() -> Vec<(&'static str, Engine, Option<Folder>)> {
    let sqlite = |folder: &Folder| -> Engine {
        let path: PathBuf = folder.path().join("data.db");
        Arc::new(Sqlite::open(&SqliteConfig::new(path)).expect("open"))
    };
    let (one, two) = (Folder::new(), Folder::new());
    let cached: Engine = Arc::new(Cache::new(sqlite(&two), 64 << 10));
    vec![
        ("memory", Arc::new(Memory::new()), None),
        ("sqlite", sqlite(&one), Some(one)),
        ("cache over sqlite", cached, Some(two)),
        ("faults over memory", Arc::new(FaultInjector::new(Arc::new(Memory::new()))), None),
    ]
}

async fn put(engine: &Engine, key: &str, value: &str) {
    engine.apply(Batch::put(key, value.into())).await.expect(key);
}

async fn get(engine: &Engine, key: &str) -> Option<String> {
    let value = engine.get(key).await.expect(key)?;
    Some(String::from_utf8(value).expect("text"))
}

fn value_is(key: &str, expected: Option<&str>) -> Check {
    Check::Value { key: key.into(), expected: expected.map(|text| text.into()) }
}

fn write(key: &str, value: &str) -> Write {
    Write::Put { key: key.into(), value: value.into() }
}

#[tokio::test]
async fn what_is_put_is_read_until_it_is_deleted() {
    for (name, engine, _folder) in engines() {
        assert_eq!(get(&engine, "a/b").await, None, "{name}");
        put(&engine, "a/b", "1").await;
        assert_eq!(get(&engine, "a/b").await.as_deref(), Some("1"), "{name}");
        put(&engine, "a/b", "2").await;
        assert_eq!(get(&engine, "a/b").await.as_deref(), Some("2"), "{name}");
        put(&engine, "empty", "").await;
        assert_eq!(get(&engine, "empty").await.as_deref(), Some(""), "{name}");
        engine.apply(Batch::delete("a/b")).await.expect(name);
        engine.apply(Batch::delete("a/b")).await.expect("deleting nothing is no error");
        assert_eq!(get(&engine, "a/b").await, None, "{name}");
    }
}

#[tokio::test]
async fn a_list_gives_sorted_children_and_pages() {
    for (name, engine, _folder) in engines() {
        for key in ["a", "a-b", "a/x", "a/y/1", "a/y/2", "b/c/d", "z", "ä"] {
            put(&engine, key, "v").await;
        }
        let list = async |prefix: &str, after: &str, limit: Option<usize>| {
            engine.list(prefix, after, limit).await.expect(name)
        };
        assert_eq!(list("", "", None).await, ["a", "a-b", "a/", "b/", "z", "ä"], "{name}");
        assert_eq!(list("a/", "", None).await, ["x", "y/"], "{name}");
        assert_eq!(list("a/y/", "", None).await, ["1", "2"], "{name}");
        assert_eq!(list("nothing/", "", None).await, [""; 0], "{name}");
        assert_eq!(list("", "", Some(2)).await, ["a", "a-b"], "{name}");
        assert_eq!(list("", "a-b", Some(2)).await, ["a/", "b/"], "{name}");
        assert_eq!(list("", "a/", None).await, ["b/", "z", "ä"], "{name}");
        assert_eq!(list("", "a/y/1", None).await, ["b/", "z", "ä"], "{name}");
        assert_eq!(list("", "ä", None).await, [""; 0], "{name}");
        assert_eq!(list("", "", Some(0)).await, [""; 0], "{name}");
    }
}

#[tokio::test]
async fn lists_agree_with_a_simple_model() {
    // A fixed sequence of pseudo-random keys over a small alphabet, so that folders, names and prefixes collide.
    let mut state = 42u64;
    let mut next = move |n: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let mut model = BTreeMap::new();
    for _ in 0..400 {
        let segments: Vec<&str> =
            (0..=next(4)).map(|_| ["a", "b", "a-", "a0", "é"][next(5) as usize]).collect();
        model.insert(segments.join("/"), "v".to_owned());
    }
    for (name, engine, _folder) in engines() {
        for (key, value) in &model {
            put(&engine, key, value).await;
        }
        for prefix in ["", "a/", "a/b/", "a", "é/", "a-/a0/", "a/a"] {
            let children: BTreeSet<String> = model
                .keys()
                .filter_map(|key| key.strip_prefix(prefix))
                .filter(|rest| !rest.is_empty())
                .map(|rest| rest.split_inclusive('/').next().expect("not empty").to_owned())
                .collect();
            for after in ["", "a", "a/", "b", "b/", "é"] {
                for limit in [None, Some(1), Some(3)] {
                    let want: Vec<_> = children
                        .iter()
                        .filter(|child| child.as_str() > after)
                        .take(limit.unwrap_or(usize::MAX))
                        .cloned()
                        .collect();
                    let got = engine.list(prefix, after, limit).await.expect(name);
                    assert_eq!(got, want, "{name}: {prefix:?} {after:?} {limit:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_failed_check_writes_nothing() {
    for (name, engine, _folder) in engines() {
        put(&engine, "seen", "1").await;
        let attempt = async |check: Check| {
            let writes =
                vec![write("seen", "2"), write("other", "x"), Write::Delete { key: "seen".into() }];
            engine.apply(Batch { checks: vec![check], writes }).await
        };
        let listing = |expected: &[&str]| Check::Listing {
            prefix: String::new(),
            after: String::new(),
            limit: None,
            expected: expected.iter().map(|child| (*child).to_owned()).collect(),
        };
        for stale in [
            value_is("seen", Some("0")),
            value_is("seen", None),
            value_is("other", Some("x")),
            listing(&["other", "seen"]),
            listing(&[]),
        ] {
            assert!(matches!(attempt(stale).await, Err(Error::Conflict)), "{name}");
            assert_eq!(get(&engine, "seen").await.as_deref(), Some("1"), "{name}");
            assert_eq!(get(&engine, "other").await, None, "{name}");
        }
        attempt(listing(&["seen"])).await.expect(name);
        assert_eq!(get(&engine, "seen").await, None, "{name}");
        assert_eq!(get(&engine, "other").await.as_deref(), Some("x"), "{name}");
    }
}

#[tokio::test]
async fn checks_alone_are_a_valid_batch() {
    for (name, engine, _folder) in engines() {
        put(&engine, "k", "1").await;
        let batch = |expected| Batch { checks: vec![value_is("k", expected)], writes: Vec::new() };
        engine.apply(batch(Some("1"))).await.expect(name);
        assert!(matches!(engine.apply(batch(None)).await, Err(Error::Conflict)), "{name}");
    }
}

#[tokio::test]
async fn bad_keys_and_oversized_values_are_refused() {
    for (name, engine, _folder) in engines() {
        for key in ["", "/a", "a/../b", "a\0", "folder/"] {
            assert!(matches!(engine.get(key).await, Err(Error::InvalidKey { .. })), "{name} {key}");
            let put = engine.apply(Batch::put(key, Vec::new())).await;
            assert!(matches!(put, Err(Error::InvalidKey { .. })), "{name} {key}");
        }
        assert!(matches!(engine.list("../", "", None).await, Err(Error::InvalidKey { .. })));
        let huge = Batch::put("k", vec![0; MAX_VALUE_LEN + 1]);
        assert!(matches!(engine.apply(huge).await, Err(Error::TooLarge { .. })), "{name}");
        assert_eq!(get(&engine, "k").await, None, "{name}");
        let large = vec![3u8; 2 << 20];
        engine.apply(Batch::put("k", large.clone())).await.expect(name);
        assert!(engine.get("k").await.expect(name) == Some(large), "{name}");
    }
}

/// Each task adds to a shared sum by compare and set; every acknowledged step must be in the result.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_compare_and_set_loses_no_step() {
    for (name, engine, _folder) in engines() {
        put(&engine, "sum", "0").await;
        let mut tasks = Vec::new();
        for _ in 0..8 {
            let engine = engine.clone();
            tasks.push(tokio::spawn(async move {
                let mut done = 0;
                while done < 25 {
                    let old = get(&engine, "sum").await.expect("there");
                    let new = (old.parse::<u32>().expect("number") + 1).to_string();
                    let checks = vec![value_is("sum", Some(&old))];
                    let writes = vec![write("sum", &new), write(&format!("mark/{new}"), "")];
                    match engine.apply(Batch { checks, writes }).await {
                        Ok(()) => done += 1,
                        Err(Error::Conflict) => {}
                        Err(e) => panic!("{e}"),
                    }
                }
            }));
        }
        for task in tasks {
            task.await.expect("task");
        }
        assert_eq!(get(&engine, "sum").await.as_deref(), Some("200"), "{name}");
        assert_eq!(engine.list("mark/", "", None).await.expect(name).len(), 200, "{name}");
    }
}
