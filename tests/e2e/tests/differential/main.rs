//! The same requests to Boltwork and to OpenBao, and the answers held against each other: status,
//! media type and body, with ids, times and tokens masked. Where an answer differs on purpose, the
//! difference stands in `known.rs` with its reason; one that stands there and no longer shows is
//! an error too.
//!
//! Left out on purpose: what the answers mean. Other tests say that; this one says that whoever is
//! used to the one server finds the other just the same.

mod database_tables;
mod known;
mod tables;
mod token_tables;

use boltwork_e2e::{Answer, Call, Difference, Kind, Server, Setup, compare};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Whose token a request carries.
#[derive(Debug, Clone, Copy)]
enum Who {
    Root,
    Nobody,
    Wrong,
    /// A token that an earlier step kept under this name.
    Kept(&'static str),
}

/// One request. `{name}` in its target or its body stands for a value that an earlier step kept.
#[derive(Debug, Clone)]
struct Step {
    name: &'static str,
    method: &'static str,
    target: &'static str,
    body: Option<&'static str>,
    who: Who,
    content_type: Option<&'static str>,
    keep: Option<(&'static str, &'static str)>,
    /// Asked again until both servers answer with success, for what is prepared in the background.
    eventually: bool,
    /// For how long the answer is to be wrapped.
    wrap: Option<&'static str>,
}

impl Step {
    const fn new(name: &'static str, method: &'static str, target: &'static str) -> Self {
        Self {
            name,
            method,
            target,
            body: None,
            who: Who::Root,
            content_type: None,
            keep: None,
            eventually: false,
            wrap: None,
        }
    }

    const fn body(mut self, body: &'static str) -> Self {
        self.body = Some(body);
        self
    }

    const fn who(mut self, who: Who) -> Self {
        self.who = who;
        self
    }

    const fn content_type(mut self, content_type: &'static str) -> Self {
        self.content_type = Some(content_type);
        self
    }

    /// Keeps the text at a JSON pointer of the answer for later steps.
    const fn keep(mut self, name: &'static str, pointer: &'static str) -> Self {
        self.keep = Some((name, pointer));
        self
    }

    const fn wrap(mut self, ttl: &'static str) -> Self {
        self.wrap = Some(ttl);
        self
    }

    const fn eventually(mut self) -> Self {
        self.eventually = true;
        self
    }
}

/// A server with what was kept of its answers.
struct Side {
    server: Server,
    kept: BTreeMap<&'static str, String>,
}

impl Side {
    fn start(kind: Kind) -> Option<Self> {
        let server = Setup { kind, ..Setup::default() }.start()?;
        Some(Self { server, kept: BTreeMap::new() })
    }

    fn ask(&mut self, step: &Step) -> Answer {
        let answer = if step.eventually { self.ask_until(step) } else { self.send(step) };
        if let Some((name, pointer)) = step.keep {
            let body: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
            // Without it, later steps send the bare name and their answers differ: that says enough.
            let found = body.pointer(pointer).and_then(Value::as_str).unwrap_or(name);
            self.kept.insert(name, found.to_owned());
        }
        answer
    }

    /// Asks for up to a few seconds; what prepares itself in the background needs less.
    fn ask_until(&self, step: &Step) -> Answer {
        let start = Instant::now();
        loop {
            let answer = self.send(step);
            if answer.succeeded() || start.elapsed() > Duration::from_secs(10) {
                return answer;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn send(&self, step: &Step) -> Answer {
        let api = match step.who {
            Who::Root => self.server.api(),
            Who::Nobody => self.server.public(),
            Who::Wrong => self.server.api().with_token("hvs.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
            Who::Kept(name) => self.server.api().with_token(&self.kept[name]),
        };
        let headers = step.content_type.map(|value| ("Content-Type".to_owned(), value.to_owned()));
        let wrap = step.wrap.map(|ttl| ("X-Vault-Wrap-TTL".to_owned(), ttl.to_owned()));
        api.send(&Call {
            method: step.method.to_owned(),
            target: self.filled(step.target),
            headers: headers.into_iter().chain(wrap).collect(),
            body: step.body.map(|body| self.filled(body).into_bytes()),
        })
    }

    fn filled(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in &self.kept {
            text = text.replace(&format!("{{{name}}}"), value);
        }
        text
    }
}

fn differences(ours: &Answer, theirs: &Answer) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut note = |place: &str, first: String, second: String| {
        if first != second {
            found.push(Difference { place: place.to_owned(), first, second });
        }
    };
    note("status", ours.status.to_string(), theirs.status.to_string());
    let header = |answer: &Answer, name: &str| answer.header(name).unwrap_or("absent").to_owned();
    note("cache-control", header(ours, "cache-control"), header(theirs, "cache-control"));
    // Go's server names a media type even where there is no medium.
    if !(ours.body.is_empty() && theirs.body.is_empty()) {
        note("content-type", header(ours, "content-type"), header(theirs, "content-type"));
    }
    let parse = |answer: &Answer| serde_json::from_slice::<Value>(&answer.body);
    match (parse(ours), parse(theirs)) {
        (Ok(one), Ok(two)) => found.extend(compare(&one, &two)),
        _ => note("body", ours.text(), theirs.text()),
    }
    found
}

/// Runs a table against both servers and wants only known differences, and all of those.
fn run(table: &str, steps: &[Step]) {
    let kind = Kind::under_test();
    let (Some(mut one), Some(mut two)) = (Side::start(kind), Side::start(Kind::Bao)) else {
        return;
    };
    let known: Vec<&known::Known> =
        known::KNOWN.iter().filter(|known| known.table == table).collect();
    let mut seen = vec![false; known.len()];
    let mut unexpected = Vec::new();
    // For whoever extends a table: what OpenBao says, to be read with `--nocapture`.
    let show = std::env::var_os("BOLTWORK_E2E_SHOW").is_some();
    for step in steps {
        let (ours, theirs) = (one.ask(step), two.ask(step));
        if show {
            println!(
                "{}: {} {}\n  {} {}",
                step.name,
                step.method,
                step.target,
                theirs.status,
                theirs.text().trim()
            );
        }
        for difference in differences(&ours, &theirs) {
            let expected =
                known.iter().position(|known| known.covers(step.name, &difference.place));
            match expected {
                Some(index) => seen[index] = true,
                None => unexpected.push(format!(
                    "{}: {} {}\n    at {}\n    ours   {}\n    theirs {}",
                    step.name,
                    step.method,
                    step.target,
                    difference.place,
                    difference.first,
                    difference.second
                )),
            }
        }
    }
    if kind == Kind::Boltwork {
        for (known, _) in known.iter().zip(&seen).filter(|(_, seen)| !**seen) {
            unexpected.push(format!(
                "{:?} {:?}: no longer differs, though {}; take it out of known.rs",
                known.steps, known.places, known.reason
            ));
        }
    }
    assert!(
        unexpected.is_empty(),
        "{} differences in {table}:\n{}",
        unexpected.len(),
        unexpected.join("\n")
    );
}

#[test]
fn the_state_of_the_server_looks_the_same() {
    run("state", tables::STATE);
}

#[test]
fn mounts_look_the_same() {
    run("mounts", tables::MOUNTS);
}

#[test]
fn policies_and_capabilities_look_the_same() {
    run("policies", tables::POLICIES);
}

#[test]
fn password_policies_look_the_same() {
    run("passwords", tables::PASSWORDS);
}

#[test]
fn identities_look_the_same() {
    run("identity", tables::IDENTITY);
}

#[test]
fn tokens_look_the_same() {
    run("tokens", tables::TOKENS);
}

#[test]
fn token_roles_look_the_same() {
    run("roles", token_tables::ROLES);
}

#[test]
fn leases_look_the_same() {
    run("leases", token_tables::LEASES);
}

#[test]
fn wrapping_and_cubbyholes_look_the_same() {
    run("wrapping", token_tables::WRAPPING);
}

#[test]
fn kv_version_1_looks_the_same() {
    run("kv1", tables::KV_1);
}

#[test]
fn kv_version_2_looks_the_same() {
    run("kv2", tables::KV_2);
}

#[test]
fn the_database_engine_looks_the_same() {
    run("database", database_tables::DATABASE);
}

#[test]
fn errors_look_the_same() {
    run("errors", tables::ERRORS);
}

#[test]
fn the_catalog_looks_the_same() {
    run("catalog", tables::CATALOG);
}

#[test]
fn the_cubbyhole_looks_the_same() {
    run("cubbyhole", tables::CUBBYHOLE);
}
