//! Kills a writing process with SIGKILL, again and again, and looks for every write that it had acknowledged.
//!
//! Leaves out power loss: that the kernel keeps what was synced is not ours to test. Its own `main`, because the
//! process that is killed is this same program with another argument.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use boltwork_storage::{Batch, Physical as _, Sqlite, SqliteConfig, Write};

mod folder;

const WRITERS: usize = 8;
const ROUNDS: usize = 5;
/// Lines read before the kill; differs by round so that the kill hits different moments.
const ACKNOWLEDGED: usize = 300;

fn main() {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("write-until-killed"), Some(path)) => write_until_killed(Path::new(&path)),
        _ => every_acknowledged_write_survives_sigkill(),
    }
}

/// Prints a line for every write, after it was acknowledged.
fn write_until_killed(path: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
    runtime.expect("runtime").block_on(async {
        let engine = Arc::new(Sqlite::open(&SqliteConfig::new(path)).expect("open"));
        let round = engine.list("", "", None).await.expect("list").len();
        let tasks: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let engine = engine.clone();
                tokio::spawn(async move {
                    for n in 0.. {
                        let key = format!("{round}/{writer}/{n}");
                        let twin = format!("{round}/{writer}/{n}-twin");
                        let value = key.clone().into_bytes();
                        let writes = vec![
                            Write::Put { key: key.clone(), value: value.clone() },
                            Write::Put { key: twin, value },
                        ];
                        engine.apply(Batch { checks: vec![], writes }).await.expect("write");
                        println!("{key}");
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("task");
        }
    });
}

fn every_acknowledged_write_survives_sigkill() {
    let folder = folder::Folder::new();
    let path = folder.path().join("data.db");
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().expect("own path"))
            .arg("write-until-killed")
            .arg(&path)
            .stdout(Stdio::piped())
            .spawn()
            .expect("start");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        for _ in 0..ACKNOWLEDGED + 37 * round {
            acknowledged.push(lines.next().expect("the writer ended early").expect("a line"));
        }
        child.kill().expect("SIGKILL");
        child.wait().expect("reap");
        // What it printed before it died counts as acknowledged; a torn last line does not.
        let mut rest: Vec<String> = lines.map_while(Result::ok).collect();
        rest.pop();
        acknowledged.append(&mut rest);
    }
    let engine = Sqlite::open(&SqliteConfig::new(&path)).expect("open after the kills");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
    for key in &acknowledged {
        for name in [key.clone(), format!("{key}-twin")] {
            let value = runtime.block_on(engine.get(&name)).expect("read");
            assert_eq!(
                value.as_deref(),
                Some(key.as_bytes()),
                "{name} was acknowledged and is lost"
            );
        }
    }
    let rounds = runtime.block_on(engine.list("", "", None)).expect("list").len();
    assert_eq!(rounds, ROUNDS);
    println!("{} acknowledged writes, none lost", acknowledged.len());
}
