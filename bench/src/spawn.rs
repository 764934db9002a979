//! From the start of a plugin's process until its mount answers from it: a reload, which ends the
//! old process and brings a new one up, and the first read after it.
//!
//! Left out on purpose: the first start, in which reading the file from the disk counts most.

use std::time::Instant;

use boltwork_e2e::Server;
use serde_json::json;

use crate::Plan;
use crate::measures::{Pair, median};
use crate::table::{Aim, Row, Unit};

/// Reloads in each round.
const RELOADS: usize = 5;

/// What a reload of the plugin at `mount` takes on both servers.
pub fn row(plan: Plan, pair: &Pair, name: &str, mount: &str) -> Row {
    eprintln!("spawn to ready, {name} ...");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        ours.extend((0..RELOADS).map(|_| reload(&pair.ours, mount)));
        theirs.extend((0..RELOADS).map(|_| reload(&pair.theirs, mount)));
    }
    Row {
        name: format!("reload to first answer, {name}"),
        unit: Unit::Milliseconds,
        ours: median(ours),
        theirs: median(theirs),
        aim: Aim::AtMost(0.5),
    }
}

/// In milliseconds.
fn reload(server: &Server, mount: &str) -> f64 {
    let api = server.api();
    let before = server.plugins_running();
    let start = Instant::now();
    api.write("sys/plugins/reload/backend", &json!({ "mounts": [mount] })).ok();
    // OpenBao answers `version 2 is being set up` for a moment, which is part of the wait.
    while api.read(&format!("{mount}/data/key1")).status != 200 {}
    let taken = start.elapsed().as_secs_f64() * 1e3;
    assert_ne!(before, server.plugins_running(), "the process is another one");
    taken
}
