//! What is measured, in which order, on which servers.
//!
//! Left out on purpose: how requests are sent (`load.rs`) and how figures are shown (`table.rs`).

use crate::load::{self, Round, Script};
use crate::table::{Aim, Row, Unit};
use crate::{Plan, mounts, spawn, start};
use boltwork_e2e::{Api, Kind, Server, Setup, Storage, tools, wait_for};
use serde_json::json;
use std::path::Path;

/// Keys that are read.
const KEYS: usize = 1000;

/// Connections of a busy server, where the plan's number is that of an ordinary one.
const MANY_CONNECTIONS: usize = 64;

/// The engine as each server's users have it as a plugin: in Rust under Boltwork, in Go under OpenBao.
const OWN_EACH: &str = "kv v2 read, our plugin / the Go plugin";

/// Distinct requests that each connection prepares for a measure of writes.
const WRITES: usize = 4000;

/// A secret of an ordinary size, about 300 bytes of JSON.
fn secret() -> serde_json::Value {
    json!({"username": "application", "password": "x".repeat(64), "note": "y".repeat(180)})
}

/// Both servers, each on its own disk storage with the same mounts and the same secrets.
pub struct Pair {
    /// Boltwork.
    pub ours: Server,
    /// OpenBao.
    pub theirs: Server,
}

/// Measures everything. `None` if a program is missing; that has been said then.
pub fn all(plan: Plan) -> Option<Vec<Row>> {
    let bao = tools::bao()?;
    let boltwork = tools::boltwork();
    let mut rows = Vec::new();
    eprintln!("start and idle memory ...");
    rows.extend(starts(plan, &boltwork, &bao));
    let pair = Pair { ours: prepared(Kind::Boltwork)?, theirs: prepared(Kind::Bao)? };
    let reads = |path: &'static str| {
        move |server: &Server, connection: usize| read_script(server, path, connection)
    };
    rows.push(throughput(plan, &pair, "kv v1 read, built in", Aim::AtLeast(4.0), reads("v1/")));
    rows.push(throughput(
        plan,
        &pair,
        "kv v2 read, built in",
        Aim::AtLeast(4.0),
        reads("v2/data/"),
    ));
    rows.push(throughput(
        plan,
        &pair,
        "durable kv write (sqlite / raft)",
        Aim::AtLeast(5.0),
        write_script,
    ));
    if let Some(go_kv) = tools::go_kv() {
        external(&pair.ours, &go_kv, "go");
        external(&pair.theirs, &go_kv, "go");
        for connections in [plan.connections, MANY_CONNECTIONS] {
            let plan = Plan { connections, ..plan };
            let (name, aim) = ("kv v2 read, the same Go plugin", Aim::AtLeast(2.5));
            rows.push(throughput(plan, &pair, name, aim, reads("go/data/")));
        }
        rows.push(latency(
            plan,
            &pair,
            "kv v2 read, the same Go plugin, 1 connection",
            Aim::None,
            "go/data/",
        ));
        rows.push(spawn::row(plan, &pair, "the same Go plugin", "go"));
    }
    let our_kv = tools::our_kv();
    external(&pair.ours, &our_kv, "rust");
    external(&pair.theirs, &our_kv, "rust");
    for connections in [plan.connections, MANY_CONNECTIONS] {
        let plan = Plan { connections, ..plan };
        let name = "kv v2 read, our plugin";
        rows.push(throughput(plan, &pair, name, Aim::None, reads("rust/data/")));
        if tools::go_kv().is_some() {
            rows.push(throughput(plan, &pair, OWN_EACH, Aim::AtLeast(5.0), own_script));
        }
    }
    rows.push(spawn::row(plan, &pair, "our plugin", "rust"));
    rows.push(latency(plan, &pair, "kv v2 read, built in, 1 connection", Aim::None, "v2/data/"));
    rows.push(latency(
        plan,
        &pair,
        "kv v2 read, our plugin, 1 connection",
        Aim::None,
        "rust/data/",
    ));
    rows.push(added(&rows));
    drop(pair);
    rows.extend(mounts::rows()?);
    Some(rows)
}

fn starts(plan: Plan, boltwork: &Path, bao: &Path) -> [Row; 2] {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        // Memory hardly varies: it is read once, after a while of idling.
        ours.push(start::measure(boltwork, round == 0));
        theirs.push(start::measure(bao, round == 0));
    }
    let milliseconds = |started: &[start::Started]| {
        median(started.iter().map(|one| one.first_answer.as_secs_f64() * 1e3).collect())
    };
    let megabytes = |started: &[start::Started]| started[0].resident as f64 / f64::from(1 << 20);
    [
        Row {
            name: "start of a dev server to its first answer".into(),
            unit: Unit::Milliseconds,
            ours: milliseconds(&ours),
            theirs: milliseconds(&theirs),
            aim: Aim::AtMost(1.0 / 3.0),
        },
        Row {
            name: "resident memory of an idle dev server".into(),
            unit: Unit::Megabytes,
            ours: megabytes(&ours),
            theirs: megabytes(&theirs),
            aim: Aim::Absolute(30.0),
        },
    ]
}

/// A server with both versions of kv and the secrets that are read.
fn prepared(kind: Kind) -> Option<Server> {
    let setup = Setup { kind, storage: Storage::Disk, log_level: "warn", ..Setup::default() };
    let server = setup.start()?;
    let api = server.api();
    for (path, version) in [("v1", "1"), ("v2", "2"), ("written", "1")] {
        api.write(
            &format!("sys/mounts/{path}"),
            &json!({"type": "kv", "options": {"version": version}}),
        )
        .status(204);
    }
    wait_for("version 2 of kv is ready", || (api.read("v2/config").status == 200).then_some(()));
    fill(&api, "v1/", &secret());
    fill(&api, "v2/data/", &json!({"data": secret()}));
    Some(server)
}

fn fill(api: &Api, path: &str, body: &serde_json::Value) {
    for key in 0..KEYS {
        api.write(&format!("{path}key{key}"), body).ok();
    }
}

/// Registers a plugin, enables it at `path` as version 2 of kv, and fills it as the others are.
///
/// Version 2, because an answer of version 1 comes with a lease. From a mount that is not called kv
/// OpenBao takes that at its word and writes a lease to its storage with each read, Boltwork does
/// not: the two would not do the same work.
fn external(server: &Server, program: &Path, path: &str) {
    let plugin = server.install(program, &format!("kv-{path}"));
    server.run(&plugin, path);
    let api = server.api();
    let version_2 = json!({"options": {"version": "2"}});
    api.write(&format!("sys/mounts/{path}/tune"), &version_2).ok();
    wait_for("version 2 of kv is ready", || {
        (api.read(&format!("{path}/config")).status == 200).then_some(())
    });
    fill(&api, &format!("{path}/data/"), &json!({"data": secret()}));
}

fn read_script(server: &Server, path: &str, connection: usize) -> Script {
    let request =
        |key: usize| load::request("GET", &format!("{path}key{key}"), server.token(), None);
    // Every connection begins elsewhere, or all would ask for the same key at once.
    (0..KEYS).map(|key| request((key + connection * 61) % KEYS)).collect()
}

fn own_script(server: &Server, connection: usize) -> Script {
    let path = match server.kind() {
        Kind::Boltwork => "rust/data/",
        Kind::Bao => "go/data/",
    };
    read_script(server, path, connection)
}

fn write_script(server: &Server, connection: usize) -> Script {
    let body = secret().to_string();
    let request = |key: usize| {
        load::request("POST", &format!("written/c{connection}-{key}"), server.token(), Some(&body))
    };
    (0..WRITES).map(request).collect()
}

/// Requests in a second with all connections, in rounds that alternate between the servers.
fn throughput(
    plan: Plan,
    pair: &Pair,
    name: &str,
    aim: Aim,
    script: impl Fn(&Server, usize) -> Script,
) -> Row {
    eprintln!("{name} ...");
    let (ours, theirs) = alternate(plan, pair, plan.connections, script);
    let of = |rounds: &[Round]| median(rounds.iter().map(|round| round.per_second).collect());
    let name = format!("{name}, {} connections", plan.connections);
    Row { name, unit: Unit::PerSecond, ours: of(&ours), theirs: of(&theirs), aim }
}

/// The median latency of one connection.
fn latency(plan: Plan, pair: &Pair, name: &str, aim: Aim, path: &str) -> Row {
    eprintln!("{name} ...");
    let (ours, theirs) =
        alternate(plan, pair, 1, |server, connection| read_script(server, path, connection));
    let of = |rounds: &[Round]| {
        median(rounds.iter().map(|round| round.median().as_secs_f64() * 1e6).collect())
    };
    Row { name: name.into(), unit: Unit::Microseconds, ours: of(&ours), theirs: of(&theirs), aim }
}

fn alternate(
    plan: Plan,
    pair: &Pair,
    connections: usize,
    script: impl Fn(&Server, usize) -> Script,
) -> (Vec<Round>, Vec<Round>) {
    let run = |server: &Server| {
        let scripts = (0..connections).map(|connection| script(server, connection)).collect();
        load::run(server.api().address(), scripts, plan.round)
            .unwrap_or_else(|error| panic!("{:?} broke under load: {error}", server.kind()))
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        // Who begins changes, so that neither always finds the machine as the other left it.
        if round % 2 == 0 {
            ours.push(run(&pair.ours));
            theirs.push(run(&pair.theirs));
        } else {
            theirs.push(run(&pair.theirs));
            ours.push(run(&pair.ours));
        }
    }
    (ours, theirs)
}

/// What it costs a request that kv is a process of its own.
fn added(rows: &[Row]) -> Row {
    let of = |name: &str| {
        rows.iter().find(|row| row.name.starts_with(name)).expect("it was measured before")
    };
    let (inside, outside) = (of("kv v2 read, built in, 1 "), of("kv v2 read, our plugin, 1 "));
    Row {
        name: "added to a read by our kv being a plugin".into(),
        unit: Unit::Microseconds,
        ours: outside.ours - inside.ours,
        theirs: outside.theirs - inside.theirs,
        aim: Aim::Absolute(150.0),
    }
}

/// The one in the middle; zero if there is none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
