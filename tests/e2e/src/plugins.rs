//! Plugins as an operator handles them: put into the folder, registered, enabled.
//!
//! Left out on purpose: what the plugins do.

use crate::http::{Answer, Api};
use crate::server::Server;
use crate::{process, wait_for};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// What is registered in the catalog.
#[derive(Debug, Clone)]
pub struct Plugin {
    /// Name in the catalog.
    pub name: String,
    /// `secret` or `auth`.
    pub kind: String,
    /// File name in the plugin folder.
    pub command: String,
    /// Checksum of that file, in hex.
    pub sha256: String,
    /// Version asked for; none if empty.
    pub version: String,
    /// Arguments.
    pub args: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
}

/// How to enable a plugin.
#[derive(Debug, Clone, Default)]
pub struct Mount {
    /// Version asked for; none if empty.
    pub version: String,
    /// `options` of the mount.
    pub options: Value,
}

impl Server {
    /// Puts a program into the plugin folder under this name.
    pub fn install(&self, program: &Path, name: &str) -> Plugin {
        let target = self.plugin_folder().join(name);
        place(program, &target);
        Plugin {
            name: name.to_owned(),
            kind: "secret".to_owned(),
            command: name.to_owned(),
            sha256: sha256(&target),
            version: String::new(),
            args: Vec::new(),
            env: Vec::new(),
        }
    }

    /// Registers a plugin and enables it at `path`.
    #[track_caller]
    pub fn run(&self, plugin: &Plugin, path: &str) {
        plugin.register(&self.api()).status(204);
        plugin.enable(&self.api(), path).status(204);
    }
}

impl Server {
    /// Sends SIGKILL to every plugin process and waits until they are reaped. OpenBao hands on the
    /// transport's error to whoever asks before it has noticed, so under it `path` is read until
    /// that is over; ours has no such grace.
    pub fn kill_plugins(&self, path: &str) {
        let children = self.plugins_running();
        assert!(!children.is_empty(), "there is no plugin to kill");
        for child in children {
            process::kill9(child.pid);
            wait_for("the killed process is reaped", || {
                process::find(child.pid).is_none().then_some(())
            });
        }
        if self.is_bao() {
            wait_for("the plugin is back", || self.api().read(path).succeeded().then_some(()));
        }
    }
}

/// Copies a program so that it can be run at once. The copy is made by a process of its own: were
/// this process to hold the file open for writing while another test starts a program, that
/// program would inherit the descriptor for a moment, and whoever runs the file in that moment is
/// told that it is busy.
fn place(program: &Path, target: &Path) {
    let _ = fs::remove_file(target);
    let copied = Command::new("cp").arg("--").args([program, target]).status().expect("cp runs");
    assert!(copied.success(), "{} cannot be copied to {}", program.display(), target.display());
    fs::set_permissions(target, fs::Permissions::from_mode(0o755))
        .expect("a program is executable");
}

/// The SHA-256 of a file, in hex.
pub fn sha256(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes))
}

/// Puts a file made from the bytes of another one in the plugin folder of a server.
pub fn altered(
    server: &Server,
    program: &Path,
    name: &str,
    change: impl FnOnce(&mut Vec<u8>),
) -> Plugin {
    let mut bytes = fs::read(program).expect("the program is readable");
    change(&mut bytes);
    let made = server.folder().join(format!("{name}.made"));
    fs::write(&made, bytes).expect("the altered program is written");
    server.install(&made, name)
}

impl Plugin {
    /// The same under another name in the catalog.
    pub fn named(&self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self.clone() }
    }

    /// The same with a version asked for.
    pub fn version(&self, version: &str) -> Self {
        Self { version: version.to_owned(), ..self.clone() }
    }

    /// The same with arguments.
    pub fn args(&self, args: &[&str]) -> Self {
        Self { args: args.iter().map(|arg| (*arg).to_owned()).collect(), ..self.clone() }
    }

    /// The same with variables in its environment.
    pub fn env(&self, env: &[&str]) -> Self {
        Self { env: env.iter().map(|variable| (*variable).to_owned()).collect(), ..self.clone() }
    }

    /// The same as `secret` or `auth`.
    pub fn kind(&self, kind: &str) -> Self {
        Self { kind: kind.to_owned(), ..self.clone() }
    }

    /// Its path in the API.
    pub fn catalog_path(&self) -> String {
        format!("sys/plugins/catalog/{}/{}", self.kind, self.name)
    }

    /// What is sent to register it.
    pub fn body(&self) -> Value {
        let mut body = json!({"sha256": self.sha256, "command": self.command});
        if !self.version.is_empty() {
            body["version"] = json!(self.version);
        }
        if !self.args.is_empty() {
            body["args"] = json!(self.args);
        }
        if !self.env.is_empty() {
            body["env"] = json!(self.env);
        }
        body
    }

    /// Registers it.
    pub fn register(&self, api: &Api) -> Answer {
        api.write(&self.catalog_path(), &self.body())
    }

    /// Takes it out of the catalog.
    pub fn deregister(&self, api: &Api) -> Answer {
        api.delete(&format!("{}?version={}", self.catalog_path(), self.version.replace('+', "%2B")))
    }

    /// Enables it at a path, in whatever version the server picks.
    pub fn enable(&self, api: &Api, path: &str) -> Answer {
        self.enable_as(api, path, &Mount::default())
    }

    /// Enables it at a path.
    pub fn enable_as(&self, api: &Api, path: &str, mount: &Mount) -> Answer {
        let table = if self.kind == "auth" { "auth" } else { "mounts" };
        let mut body = json!({"type": self.name});
        if !mount.version.is_empty() {
            body["config"] = json!({"plugin_version": mount.version});
        }
        if !mount.options.is_null() {
            body["options"] = mount.options.clone();
        }
        api.write(&format!("sys/{table}/{path}"), &body)
    }

    /// Registers it and, where that is accepted, enables it; returns the answer that refused.
    ///
    /// Boltwork tries a plugin when it is registered, OpenBao only when it is enabled: what a test
    /// wants to know is that it is refused, and why.
    #[track_caller]
    pub fn refusal(&self, api: &Api, path: &str) -> Answer {
        let registered = self.register(api);
        if !registered.succeeded() {
            return registered;
        }
        let enabled = self.enable(api, path);
        assert!(!enabled.succeeded(), "{} was registered and enabled at {path}", self.name);
        enabled
    }
}
