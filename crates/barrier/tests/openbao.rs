//! Opens what OpenBao 2.7.2 wrote: seal configuration, shares, stored keys, keyring with two terms, entries.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use boltwork_barrier::seal::{Key, ShamirSeal, Unsealing};
use boltwork_barrier::{Barrier, Error, paths};
use boltwork_storage::{Batch, Memory, Physical as _};
use zeroize::Zeroizing;

/// The recorded entries in memory, and the shares.
async fn recorded() -> (Arc<Memory>, Vec<Key>) {
    let memory = Arc::new(Memory::new());
    let mut shares = Vec::new();
    for line in include_str!("data/openbao-2.7.2.txt").lines().filter(|l| !l.starts_with('#')) {
        let (key, value) = line.split_once(' ').expect("two columns");
        let value = STANDARD.decode(value).expect("base64");
        if key == "share" {
            shares.push(Zeroizing::new(value));
        } else {
            memory.apply(Batch::put(key, value)).await.expect("put");
        }
    }
    (memory, shares)
}

#[tokio::test]
async fn any_two_shares_open_a_store_that_openbao_made() {
    for (first, second) in [(0, 1), (2, 0), (1, 2)] {
        let (memory, shares) = recorded().await;
        let barrier = Barrier::new(memory);
        let seal = ShamirSeal::new(barrier.clone());
        let config = seal.config().await.expect("read").expect("there");
        assert_eq!((config.secret_shares, config.secret_threshold), (3, 2));
        let step = seal.unseal(&shares[first]).await.expect("first share");
        assert!(matches!(step, Unsealing::Waiting(progress) if progress.shares == 1));
        assert_eq!(seal.unseal(&shares[second]).await.expect("second"), Unsealing::Unsealed);
        assert_eq!(barrier.key_info().expect("open").term, 2);

        let read = async |key: &str| {
            let value = barrier.get(key).await.expect(key).expect("there");
            String::from_utf8(value.to_vec()).expect("text")
        };
        assert!(read("sys/policy/demo").await.contains("read"), "an entry of term 1");
        assert!(read("sys/policy/after-rotation").await.contains("list"), "an entry of term 2");
        let kek = barrier.get(paths::SHAMIR_KEK).await.expect("read").expect("there");
        let combined = boltwork_barrier::seal::combine(&shares).expect("combine");
        assert!(*kek == *combined, "the stored unseal key is the one that was split");
        let stored = read(paths::ROOT_KEY_OPENBAO).await;
        assert!(stored.contains("\"Term\":1"), "a root key entry looks different");
    }
}

#[tokio::test]
async fn writing_the_keyring_anew_leaves_one_root_key_entry_that_both_servers_read() {
    let (memory, shares) = recorded().await;
    let barrier = Barrier::new(memory.clone());
    let seal = ShamirSeal::new(barrier.clone());
    let root_key = seal.root_key(&shares[..2]).await.expect("root key");
    barrier.unseal(&root_key).await.expect("unseal");
    assert_eq!(barrier.rotate().await.expect("rotate"), 3);
    assert!(memory.get(paths::ROOT_KEY_OPENBAO).await.expect("read").is_none());
    assert!(barrier.get(paths::ROOT_KEY).await.expect("read").is_some());
    barrier.seal();
    barrier.unseal(&root_key).await.expect("unseal again");
    assert!(barrier.get("sys/policy/demo").await.expect("read").is_some());
}

#[tokio::test]
async fn an_entry_moved_to_another_path_does_not_decrypt() {
    let (memory, shares) = recorded().await;
    let entry = memory.get("sys/policy/demo").await.expect("read").expect("there");
    memory.apply(Batch::put("sys/policy/other", entry)).await.expect("put");
    let barrier = Barrier::new(memory);
    let root_key = ShamirSeal::new(barrier.clone()).root_key(&shares[1..]).await.expect("key");
    barrier.unseal(&root_key).await.expect("unseal");
    let error = barrier.get("sys/policy/other").await.expect_err("moved");
    assert!(matches!(&error, Error::Damaged { path, .. } if path == "sys/policy/other"), "{error}");
}
