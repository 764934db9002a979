//! The encrypted space: what is stored, what seal and rotation do to it, and how damage shows.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use boltwork_barrier::{Barrier, Error, RotationConfig, paths};
use boltwork_logical::{Entry, Storage, StorageError};
use boltwork_storage::{Batch, FaultInjector, Memory, Physical as _};
use zeroize::Zeroizing;

const ROOT: [u8; 32] = [9; 32];

async fn open() -> (Arc<Memory>, Barrier) {
    let memory = Arc::new(Memory::new());
    let barrier = Barrier::new(memory.clone());
    barrier.initialize(&ROOT, None, Vec::new()).await.expect("initialize");
    barrier.unseal(&ROOT).await.expect("unseal");
    (memory, barrier)
}

fn text(value: Option<Zeroizing<Vec<u8>>>) -> Option<String> {
    value.map(|value| String::from_utf8(value.to_vec()).expect("text"))
}

#[tokio::test]
async fn values_are_stored_encrypted_and_read_back() {
    let (memory, barrier) = open().await;
    for value in ["", "x", "a secret that nobody shall read"] {
        barrier.put("a/b", value.as_bytes()).await.expect("put");
        assert_eq!(text(barrier.get("a/b").await.expect("get")).as_deref(), Some(value));
        let raw = memory.get("a/b").await.expect("raw").expect("there");
        assert_eq!(raw[..5], [0, 0, 0, 1, 2]);
        assert_eq!(raw.len(), 5 + 12 + value.len() + 16);
        assert!(!raw.windows(6).any(|window| window == b"secret"));
    }
    barrier.delete("a/b").await.expect("delete");
    assert_eq!(text(barrier.get("a/b").await.expect("get")), None);
}

#[tokio::test]
async fn the_same_value_never_encrypts_to_the_same_bytes() {
    let (memory, barrier) = open().await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..100 {
        barrier.put("k", b"same").await.expect("put");
        assert!(seen.insert(memory.get("k").await.expect("raw")), "a nonce was used twice");
    }
}

#[tokio::test]
async fn a_wrong_key_does_not_unseal() {
    let (_memory, barrier) = open().await;
    barrier.seal();
    for wrong in [&[8u8; 32][..], &[9; 16], &[9; 31], &[]] {
        assert!(matches!(barrier.unseal(wrong).await, Err(Error::WrongKey)));
        assert!(barrier.is_sealed());
    }
    barrier.unseal(&ROOT).await.expect("the right one");
}

#[tokio::test]
async fn nothing_works_while_sealed() {
    let (_memory, barrier) = open().await;
    barrier.put("a/k", b"v").await.expect("put");
    let view = barrier.view("a/").expect("view");
    let transaction = view.begin(false).await.expect("begin");
    transaction.put(Entry::new("t", "v")).await.expect("put");
    let committing = view.begin(false).await.expect("begin");
    committing.put(Entry::new("t", "v")).await.expect("put");
    barrier.seal();

    assert!(matches!(barrier.get("a/k").await, Err(Error::Sealed)));
    assert!(matches!(barrier.put("a/k", b"w").await, Err(Error::Sealed)));
    assert!(matches!(barrier.delete("a/k").await, Err(Error::Sealed)));
    assert!(matches!(barrier.list("", "", None).await, Err(Error::Sealed)));
    assert!(matches!(barrier.begin(true), Err(Error::Sealed)));
    assert!(matches!(barrier.rotate().await, Err(Error::Sealed)));
    assert!(matches!(barrier.key_info(), Err(Error::Sealed)));
    assert_eq!(view.get("k").await, Err(StorageError::Sealed));
    assert_eq!(transaction.get("t").await, Err(StorageError::Sealed));
    assert_eq!(transaction.put(Entry::new("u", "v")).await, Err(StorageError::Sealed));
    assert_eq!(committing.commit().await, Err(StorageError::Sealed));

    barrier.unseal(&ROOT).await.expect("unseal");
    assert_eq!(transaction.commit().await, Err(StorageError::Sealed), "it outlived its seal");
    assert!(view.get("t").await.expect("get").is_none());
    assert!(view.get("k").await.expect("get").is_some());
}

#[tokio::test]
async fn after_a_rotation_old_entries_are_readable_and_new_ones_have_the_new_term() {
    let (memory, barrier) = open().await;
    barrier.put("old", b"1").await.expect("put");
    assert_eq!(barrier.rotate().await.expect("rotate"), 2);
    barrier.put("new", b"2").await.expect("put");
    for _ in 0..2 {
        assert_eq!(text(barrier.get("old").await.expect("get")).as_deref(), Some("1"));
        assert_eq!(text(barrier.get("new").await.expect("get")).as_deref(), Some("2"));
        barrier.seal();
        barrier.unseal(&ROOT).await.expect("the keyring was stored");
    }
    assert_eq!(memory.get("new").await.expect("raw").expect("there")[..4], [0, 0, 0, 2]);
    assert_eq!(barrier.key_info().expect("open").term, 2);
}

#[tokio::test]
async fn a_rotation_that_cannot_be_stored_changes_nothing() {
    let memory = Arc::new(Memory::new());
    let faults = Arc::new(FaultInjector::new(memory));
    let barrier = Barrier::new(faults.clone());
    barrier.initialize(&ROOT, None, Vec::new()).await.expect("initialize");
    barrier.unseal(&ROOT).await.expect("unseal");
    faults.set_full(true);
    assert!(barrier.rotate().await.is_err());
    assert_eq!(barrier.key_info().expect("open").term, 1);
    faults.set_full(false);
    barrier.put("k", b"v").await.expect("put");
    barrier.seal();
    barrier.unseal(&ROOT).await.expect("unseal");
    assert_eq!(text(barrier.get("k").await.expect("get")).as_deref(), Some("v"));
}

#[tokio::test]
async fn encryptions_are_counted_across_restarts() {
    let (memory, barrier) = open().await;
    for n in 0..5 {
        barrier.put(&format!("k{n}"), b"v").await.expect("put");
    }
    assert_eq!(barrier.key_info().expect("open").encryptions, 5);
    barrier.account_encryptions().await.expect("account");
    let again = Barrier::new(memory);
    again.unseal(&ROOT).await.expect("unseal");
    assert_eq!(again.key_info().expect("open").encryptions, 5);
    again.rotate().await.expect("rotate");
    assert_eq!(again.key_info().expect("open").encryptions, 0);
}

#[tokio::test]
async fn the_rotation_configuration_is_kept_within_bounds() {
    let (_memory, barrier) = open().await;
    let config = RotationConfig { disabled: true, max_operations: 1, interval: 1 };
    barrier.set_rotation_config(config).await.expect("set");
    barrier.seal();
    barrier.unseal(&ROOT).await.expect("unseal");
    let kept = barrier.rotation_config().expect("open");
    assert!(kept.disabled);
    assert_eq!(kept.max_operations, 1_000_000);
    assert_eq!(kept.interval, 24 * 3600 * 1_000_000_000);
}

#[tokio::test]
async fn damage_names_the_path_and_never_the_content() {
    let (memory, barrier) = open().await;
    barrier.put("a/secret", b"hunter2hunter2").await.expect("put");
    let good = memory.get("a/secret").await.expect("raw").expect("there");
    let mut flipped = good.clone();
    *flipped.last_mut().expect("not empty") ^= 1;
    let mut unknown_term = good.clone();
    unknown_term[3] = 9;
    let mut unknown_version = good.clone();
    unknown_version[4] = 7;
    let mut cases = vec![flipped, unknown_term, unknown_version];
    cases.extend((0..good.len()).map(|len| good[..len].to_vec()));
    for bad in cases {
        memory.apply(Batch::put("a/secret", bad)).await.expect("put");
        let error = barrier.get("a/secret").await.expect_err("damaged");
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
        let words = error.to_string();
        assert!(words.contains("a/secret") && !words.contains("hunter"), "{words}");
    }
}

#[tokio::test]
async fn entries_of_version_1_are_read() {
    // As written by servers before the path was part of what is authenticated.
    let (memory, barrier) = open().await;
    let entry = version_1_entry(&memory).await;
    memory.apply(Batch::put("anywhere", entry)).await.expect("put");
    assert_eq!(text(barrier.get("anywhere").await.expect("get")).as_deref(), Some("old"));
}

fn key(bytes: &[u8]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).expect("key"))
}

fn nonce(bytes: &[u8]) -> Nonce {
    Nonce::try_assume_unique_for_key(bytes).expect("12 bytes")
}

fn keyring_aad() -> Aad<&'static [u8]> {
    Aad::from(paths::KEYRING.as_bytes())
}

/// The stored keyring in the clear, taken apart by this test's own means.
async fn stored_keyring(memory: &Memory) -> serde_json::Value {
    let mut entry = memory.get(paths::KEYRING).await.expect("raw").expect("there");
    let (header, body) = entry.split_at_mut(17);
    let json = key(&ROOT).open_in_place(nonce(&header[5..]), keyring_aad(), body).expect("opens");
    serde_json::from_slice(json).expect("JSON")
}

/// "old" encrypted under term 1 with no additional data, with the key out of the stored keyring.
async fn version_1_entry(memory: &Memory) -> Vec<u8> {
    let keyring = stored_keyring(memory).await;
    let value = keyring["Keys"][0]["Value"].as_str().expect("a key");
    let term_key = STANDARD.decode(value).expect("base64");
    let mut body = b"old".to_vec();
    key(&term_key)
        .seal_in_place_append_tag(nonce(&[1; 12]), Aad::empty(), &mut body)
        .expect("encrypt");
    [&[0, 0, 0, 1, 1][..], &[1; 12], &body].concat()
}

#[tokio::test]
async fn a_key_is_due_for_rotation_when_it_is_old_or_worn_and_not_before() {
    let (memory, barrier) = open().await;
    let day = RotationConfig { interval: 24 * 3600 * 1_000_000_000, ..RotationConfig::default() };
    barrier.set_rotation_config(day).await.expect("set");
    assert_eq!(barrier.rotation_due().expect("open"), None, "it is new");

    let reopened = async |change: &dyn Fn(&mut serde_json::Value)| {
        let mut keyring = stored_keyring(&memory).await;
        change(&mut keyring);
        let mut body = keyring.to_string().into_bytes();
        key(&ROOT)
            .seal_in_place_append_tag(nonce(&[2; 12]), keyring_aad(), &mut body)
            .expect("encrypt");
        let entry = [&[0, 0, 0, 1, 2][..], &[2; 12], &body].concat();
        memory.apply(Batch::put(paths::KEYRING, entry)).await.expect("put");
        let barrier = Barrier::new(memory.clone());
        barrier.unseal(&ROOT).await.expect("unseal");
        barrier
    };
    let worn = reopened(&|k| k["Keys"][0]["encryptions"] = 4_000_000_000_u64.into()).await;
    assert_eq!(worn.rotation_due().expect("open"), Some("reached max operations"));
    let old = reopened(&|k| {
        k["Keys"][0]["encryptions"] = 0.into();
        k["Keys"][0]["InstallTime"] = "2020-01-01T01:02:03.000000004+02:00".into();
    })
    .await;
    assert_eq!(old.rotation_due().expect("open"), Some("rotation interval reached"));
    old.rotate().await.expect("rotate");
    assert_eq!(old.rotation_due().expect("open"), None);
}

#[tokio::test]
async fn the_barriers_own_entries_cannot_be_overwritten() {
    let (_memory, barrier) = open().await;
    let view = barrier.view("core/").expect("view");
    let transaction = barrier.begin(false).expect("begin");
    for key in [paths::KEYRING, paths::ROOT_KEY, paths::SEAL_CONFIG, paths::STORED_KEYS] {
        assert!(matches!(barrier.put(key, b"x").await, Err(Error::InvalidKey(_))), "{key}");
        assert!(matches!(barrier.delete(key).await, Err(Error::InvalidKey(_))), "{key}");
        assert!(transaction.delete(key).is_err(), "{key}");
        let relative = key.strip_prefix("core/").expect("below core");
        assert!(view.put(Entry::new(relative, "x")).await.is_err(), "{key}");
    }
}

#[tokio::test]
async fn a_view_cannot_leave_its_prefix() {
    let (_memory, barrier) = open().await;
    barrier.put("other/secret", b"s").await.expect("put");
    let view = barrier.view("logical/1/").expect("view");
    for key in ["../other/secret", "a/../../other/secret", "..", "/other/secret", "", "a\0b", "a/"]
    {
        assert!(matches!(view.get(key).await, Err(StorageError::InvalidKey(_))), "{key:?}");
        let put = view.put(Entry::new(key, "x")).await;
        assert!(matches!(put, Err(StorageError::InvalidKey(_))), "{key:?}");
        assert!(view.delete(key).await.is_err(), "{key:?}");
    }
    for prefix in ["../", "../other/", "/", "a/../../"] {
        assert!(view.list(prefix).await.is_err(), "{prefix:?}");
        assert!(view.sub(prefix).is_err(), "{prefix:?}");
    }
    let error = view.get("../x").await.expect_err("climbs");
    assert_eq!(error.to_string(), "relative paths not supported");
    assert!(barrier.view("no-slash").is_err());

    view.put(Entry::new("k", "v")).await.expect("put");
    view.sub("deep/").expect("sub").put(Entry::new("k", "v")).await.expect("put");
    assert_eq!(barrier.list("logical/1/", "", None).await.expect("list"), ["deep/", "k"]);
    assert_eq!(view.list("").await.expect("list"), ["deep/", "k"]);
    assert_eq!(view.list("deep/").await.expect("list"), ["k"]);
    let entry = view.get("k").await.expect("get").expect("there");
    assert_eq!(entry.key, "k", "keys are relative to the view");
}

#[tokio::test]
async fn a_view_in_setup_reads_and_does_not_write() {
    let (_memory, barrier) = open().await;
    let view = barrier.view("m/").expect("view");
    view.put(Entry::new("k", "v")).await.expect("put");
    let begun = view.begin(false).await.expect("begin");
    begun.put(Entry::new("late", "v")).await.expect("put");
    view.set_read_only(true);
    let setup = Err(StorageError::during_setup());
    assert_eq!(view.put(Entry::new("k", "w")).await, setup);
    assert_eq!(view.delete("k").await, setup);
    assert_eq!(view.sub("s/").expect("sub").delete("k").await, setup);
    let transaction = view.begin(false).await.expect("begin");
    assert_eq!(transaction.put(Entry::new("k", "w")).await, setup);
    assert_eq!(begun.commit().await, setup);
    assert!(view.get("k").await.expect("get").is_some());
    view.set_read_only(false);
    view.put(Entry::new("k", "w")).await.expect("put");
    assert!(view.get("late").await.expect("get").is_none());
}
