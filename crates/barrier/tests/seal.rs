//! The seal: initialisation, attempts to unseal, and what a wrong share does.

use std::sync::Arc;

use boltwork_barrier::seal::{Initialized, Progress, ShamirSeal, Unsealing};
use boltwork_barrier::{Barrier, Draft, Error, paths};
use boltwork_storage::{Batch, FaultInjector, Memory, Physical as _};

fn sealed() -> (Arc<Memory>, Barrier, ShamirSeal) {
    let memory = Arc::new(Memory::new());
    let barrier = Barrier::new(memory.clone());
    let seal = ShamirSeal::new(barrier.clone());
    (memory, barrier, seal)
}

async fn initialized(shares: u8, threshold: u8) -> (Barrier, ShamirSeal, Initialized) {
    let (_, barrier, seal) = sealed();
    let keys = seal.initialize(shares, threshold).await.expect("initialize");
    (barrier, seal, keys)
}

#[tokio::test]
async fn a_threshold_of_shares_unseals_and_fewer_do_not() {
    let (barrier, seal, keys) = initialized(5, 3).await;
    assert!(barrier.is_sealed(), "initialising does not unseal");
    for share in &keys.shares[..2] {
        assert!(matches!(seal.unseal(share).await.expect("share"), Unsealing::Waiting(_)));
        assert!(barrier.is_sealed());
    }
    assert_eq!(seal.unseal(&keys.shares[4]).await.expect("third"), Unsealing::Unsealed);
    assert!(!barrier.is_sealed());
    assert_eq!(seal.progress(), Progress::default());
    barrier.verify_root_key(&keys.root_key).expect("the root key");
    seal.verify(&keys.shares[1..4]).await.expect("any three prove it");
    assert!(matches!(barrier.verify_root_key(&[0; 32]), Err(Error::WrongKey)));
}

#[tokio::test]
async fn a_single_share_is_the_key_itself() {
    let (barrier, seal, keys) = initialized(1, 1).await;
    assert_eq!(keys.shares.len(), 1);
    assert_eq!(keys.shares[0].len(), 32);
    assert_eq!(seal.unseal(&keys.shares[0]).await.expect("share"), Unsealing::Unsealed);
    assert!(!barrier.is_sealed());
}

#[tokio::test]
async fn a_share_given_twice_counts_once() {
    let (_barrier, seal, keys) = initialized(3, 3).await;
    let first = seal.unseal(&keys.shares[0]).await.expect("first");
    assert_eq!(seal.unseal(&keys.shares[0]).await.expect("again"), first);
    let Unsealing::Waiting(progress) = first else { panic!("unsealed by one of three") };
    assert_eq!(progress.shares, 1);
    assert_eq!(progress.nonce.len(), 36);
}

#[tokio::test]
async fn a_reset_forgets_the_shares_and_names_a_new_attempt() {
    let (barrier, seal, keys) = initialized(3, 2).await;
    seal.unseal(&keys.shares[0]).await.expect("first");
    let nonce = seal.progress().nonce;
    seal.reset();
    assert_eq!(seal.progress(), Progress::default());
    let step = seal.unseal(&keys.shares[1]).await.expect("second");
    assert!(matches!(step, Unsealing::Waiting(progress) if progress.nonce != nonce));
    assert!(barrier.is_sealed());
}

#[tokio::test]
async fn wrong_shares_end_the_attempt_and_the_right_ones_still_work() {
    let (barrier, seal, keys) = initialized(3, 2).await;
    let mut wrong = keys.shares[0].clone();
    wrong[5] ^= 1;
    seal.unseal(&wrong).await.expect("nobody can tell yet");
    assert!(matches!(seal.unseal(&keys.shares[1]).await, Err(Error::WrongKey)));
    assert!(barrier.is_sealed());
    assert_eq!(seal.progress().shares, 0);
    seal.unseal(&keys.shares[2]).await.expect("first");
    seal.unseal(&keys.shares[1]).await.expect("second");
    assert!(!barrier.is_sealed());
}

#[tokio::test]
async fn shares_of_impossible_length_are_refused_at_once() {
    let (_barrier, seal, _keys) = initialized(3, 2).await;
    let error = seal.unseal(&[1; 15]).await.expect_err("too short");
    assert_eq!(error.to_string(), "key is shorter than minimum 16 bytes");
    let error = seal.unseal(&[1; 34]).await.expect_err("too long");
    assert_eq!(error.to_string(), "key is longer than maximum 33 bytes");
    assert_eq!(seal.progress().shares, 0);
    // Allowed lengths that do not fit together.
    seal.unseal(&[1; 17]).await.expect("could be one");
    assert!(matches!(seal.unseal(&[2; 33]).await, Err(Error::InvalidShare(_))));
}

#[tokio::test]
async fn impossible_configurations_are_refused_in_known_words() {
    for (shares, threshold, text) in [
        (0, 0, "shares must be at least one"),
        (1, 0, "threshold must be at least one"),
        (3, 1, "threshold must be greater than one for multiple shares"),
        (3, 4, "threshold cannot be larger than shares"),
    ] {
        let (memory, _, seal) = sealed();
        let error = seal.initialize(shares, threshold).await.err().expect("refused");
        assert_eq!(error.to_string(), format!("invalid seal configuration: {text}"));
        assert!(memory.list("", "", None).await.expect("list").is_empty(), "something was written");
    }
}

#[tokio::test]
async fn initialisation_happens_once() {
    let (memory, barrier, seal) = sealed();
    assert!(!barrier.is_initialized().await.expect("read"));
    assert!(matches!(seal.unseal(&[1; 33]).await, Err(Error::NotInitialized)));
    let keys = seal.initialize(1, 1).await.expect("first");
    assert!(barrier.is_initialized().await.expect("read"));
    let other = ShamirSeal::new(Barrier::new(memory));
    let second = other.initialize(1, 1).await;
    assert!(matches!(second, Err(Error::AlreadyInitialized)));
    seal.unseal(&keys.shares[0]).await.expect("the first key still opens it");
}

#[tokio::test]
async fn a_failed_initialisation_leaves_nothing_behind() {
    let memory = Arc::new(Memory::new());
    let faults = Arc::new(FaultInjector::new(memory.clone()));
    let barrier = Barrier::new(faults.clone());
    let seal = ShamirSeal::new(barrier.clone());
    faults.set_full(true);
    assert!(matches!(seal.initialize(5, 3).await, Err(Error::Storage(_))));
    assert!(memory.list("", "", None).await.expect("list").is_empty());
    assert!(!barrier.is_initialized().await.expect("read"));
    assert!(seal.config().await.expect("read").is_none());
    faults.set_full(false);
    seal.initialize(5, 3).await.expect("space returned");
}

#[tokio::test]
async fn the_configuration_is_plain_and_the_keys_are_not() {
    let (memory, _, seal) = sealed();
    let keys = seal.initialize(3, 2).await.expect("initialize");
    let raw = async |key| memory.get(key).await.expect("read").expect("there");
    let config: serde_json::Value =
        serde_json::from_slice(&raw(paths::SEAL_CONFIG).await).expect("plain JSON");
    assert_eq!(config["type"], "shamir");
    assert_eq!(config["secret_shares"], 3);
    assert_eq!(config["secret_threshold"], 2);
    for key in [paths::KEYRING, paths::ROOT_KEY, paths::SHAMIR_KEK, paths::STORED_KEYS] {
        let bytes = raw(key).await;
        let found = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
        assert!(!found(&keys.root_key), "{key} holds the root key in the clear");
        assert!(!found(b"MasterKey"), "{key} is not encrypted");
    }
    for key in [paths::KEYRING, paths::ROOT_KEY, paths::SHAMIR_KEK] {
        assert_eq!(raw(key).await[..5], [0, 0, 0, 1, 2], "{key}: term 1, version 2");
    }
}

#[tokio::test]
async fn a_damaged_stored_key_is_an_error_and_no_panic() {
    let (memory, _, seal) = sealed();
    let keys = seal.initialize(1, 1).await.expect("initialize");
    let good = memory.get(paths::STORED_KEYS).await.expect("read").expect("there");
    let mut cases = vec![Vec::new(), vec![0xff; 40], vec![10], vec![10, 200, 1]];
    cases.extend((1..good.len() - 2).step_by(7).map(|len| good[..len].to_vec()));
    for bad in cases {
        memory.apply(Batch::put(paths::STORED_KEYS, bad)).await.expect("put");
        assert!(seal.unseal(&keys.shares[0]).await.is_err());
    }
    memory.apply(Batch::put(paths::STORED_KEYS, good)).await.expect("put");
    seal.unseal(&keys.shares[0]).await.expect("whole again");
}

#[tokio::test]
async fn a_store_from_before_unseal_keys_opens_with_its_root_key() {
    let (memory, barrier, seal) = sealed();
    let root_key = [7u8; 32];
    barrier.initialize(&root_key, None, Vec::new()).await.expect("initialize");
    let config = br#"{"type":"shamir","secret_shares":1,"secret_threshold":1}"#;
    memory.apply(Batch::put(paths::SEAL_CONFIG, config.to_vec())).await.expect("put");
    assert_eq!(seal.unseal(&root_key).await.expect("share"), Unsealing::Unsealed);
}

#[tokio::test]
async fn a_draft_is_stored_in_one_step_and_only_where_nothing_is_and_can_be_taken_back() {
    let draft = Draft::default();
    let keys = ShamirSeal::new(draft.barrier().clone()).initialize(3, 2).await.expect("a draft");
    draft.barrier().unseal(&keys.root_key).await.expect("unseal the draft");
    draft.barrier().put("sys/deep/down/first", b"value").await.expect("write");

    let storage = Arc::new(FaultInjector::new(Arc::new(Memory::new())));
    let barrier = Barrier::new(storage.clone());
    storage.fail_nth_write(1);
    assert!(matches!(draft.store_in(&barrier).await, Err(Error::Storage(_))));
    assert!(storage.list("", "", None).await.expect("list").is_empty());
    storage.lose_nth_answer(1);
    draft.store_in(&barrier).await.expect("it was stored, whatever storage says");
    assert_eq!(storage.batches_written(), 1);
    assert!(matches!(draft.store_in(&barrier).await, Err(Error::AlreadyInitialized)));

    let seal = ShamirSeal::new(barrier.clone());
    for share in &keys.shares[..2] {
        seal.unseal(share).await.expect("a share");
    }
    let found = barrier.get("sys/deep/down/first").await.expect("read");
    assert_eq!(found.expect("there").as_slice(), b"value");

    draft.take_back_from(&barrier).await.expect("take back");
    assert!(storage.list("", "", None).await.expect("list").is_empty());
    let other = Draft::default();
    ShamirSeal::new(other.barrier().clone()).initialize(1, 1).await.expect("another");
    other.store_in(&barrier).await.expect("there is room again");
    assert!(matches!(draft.take_back_from(&barrier).await, Err(Error::Conflict)), "not this one's");
    assert!(barrier.is_initialized().await.expect("asked"));
}
