//! A server with hundreds of mounts of one external plugin that multiplexes: how long after unsealing
//! it serves them, and what it holds in memory.
//!
//! Left out on purpose: plugins with a process for each mount. Five hundred Go processes say more
//! about the machine than about either server.

use std::time::{Duration, Instant};

use boltwork_e2e::{Kind, Plugin, Server, Setup, Storage, process, tools};
use serde_json::json;

use crate::table::{Aim, Row, Unit};

/// How many mounts.
const MOUNTS: usize = 500;

/// What one server showed.
struct Shown {
    first_answer: Duration,
    all_answered: Duration,
    server: u64,
    plugins: u64,
}

/// The rows for both servers; `None` if a program is missing.
pub fn rows() -> Option<Vec<Row>> {
    eprintln!("{MOUNTS} external mounts ...");
    let (ours, theirs) = (measure(Kind::Boltwork)?, measure(Kind::Bao)?);
    let row = |what: &str, unit, aim, of: &dyn Fn(&Shown) -> f64| Row {
        name: format!("{MOUNTS} external mounts: {what}"),
        unit,
        ours: of(&ours),
        theirs: of(&theirs),
        aim,
    };
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    Some(vec![
        row("unseal to first answer", Unit::Milliseconds, Aim::AtMost(1.0), &|shown| {
            milliseconds(shown.first_answer)
        }),
        row("unseal to all answered", Unit::Milliseconds, Aim::AtMost(1.0), &|shown| {
            milliseconds(shown.all_answered)
        }),
        row("memory of the server", Unit::Megabytes, Aim::AtMost(1.0), &|shown| {
            mebibytes(shown.server)
        }),
        row("memory of the plugin", Unit::Megabytes, Aim::None, &|shown| mebibytes(shown.plugins)),
    ])
}

fn measure(kind: Kind) -> Option<Shown> {
    let setup = Setup { kind, storage: Storage::Disk, log_level: "warn", ..Setup::default() };
    let server = setup.start()?;
    // The same plugin for both: HashiCorp's where Go could build it, else ours.
    let program = tools::go_kv().unwrap_or_else(tools::our_kv);
    let plugin = server.install(&program, "many");
    plugin.register(&server.api()).status(204);
    for number in 0..MOUNTS {
        mount(&server, &plugin, number);
    }
    server.seal();
    let start = Instant::now();
    server.unseal();
    answer(&server, 0);
    let first_answer = start.elapsed();
    (1..MOUNTS).for_each(|number| answer(&server, number));
    let all_answered = start.elapsed();
    let plugins = server.plugins_running().iter().map(|plugin| process::resident(plugin.pid)).sum();
    Some(Shown { first_answer, all_answered, server: process::resident(server.pid()), plugins })
}

fn mount(server: &Server, plugin: &Plugin, number: usize) {
    let api = server.api();
    plugin.enable(&api, &format!("many/{number}")).status(204);
    api.write(&format!("many/{number}/key"), &json!({"value": number})).ok();
}

/// Waits until a mount hands out what was put there.
fn answer(server: &Server, number: usize) {
    let path = format!("many/{number}/key");
    while server.api().read(&path).status != 200 {}
}
