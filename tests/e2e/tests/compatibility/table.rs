//! The table in `docs/compatibility.md`: one row for each plugin, written by the test that drives
//! the plugin, which fails if that changes the row.
//!
//! Left out on purpose: rows of plugins that this machine cannot build; they stay as they are.

use boltwork_e2e::tools;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Every plugin of the table, in its order.
pub const PLUGINS: &[&str] = &[
    "openbao-mock@v2.6.2",
    "vault-plugin-auth-jwt@v0.26.1",
    "vault-plugin-auth-kubernetes@v0.23.1",
    "vault-plugin-database-elasticsearch@v0.19.0",
    "vault-plugin-database-redis@v0.7.0",
    "vault-plugin-secrets-kv@v0.25.0",
    "vault-plugin-secrets-kv@v0.5.5",
    "vault-plugin-secrets-kubernetes@v0.12.0",
    "vault-plugin-secrets-oauthapp@v3.0.0",
    "vault-plugin-secrets-openldap@v0.17.0",
];

const HEAD: &str = "| plugin | author | version | kind | SDK | protocol | scenario | result |\n\
                    |---|---|---|---|---|---|---|---|\n";

/// How the modules of this repository begin.
const OURS: &str = "boltwork.invalid/";

/// What a Go program says of itself: Go writes the modules that it was built from into it.
pub struct Built {
    /// Path of its module.
    pub module: String,
    /// Version of its module.
    pub version: String,
    /// The plugin SDK and its version.
    pub sdk: String,
}

impl Built {
    /// Reads it from the program.
    pub fn read(program: &Path) -> Self {
        let bytes = fs::read(program).expect("the program is readable");
        let text = String::from_utf8_lossy(&bytes);
        let find = |start: &str| -> Option<Vec<String>> {
            let (_, rest) = text.split_once(start)?;
            let line = rest.lines().next().unwrap_or_default();
            Some(line.split('\t').map(str::to_owned).collect())
        };
        let silent = || -> ! { panic!("{} says too little of itself", program.display()) };
        let sdks = ["hashicorp/vault/sdk", "openbao/openbao/sdk/v2"];
        let found = sdks.into_iter().find_map(|sdk| {
            Some((sdk, find(&format!("\ndep\tgithub.com/{sdk}\t"))?.swap_remove(0)))
        });
        let (sdk, release) = found.unwrap_or_else(|| silent());
        let module = find("\nmod\t").unwrap_or_else(|| silent());
        // What only serves the backend of an SDK is of that SDK.
        let (module, version) = match module[0].starts_with(OURS) {
            true => (format!("github.com/{sdk}"), release.clone()),
            false => (module[0].clone(), module[1].clone()),
        };
        // A version between two releases is told by date and commit; the release is enough.
        let release = release.split("-0.").next().unwrap_or_default();
        Self { module, version, sdk: format!("{sdk} {release}") }
    }
}

/// One row.
pub struct Row {
    /// `NAME@VERSION`, as in [`PLUGINS`].
    pub plugin: &'static str,
    /// What Go wrote into it.
    pub built: Built,
    /// `secret`, `auth` or `database`.
    pub kind: &'static str,
    /// Protocol version, and whether mounts share a process.
    pub protocol: String,
    /// What it was put to.
    pub scenario: &'static str,
}

impl Row {
    fn text(&self, result: &str) -> String {
        let (name, _) = self.plugin.split_once('@').expect("NAME@VERSION");
        let Built { module, version, sdk } = &self.built;
        let author = match module.split('/').nth(1).unwrap_or_default() {
            "hashicorp" => "HashiCorp",
            "openbao" => "OpenBao",
            "puppetlabs" => "Puppet",
            other => other,
        };
        let (kind, protocol, scenario) = (self.kind, &self.protocol, self.scenario);
        format!(
            "| [`{name}`](https://pkg.go.dev/{module}@{version}) | {author} | {version} | {kind} | {sdk} | {protocol} | {scenario} | {result} |"
        )
    }

    /// Puts the row into the table.
    ///
    /// # Panics
    ///
    /// If it was not there in just this form: then what runs is not what the page says.
    #[track_caller]
    pub fn record(&self) {
        let row = self.text("works");
        let before = replace(self.plugin, &row);
        assert_eq!(
            before.as_deref(),
            Some(row.as_str()),
            "docs/compatibility.md has changed for {}: look at it and commit it",
            self.plugin
        );
    }
}

/// Says in the table that a plugin did not get through its life.
pub fn record_failure(plugin: &'static str) {
    let found = rows(&page()).remove(plugin);
    if let Some(row) = found {
        replace(plugin, &row.replace("| works |", "| **fails** |"));
    }
}

/// One test at a time reads and writes the page.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn page() -> String {
    fs::read_to_string(tools::repository("docs/compatibility.md")).expect("the page is readable")
}

/// The rows that a page has, by `NAME@VERSION`.
fn rows(page: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("| [`")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let name = cells[1].split('`').nth(1).unwrap_or_default();
        found.insert(format!("{name}@{}", cells[3]), line.to_owned());
    }
    found
}

/// Writes a row into the page; returns the one that was there.
fn replace(plugin: &str, row: &str) -> Option<String> {
    let _turn = turn();
    let page = page();
    let mut rows = rows(&page);
    let before = rows.insert(plugin.to_owned(), row.to_owned());
    if before.as_deref() == Some(row) {
        return before;
    }
    let start = page.find(HEAD).expect("the page has the table's head") + HEAD.len();
    let length: usize =
        page[start..].lines().take_while(|line| line.starts_with('|')).map(|l| l.len() + 1).sum();
    let ordered: Vec<&str> =
        PLUGINS.iter().filter_map(|plugin| rows.get(*plugin)).map(String::as_str).collect();
    let (head, tail) = (&page[..start], &page[start + length..]);
    fs::write(
        tools::repository("docs/compatibility.md"),
        format!("{head}{}\n{tail}", ordered.join("\n")),
    )
    .expect("the page is written");
    before
}

#[test]
fn the_table_has_a_row_for_each_plugin_that_is_tested_and_no_other() {
    let found = {
        let _turn = turn();
        rows(&page())
    };
    let mut wanted: Vec<&str> = PLUGINS.to_vec();
    wanted.sort_unstable();
    assert_eq!(found.keys().map(String::as_str).collect::<Vec<_>>(), wanted);
}
