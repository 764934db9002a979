//! Who may know whom: the table of `ARCHITECTURE.md`, held against what Cargo resolves.
//!
//! Left out on purpose: what a source file says (see `sources.rs`).

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// A room and the rooms of ours that it may depend on. What a test of it uses is not counted.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("go-plugin", &[]),
    ("boltwork-hcl", &[]),
    ("boltwork-logical", &[]),
    ("boltwork-storage", &[]),
    ("boltwork-client", &[]),
    ("boltwork-policy", &["boltwork-hcl"]),
    ("boltwork-framework", &["boltwork-logical"]),
    ("boltwork-wire", &["boltwork-logical"]),
    ("boltwork-audit", &["boltwork-logical"]),
    ("boltwork-barrier", &["boltwork-storage", "boltwork-logical"]),
    ("boltwork-cli", &["boltwork-client"]),
    (
        "boltwork-sdk",
        &[
            "boltwork-framework",
            "boltwork-logical",
            "boltwork-wire",
            "boltwork-client",
            "go-plugin",
        ],
    ),
    ("boltwork-plugin-host", &["boltwork-logical", "boltwork-wire", "go-plugin"]),
    (
        "boltwork-core",
        &[
            "boltwork-logical",
            "boltwork-framework",
            "boltwork-barrier",
            "boltwork-policy",
            "boltwork-audit",
            "boltwork-hcl",
        ],
    ),
    ("boltwork-http", &["boltwork-core", "boltwork-logical"]),
    (
        "boltwork-sdk-test",
        // Both ends of the wire meet in it, so it knows what lies between them.
        &["boltwork-sdk", "boltwork-logical", "boltwork-plugin-host", "boltwork-wire", "go-plugin"],
    ),
    // Tools of ours that are no part of the server.
    ("xtask", &[]),
    ("boltwork-rules", &[]),
    ("boltwork-e2e", &[]),
    ("boltwork-bench", &["boltwork-e2e"]),
];

/// The room that assembles all others, and the only one that may name a plugin.
const ASSEMBLY: &str = "boltwork";

/// A room, what it must not depend on directly, and why.
const MUST_NOT_NAME: &[(&str, &[&str], &str)] = &[
    (
        "boltwork-core",
        &["tonic", "tonic-prost", "prost", "axum", "hyper", "hyper-util", "http", "rusqlite"],
        "the core knows neither HTTP nor gRPC nor how bytes are kept",
    ),
    (
        "boltwork-wire",
        &["tokio", "hyper", "hyper-util", "tokio-rustls", "rustls"],
        "the wire opens no socket and spawns nothing",
    ),
    (
        "boltwork-logical",
        &["tokio", "prost", "tonic", "http", "hyper", "futures-util"],
        "the nouns need no runtime and no transport",
    ),
    ("boltwork-policy", &["tokio", "futures-util"], "a policy is decided without input or output"),
    (
        "boltwork-framework",
        &["tonic", "prost", "http", "hyper"],
        "an engine does not know how it is reached",
    ),
    ("boltwork-http", &["tonic", "prost"], "HTTP clients never see protobuf"),
];

/// A room in whose whole tree of dependencies something must not appear.
const MUST_NOT_REACH: &[(&str, &[&str])] = &[
    ("boltwork-logical", &["tokio", "hyper", "prost", "tonic"]),
    ("boltwork-policy", &["tokio", "hyper"]),
    ("boltwork-hcl", &["tokio", "hyper"]),
    // `ring` cannot verify what Go plugins sign with; one crypto library is enough.
    (ASSEMBLY, &["ring", "openssl", "openssl-sys", "native-tls"]),
];

/// Libraries say what went wrong with a type of their own.
const NO_ANYHOW: &[&str] = &["anyhow", "eyre"];

struct Packages {
    /// Name of a member of the workspace to its manifest's path.
    members: BTreeMap<String, String>,
    /// Name of a package to what it needs when it is built, not when it is tested.
    needs: BTreeMap<String, BTreeSet<String>>,
}

impl Packages {
    fn read() -> Self {
        let metadata = cargo(&["metadata", "--format-version=1", "--locked"]);
        Self::of(&serde_json::from_str(&metadata).expect("cargo metadata prints JSON"))
    }

    fn of(metadata: &Value) -> Self {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let list = |value: &Value| value.as_array().expect("a list").clone();
        let inside: BTreeSet<String> =
            list(&metadata["workspace_members"]).iter().map(text).collect();
        let mut names = BTreeMap::new();
        let mut members = BTreeMap::new();
        for package in list(&metadata["packages"]) {
            let (id, name) = (text(&package["id"]), text(&package["name"]));
            if inside.contains(&id) {
                members.insert(name.clone(), text(&package["manifest_path"]));
            }
            names.insert(id, name);
        }
        let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in list(&metadata["resolve"]["nodes"]) {
            let of = needs.entry(names[&text(&node["id"])].clone()).or_default();
            for dependency in list(&node["deps"]) {
                let built = list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev");
                if built {
                    of.insert(names[&text(&dependency["pkg"])].clone());
                }
            }
        }
        Self { members, needs }
    }

    fn is_plugin(&self, member: &str) -> bool {
        self.members[member].contains("/plugins/")
    }

    fn allowed(&self, member: &str) -> Vec<&'static str> {
        if self.is_plugin(member) {
            return vec!["boltwork-sdk"];
        }
        let row = MAY_KNOW.iter().find(|(room, _)| *room == member);
        row.unwrap_or_else(|| panic!("{member} has no row in MAY_KNOW: say whom it may know"))
            .1
            .to_vec()
    }
}

/// Everything that is built for `member`, with what features are really on. `cargo metadata` is no
/// use here: it also lists optional dependencies that no feature switches on.
fn reached(member: &str) -> BTreeSet<String> {
    let tree = cargo(&[
        "tree",
        "--package",
        member,
        "--edges=normal,build",
        "--prefix=none",
        "--format={p}",
        "--locked",
    ]);
    let names: BTreeSet<String> =
        tree.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    assert!(names.contains(member), "cargo tree did not name {member}: its form has changed");
    names
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "cargo {arguments:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

#[test]
fn a_room_knows_only_the_rooms_below_it() {
    let packages = Packages::read();
    let mut wrong = Vec::new();
    for member in packages.members.keys().filter(|member| *member != ASSEMBLY) {
        let allowed = packages.allowed(member);
        for need in &packages.needs[member] {
            if packages.members.contains_key(need) && !allowed.contains(&need.as_str()) {
                wrong.push(format!("{member} must not know {need}; it may know {allowed:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_assembly_names_a_plugin() {
    let packages = Packages::read();
    let mut wrong = Vec::new();
    for member in packages.members.keys().filter(|member| *member != ASSEMBLY) {
        for need in &packages.needs[member] {
            if packages.members.contains_key(need) && packages.is_plugin(need) {
                wrong.push(format!("{member} depends on the plugin {need}; only {ASSEMBLY} may"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_a_room_must_not_name_it_does_not_name() {
    let packages = Packages::read();
    let mut wrong = Vec::new();
    for (room, banned, why) in MUST_NOT_NAME {
        for name in *banned {
            if packages.needs[*room].contains(*name) {
                wrong.push(format!("{room} depends on {name}, but {why}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_a_room_must_not_reach_is_nowhere_below_it() {
    let mut wrong = Vec::new();
    for (room, banned) in MUST_NOT_REACH {
        let reached = reached(room);
        for name in banned.iter().filter(|name| reached.contains(**name)) {
            wrong.push(format!("{room} reaches {name}: see `cargo tree -p {room} -i {name}`"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_crate_of_ours_hides_its_errors() {
    let packages = Packages::read();
    for member in packages.members.keys() {
        for name in NO_ANYHOW {
            assert!(
                !packages.needs[member].contains(*name),
                "{member} depends on {name}; give it an error type of its own"
            );
        }
    }
}

#[test]
fn the_table_names_no_room_that_is_gone() {
    let packages = Packages::read();
    for (room, _) in MAY_KNOW {
        assert!(
            packages.members.contains_key(*room),
            "{room} is in MAY_KNOW but not in the workspace"
        );
    }
}
