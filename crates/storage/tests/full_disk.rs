//! A disk that is really full: what is deleted can be deleted, and what is deleted makes room.
//!
//! Leaves out what a full disk does above storage. Its own `main`, because it starts itself again in a mount namespace
//! with a small file system of its own; where that cannot be had the test says that it is skipped.

use std::path::Path;
use std::process::Command;

use boltwork_storage::{Batch, Error, Physical as _, Sqlite, SqliteConfig, Write};

mod folder;

const NAME: &str = "on_a_full_disk_everything_can_be_deleted_and_makes_room";
const MOUNT: &str = "mount -t tmpfs -o size=12m tmpfs \"$1\" && exec \"$0\" on-a-small-disk \"$1\"";

fn main() {
    let mut arguments = std::env::args().skip(1);
    if let (Some("on-a-small-disk"), Some(place)) = (arguments.next().as_deref(), arguments.next())
    {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
        return runtime.expect("runtime").block_on(on_a_small_disk(Path::new(&place)));
    }
    let folder = folder::Folder::new();
    let own = std::env::current_exe().expect("own path");
    let namespace = || {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount"]);
        command
    };
    let mut trial = namespace();
    trial.args(["sh", "-c", "mount -t tmpfs -o size=1m tmpfs \"$0\""]).arg(folder.path());
    if !trial.output().is_ok_and(|tried| tried.status.success()) {
        eprintln!("skipped: {NAME}: no mount namespace can be had here");
        return;
    }
    let mut inner = namespace();
    inner.args(["sh", "-c", MOUNT]).arg(&own).arg(folder.path());
    assert!(inner.status().expect("unshare runs").success(), "{NAME}");
    println!("test {NAME} ... ok");
}

fn config(place: &Path) -> SqliteConfig {
    SqliteConfig::new(place.join("data.db"))
}

fn is_full(outcome: &Result<(), Error>) -> bool {
    match outcome {
        Ok(()) => false,
        Err(Error::Full { .. }) => true,
        Err(error) => panic!("it is full, and says something else: {error}"),
    }
}

/// Writes large values, then smaller ones, until not even one byte can be written. Returns the keys.
async fn fill(engine: &Sqlite, name: &str) -> Vec<String> {
    let mut keys = Vec::new();
    for size in [100_000, 5_000, 1] {
        for n in 0.. {
            let key = format!("{name}/{size}/{n}");
            if is_full(&engine.apply(Batch::put(key.as_str(), vec![7; size])).await) {
                break;
            }
            keys.push(key);
        }
    }
    assert!(keys.len() > 50, "{} keys", keys.len());
    keys
}

async fn on_a_small_disk(place: &Path) {
    let mut engine = Sqlite::open(&config(place)).expect("open");
    // The second and the third time the file has its size already.
    for round in ["first", "second", "third"] {
        let keys = fill(&engine, round).await;
        let bytes: usize =
            keys.iter().map(|key| if key.contains("/100000/") { 100_000 } else { 0 }).sum();
        assert!(bytes > 5 << 20, "{round}: only {bytes} bytes were written");
        if round == "second" {
            drop(engine);
            engine =
                Sqlite::open(&config(place)).expect("a full disk keeps no server from starting");
        }
        for key in &keys {
            let outcome = engine.apply(Batch::delete(key.as_str())).await;
            outcome.unwrap_or_else(|error| panic!("{round}: {key} cannot be deleted: {error}"));
        }
        assert_eq!(engine.list("", "", None).await.expect("list"), Vec::<String>::new());
    }
    let keys = fill(&engine, "last").await;
    // What is replaced by something smaller, together with a deletion, is no growth either.
    let [one, two, ..] = keys.as_slice() else { panic!("there are keys") };
    let writes = vec![
        Write::Delete { key: one.clone() },
        Write::Put { key: two.clone(), value: vec![8; 10] },
        Write::Put { key: "new".into(), value: vec![9; 10] },
    ];
    engine.apply(Batch { checks: vec![], writes }).await.expect("there is room for that");
    assert_eq!(engine.get("new").await.expect("read"), Some(vec![9; 10]));
    engine.apply(Batch::put("room", vec![1; 50_000])).await.expect("there is room for half of it");
    for key in keys.iter().skip(2) {
        assert!(engine.get(key).await.expect("read").is_some(), "{key} is there");
    }
}
