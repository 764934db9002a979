//! Initialization and the first unsealing, with storage that fails at each write and callers that
//! go away: whoever has no shares can ask for them again.
//!
//! Left out: how shares are made and put together, which is tested where that is done.

mod harness;

use std::{sync::Arc, time::Duration};

use boltwork_barrier::Barrier;
use boltwork_core::{Core, InitRequest, InitResult, LifecycleError};
use boltwork_logical::{Operation, SecretText};
use boltwork_storage::{FaultInjector, Memory};
use harness::{TestPlugins, config, fields, request};
use serde_json::Value;

/// A core over empty storage.
struct Fresh {
    core: Arc<Core>,
    barrier: Barrier,
    storage: Arc<FaultInjector>,
}

fn fresh() -> Fresh {
    let storage = Arc::new(FaultInjector::new(Arc::new(Memory::new())));
    let barrier = Barrier::new(storage.clone());
    let core = Core::new(config(), barrier.clone(), Arc::new(TestPlugins::default()));
    Fresh { core, barrier, storage }
}

fn wish() -> InitRequest {
    InitRequest { secret_shares: 3, secret_threshold: 2, root_token: None }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Once,
    FromThenOn,
    LostAnswer,
}

const FAULTS: [Fault; 3] = [Fault::Once, Fault::FromThenOn, Fault::LostAnswer];

impl Fault {
    fn order(self, storage: &FaultInjector, n: u64) {
        match self {
            Self::Once => storage.fail_nth_write(n),
            Self::FromThenOn => storage.fail_writes_from(n),
            Self::LostAnswer => storage.lose_nth_answer(n),
        }
    }
}

impl Fresh {
    async fn unseal(&self, made: &InitResult) -> Result<(), LifecycleError> {
        for share in &made.shares[1..] {
            self.core.unseal(share).await?;
        }
        Ok(())
    }

    /// The shares open it, and the first token may do everything.
    async fn is_whole(&self, made: &InitResult, told: &str) {
        self.unseal(made).await.unwrap_or_else(|error| panic!("{told}: {error}"));
        assert!(!self.core.is_sealed(), "{told}");
        self.serves(&made.root_token, told).await;
    }

    async fn serves(&self, root: &SecretText, told: &str) {
        let ask = request(root.expose(), Operation::Read, "sys/mounts", Value::Null);
        let mounts = fields(self.core.handle(ask).await.result);
        for own in ["sys/", "cubbyhole/", "identity/"] {
            assert!(mounts.contains_key(own), "{told}: {own}");
        }
    }

    async fn is_empty(&self) -> bool {
        self.barrier.physical().list("", "", None).await.expect("list").is_empty()
    }
}

#[tokio::test]
async fn an_initialization_is_there_as_a_whole_or_not_at_all_whichever_write_fails() {
    let server = fresh();
    server.core.initialize(wish()).await.expect("initialize");
    let writes = server.storage.batches_written();
    for fault in FAULTS {
        for n in 1..=writes {
            let told = format!("{fault:?} {n}");
            let server = fresh();
            fault.order(&server.storage, n);
            let outcome = server.core.initialize(wish()).await;
            server.storage.lift();
            let made = match outcome {
                Ok(made) => made,
                Err(_) => {
                    assert!(!server.core.is_initialized().await.expect("asked"), "{told}");
                    assert!(server.is_empty().await, "{told}: something is left");
                    server.core.initialize(wish()).await.expect("it can be asked for again")
                }
            };
            server.is_whole(&made, &told).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_initialization_whose_caller_went_away_can_be_asked_for_again() {
    let server = fresh();
    server.storage.set_delay(Duration::from_millis(10));
    let core = Arc::clone(&server.core);
    let caller = tokio::spawn(async move { core.initialize(wish()).await.map(drop) });
    // It is under way: the first thing that it does is to look into storage, which takes a while.
    tokio::time::sleep(Duration::from_millis(1)).await;
    caller.abort();
    assert!(caller.await.expect_err("it was given up").is_cancelled());
    // Waits for the end of the first.
    let again = InitRequest { secret_shares: 5, secret_threshold: 5, root_token: None };
    let made = server.core.initialize(again).await.expect("it can be asked for again");
    assert!(server.storage.batches_written() >= 3, "stored, taken back, and stored");
    for share in &made.shares {
        assert!(server.core.is_sealed(), "it takes all five, not two as the first time");
        server.core.unseal(share).await.expect("a share");
    }
    server.serves(&made.root_token, "the second time").await;
}

#[tokio::test]
async fn a_second_initialization_is_refused_and_changes_nothing() {
    let server = fresh();
    let made = server.core.initialize(wish()).await.expect("initialize");
    let refused = server.core.initialize(wish()).await.err().expect("refused");
    assert!(matches!(refused, LifecycleError::AlreadyInitialized), "{refused}");
    server.is_whole(&made, "after a second one").await;
}

#[tokio::test]
async fn a_first_unsealing_that_fails_at_any_write_can_be_asked_for_again() {
    let server = fresh();
    let made = server.core.initialize(wish()).await.expect("initialize");
    let before = server.storage.batches_written();
    server.unseal(&made).await.expect("unseal");
    let writes = server.storage.batches_written() - before;
    assert!(writes > 1, "the first unsealing writes several things");
    for fault in FAULTS {
        for n in 1..=writes {
            let told = format!("{fault:?} {n}");
            let server = fresh();
            let made = server.core.initialize(wish()).await.expect("initialize");
            fault.order(&server.storage, n);
            let unsealed = server.unseal(&made).await.is_ok();
            assert_eq!(unsealed, !server.core.is_sealed(), "{told}");
            server.storage.lift();
            server.is_whole(&made, &told).await;
            server.core.shut_down().await;
            server.is_whole(&made, &format!("{told}, once more")).await;
        }
    }
}
