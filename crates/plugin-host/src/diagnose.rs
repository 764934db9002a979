//! What an operator reads when a plugin does not run: which one, what failed, why, what to do.
//!
//! Left out: the reasons themselves (`HostError`, and `go_plugin`'s), which keep the words that
//! people search for.

use boltwork_logical::{Error, PluginEntry, PluginId};
use go_plugin::handshake::HandshakeError;
use go_plugin::host::StartFailure;

use crate::HostError;

/// What was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doing {
    /// Trying a plugin before it is registered.
    Preflight,
    /// Starting it for a mount.
    Starting,
    /// Starting it for a connection to a database.
    Opening,
}

/// The plugin in a sentence: `mock (secret, v1.0.0)`.
pub(crate) fn called(id: &PluginId) -> String {
    let PluginId { kind, name, version } = id;
    let version = if version.is_empty() { "unversioned" } else { version };
    format!("{name:?} ({kind}, {version})")
}

/// The whole reason, for log and status: with what the plugin wrote on its stderr.
pub(crate) fn told(entry: &PluginEntry, error: &HostError) -> String {
    let plugin = called(&entry.id);
    format!("plugin {plugin}, command {:?}, cannot be started: {error}", entry.command)
}

/// What those hear for whom a plugin is started, who may be anybody: without the plugin's stderr.
fn without_stderr(error: &HostError) -> String {
    let (short, hidden) = match error {
        HostError::Start(start) => match &**start {
            go_plugin::Error::Start(start) => (start.summary(), !start.stderr.is_empty()),
            other => (other.to_string(), false),
        },
        HostError::Exited { during, status, stderr } => {
            let text =
                format!("plugin exited during {during}{}", crate::error::ended(*status, &[]));
            (text, !stderr.is_empty())
        }
        other => (other.to_string(), false),
    };
    let where_to = if hidden { ". What it wrote on its stderr is in the server's log" } else { "" };
    format!("{short}{where_to}")
}

/// The error for whoever asked. Being sealed stays what it is. Who registers a plugin is told all;
/// who uses a mount is not told what stands on the plugin's stderr, which may be about others.
pub(crate) fn tell(doing: Doing, entry: &PluginEntry, error: &HostError) -> Error {
    let plugin = called(&entry.id);
    let command = &entry.command;
    let next = advice(error).map(|advice| format!(". {advice}")).unwrap_or_default();
    let (what, kind): (&str, fn(String) -> Error) = match (error, doing) {
        (HostError::Closed, _) => return Error::Sealed,
        (HostError::Permissions(_) | HostError::Mismatch(_), _) => {
            return Error::Internal(error.to_string());
        }
        // The mount asks for what this plugin is not: whoever mounts it is to know.
        (HostError::WrongKind(_), Doing::Starting | Doing::Opening) => {
            return Error::Invalid(error.to_string());
        }
        (_, Doing::Preflight) => ("was not registered, because it cannot run", Error::Invalid),
        (_, Doing::Starting | Doing::Opening) => ("cannot be started", Error::Unavailable),
    };
    let reason = match doing {
        Doing::Preflight => error.to_string(),
        Doing::Starting | Doing::Opening => without_stderr(error),
    };
    // Scripts look for Vault's words.
    let said = if doing == Doing::Opening { "invalid database version: " } else { "" };
    kind(format!("{said}plugin {plugin}, command {command:?}, {what}: {reason}{next}"))
}

/// What to do next, where that does not follow from the reason.
fn advice(error: &HostError) -> Option<String> {
    match error {
        HostError::Start(start) => start_advice(start),
        HostError::Timeout { .. } => {
            Some("It started, but hangs: look at its log for what it is waiting for".to_owned())
        }
        HostError::Refused(_) => {
            Some("That is the plugin's own answer: check the mount's options".to_owned())
        }
        HostError::Exited { .. } => Some(
            "It ended by itself: run it by hand with the same arguments, or read its log"
                .to_owned(),
        ),
        _ => None,
    }
}

fn start_advice(error: &go_plugin::Error) -> Option<String> {
    let go_plugin::Error::Start(start) = error else { return None };
    match &start.failure {
        StartFailure::Handshake(HandshakeError::VersionMismatch { plugin, .. }) => Some(format!(
            "It offers protocol version {plugin}; this server speaks versions 3 to 5, and 6 with \
             databases. Build it with an SDK of Vault or OpenBao"
        )),
        StartFailure::NoCertificate => Some(
            "It answered protocol version 5 without AutoMTLS: build it with a current SDK"
                .to_owned(),
        ),
        StartFailure::Exited => Some(
            "Check that it is a plugin of this type and that its arguments are right; the server \
             gives it no environment but what was registered with it"
                .to_owned(),
        ),
        StartFailure::Timeout(_) => Some(
            "The process ran but printed no handshake: it may be waiting for something, or be no \
             plugin"
                .to_owned(),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use boltwork_logical::PluginKind;

    fn entry() -> PluginEntry {
        PluginEntry {
            id: PluginId {
                kind: PluginKind::Secret,
                name: "mock".into(),
                version: "v1.0.0".into(),
            },
            command: "mock-plugin".into(),
            args: Vec::new(),
            env: vec!["PASSWORD=hunter2".into()],
            sha256: Vec::new(),
            builtin: false,
            declarative: false,
            deprecation: None,
        }
    }

    #[test]
    fn an_operator_reads_which_plugin_what_why_and_what_next() {
        let error = HostError::Timeout { during: "Setup", seconds: 60 };
        let Error::Unavailable(text) = tell(Doing::Starting, &entry(), &error) else { panic!() };
        for part in ["mock", "secret", "v1.0.0", "mock-plugin", "Setup", "60", "log"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("hunter2"));
    }

    #[test]
    fn a_refused_registration_is_the_callers_fault_and_a_failed_start_is_not() {
        let error = || HostError::Unserved { service: "pb.Backend" };
        assert!(matches!(tell(Doing::Preflight, &entry(), &error()), Error::Invalid(_)));
        assert!(matches!(tell(Doing::Starting, &entry(), &error()), Error::Unavailable(_)));
        assert_eq!(tell(Doing::Starting, &entry(), &HostError::Closed), Error::Sealed);
    }

    #[test]
    fn a_plugin_of_a_foreign_protocol_is_told_which_one() {
        let mismatch = HandshakeError::VersionMismatch {
            plugin: 2,
            offered: go_plugin::handshake::Versions(vec![5]),
        };
        let start = go_plugin::host::StartError {
            plugin: "mock".into(),
            failure: StartFailure::Handshake(mismatch),
            status: None,
            stderr: vec!["some words".into()],
        };
        let error = HostError::Start(Box::new(go_plugin::Error::Start(Box::new(start))));
        let text = tell(Doing::Starting, &entry(), &error).to_string();
        assert!(!text.contains("some words") && text.contains("in the server's log"), "{text}");
        assert!(told(&entry(), &error).contains("some words"));
        let text = tell(Doing::Preflight, &entry(), &error).to_string();
        assert!(text.contains("incompatible API version with plugin"), "{text}");
        assert!(text.contains("protocol version 2") && text.contains("some words"), "{text}");
    }
}
