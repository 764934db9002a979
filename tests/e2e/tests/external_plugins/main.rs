//! What OpenBao tests of external plugins, told again from outside: a Go plugin on OpenBao's own
//! SDK, registered, mounted, killed, reloaded, upgraded. The name of each test begins with the
//! name that the scenario has there; `docs/conformance.md` says which test is which scenario.
//!
//! Left out on purpose: what database plugins do beyond those scenarios (`database_plugins`).

mod audit;
mod auth;
mod breakage;
mod engines;
mod matrix;
mod passing;
mod processes;
mod reported;
mod versions;

use boltwork_e2e::{Api, Plugin, Server, tools};
use serde_json::{Value, json};

/// The variable that says which version the mock reports.
const REPORTED: &str = "TESTING_MOCK_VAULT_PLUGIN_VERSION";

/// How a plugin serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Protocol 5, all mounts in one process.
    Multiplexed,
    /// Protocol 5, a process for each mount.
    Plain,
    /// Protocols 3 and 4 only: a process for each mount, started by its first request.
    Older,
}

impl Form {
    /// The mock's argument for it.
    fn argument(self) -> &'static str {
        match self {
            Self::Multiplexed => "-serve=mux",
            Self::Plain => "-serve=plain",
            Self::Older => "-serve=v4",
        }
    }

    /// How many processes so many mounts of one plugin have, each of which was asked something.
    fn processes(self, mounts: usize) -> usize {
        if self == Self::Multiplexed { mounts.min(1) } else { mounts }
    }

    /// The same for mounts that nobody has asked anything since the plugin was brought up.
    fn idle(self, mounts: usize) -> usize {
        if self == Self::Older { 0 } else { self.processes(mounts) }
    }
}

/// What sort of plugin the mock is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Secret,
    Auth,
}

impl Sort {
    /// The path of a mount in requests.
    fn at(self, mount: &str) -> String {
        match self {
            Self::Secret => mount.to_owned(),
            Self::Auth => format!("auth/{mount}"),
        }
    }

    /// The path of a mount where mounts are made and removed.
    fn mount(self, mount: &str) -> String {
        match self {
            Self::Secret => format!("sys/mounts/{mount}"),
            Self::Auth => format!("sys/auth/{mount}"),
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Auth => "auth",
        }
    }

    /// The mock as a plugin of this sort.
    fn of(self, plugin: &Plugin, form: Form) -> Plugin {
        plugin.kind(self.kind()).args(&[&format!("-type={}", self.kind()), form.argument()])
    }
}

/// A server with the Go mock installed as `mock`; `None` skips the calling test.
fn server_and_mock(form: Form, sort: Sort) -> Option<(Server, Plugin)> {
    let program = tools::mock()?;
    let server = Server::memory()?;
    let plugin = sort.of(&server.install(&program, "mock"), form);
    Some((server, plugin))
}

/// The mock's value in memory, which a new instance does not know.
fn internal(api: &Api, mount: &str) -> String {
    api.read(&format!("{mount}/internal")).ok().string("value")
}

fn set_internal(api: &Api, mount: &str, value: &str) {
    api.write(&format!("{mount}/internal"), &json!({"value": value})).status(204);
}

/// The entry of a mount in `sys/mounts` or `sys/auth`.
fn mount_entry(api: &Api, sort: Sort, mount: &str) -> Value {
    let table = if sort == Sort::Auth { "sys/auth" } else { "sys/mounts" };
    api.read(table).ok().data()[format!("{mount}/")].clone()
}

/// Takes a plugin out of the catalog, under whatever version it was put there.
fn deregister(api: &Api, plugin: &Plugin) {
    let list = api.read("sys/plugins/catalog").ok().data();
    let mut found = list["detailed"].as_array().expect("a list").iter().filter(|entry| {
        entry["name"] == plugin.name.as_str()
            && entry["type"] == plugin.kind.as_str()
            && entry["builtin"] == false
    });
    let entry = found.next().expect("it is registered");
    assert_eq!(found.next(), None, "in one version");
    let version = entry["version"].as_str().unwrap_or_default();
    plugin.version(version).deregister(api).status(204);
}

fn pid_of(api: &Api, mount: &str) -> u64 {
    let pid = api.read(&format!("{mount}/process")).ok().data()["pid"].as_u64();
    pid.expect("the mock tells its process id")
}
