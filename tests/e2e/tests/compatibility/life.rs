//! The life that every secret and auth plugin is led through.
//!
//! Left out on purpose: what a plugin is put to, which is its scenario; and the life of database
//! plugins (`databases`).

use crate::table::{self, Built, Row};
use boltwork_e2e::{Api, Plugin, Server, process, tools, wait_for};
use serde_json::json;
use std::path::{Path, PathBuf};

/// A plugin of other people.
pub struct Foreign {
    /// `NAME@VERSION`, as in [`table::PLUGINS`].
    pub plugin: &'static str,
    /// `secret`, `auth` or `database`.
    pub kind: &'static str,
    /// Its scenario in a few words, for the table.
    pub scenario: &'static str,
    /// What it is registered with.
    pub env: &'static [&'static str],
}

impl Foreign {
    /// The program; `None` skips the calling test.
    pub fn program(&self) -> Option<PathBuf> {
        match self.plugin {
            "vault-plugin-secrets-kv@v0.25.0" => tools::go_kv(),
            "openbao-mock@v2.6.2" => tools::openbao_mock(),
            other => tools::foreign(other),
        }
    }

    /// Puts the program into a server's plugin folder.
    pub fn install(&self, server: &Server, program: &Path) -> Plugin {
        let (name, _) = self.plugin.split_once('@').expect("NAME@VERSION");
        server.install(program, name).kind(self.kind).env(self.env)
    }

    /// Puts what was seen of the plugin into the table.
    #[track_caller]
    pub fn record(&self, program: &Path, protocol: String) {
        let built = Built::read(program);
        Row { plugin: self.plugin, built, kind: self.kind, protocol, scenario: self.scenario }
            .record();
    }
}

/// What a plugin is put to at one mount; `at` is the path of the mount in requests.
pub trait Scenario {
    /// Sets the mount up; once.
    fn configure(&self, api: &Api, at: &str);
    /// Uses it; as often as one likes.
    fn works(&self, api: &Api, at: &str);
}

/// Says in the table that the plugin fails, unless told that it did not.
pub struct Verdict(pub &'static str);

impl Drop for Verdict {
    fn drop(&mut self) {
        if std::thread::panicking() {
            table::record_failure(self.0);
        }
    }
}

/// Leads a plugin through its life.
pub fn lead(foreign: &Foreign, scenario: &dyn Scenario) {
    let Some(program) = foreign.program() else { return };
    let Some(server) = Server::memory() else { return };
    let verdict = Verdict(foreign.plugin);
    let api = server.api();
    let plugin = foreign.install(&server, &program);
    plugin.register(&api).status(204);
    let prefix = if foreign.kind == "auth" { "auth/" } else { "" };
    let mounts = ["one", "two"];
    let paths = mounts.map(|mount| format!("{prefix}{mount}"));
    for (mount, path) in mounts.iter().zip(&paths) {
        plugin.enable(&api, mount).status(204);
        scenario.configure(&api, path);
    }
    let all_work = || paths.iter().for_each(|path| scenario.works(&api, path));
    all_work();
    let seen = (!server.is_bao()).then(|| protocol(&server));
    kill(&server);
    all_work();
    let (mine, before) = (&plugin.name, pids(&server));
    api.write("sys/plugins/reload/backend", &json!({"plugin": mine})).status(200);
    all_work();
    assert!(pids(&server).iter().all(|pid| !before.contains(pid)), "a reload starts it anew");
    server.seal_and_unseal();
    all_work();
    let table = if foreign.kind == "auth" { "auth" } else { "mounts" };
    for mount in mounts {
        api.delete(&format!("sys/{table}/{mount}")).status(204);
    }
    leaves_nothing(&server, &plugin);
    // From here on a panic says that the table differs, not that the plugin fails.
    drop(verdict);
    if let Some(protocol) = seen {
        foreign.record(&program, protocol);
    }
}

/// Takes the plugin out of the catalog and asserts that nothing of it is left.
pub fn leaves_nothing(server: &Server, plugin: &Plugin) {
    let api = server.api();
    server.expect_plugins(0);
    assert_eq!(process::sockets(&server.temporary()), Vec::<PathBuf>::new(), "no socket is left");
    let list = api.read("sys/plugins/catalog").ok().data();
    let entries = list["detailed"].as_array().cloned().unwrap_or_default();
    let registered: Vec<String> = entries
        .iter()
        .filter(|entry| entry["name"] == plugin.name.as_str() && entry["builtin"] == false)
        .map(|entry| entry["version"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(registered.len(), 1, "one version of it is registered: {registered:?}");
    plugin.version(&registered[0]).deregister(&api).status(204);
    api.read(&plugin.catalog_path()).status(404);
    server.is_well();
}

/// Sends SIGKILL to every process of the plugin.
pub fn kill(server: &Server) {
    let running = server.plugins_running();
    assert!(!running.is_empty(), "there is no plugin to kill");
    for plugin in running {
        process::kill9(plugin.pid);
        wait_for("the killed process is reaped", || {
            process::find(plugin.pid).is_none().then_some(())
        });
    }
}

/// The processes of plugins that run now.
pub fn pids(server: &Server) -> Vec<u32> {
    server.plugins_running().iter().map(|process| process.pid).collect()
}

/// The protocol of the processes that run now, as the server logged it, and whether the plugin's
/// two mounts share one.
pub fn protocol(server: &Server) -> String {
    let pids = pids(server);
    let log = server.log();
    let mut versions: Vec<&str> = pids
        .iter()
        .map(|pid| {
            let this = format!("pid={pid} ");
            let line = log
                .lines()
                .find(|line| line.contains("plugin started") && line.contains(&this))
                .unwrap_or_else(|| panic!("the log does not tell of process {pid}"));
            let (_, rest) = line.split_once("protocol=").expect("the log tells the protocol");
            rest.split_whitespace().next().unwrap_or_default()
        })
        .collect();
    versions.dedup();
    assert_eq!(versions.len(), 1, "all processes of a plugin speak one protocol");
    match pids.len() {
        1 => format!("{}, multiplexed", versions[0]),
        2 => versions[0].to_owned(),
        more => panic!("two mounts run in {more} processes"),
    }
}
