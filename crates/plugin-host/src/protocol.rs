//! Which versions of the plugin protocol are spoken (wire spec 2.1), and what was found out about
//! which plugin.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use boltwork_logical::{PluginEntry, PluginKind};
use go_plugin::handshake::HandshakeError;
use go_plugin::host::StartFailure;

use crate::HostError;

/// Plugins whose protocol is remembered. What is forgotten costs a failed start.
const REMEMBERED: usize = 4096;

/// How host and plugin come to trust each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Protocol {
    /// Certificates in environment and handshake: version 5; of databases 6, too, which is 5 with
    /// several instances in a process.
    Auto,
    /// A certificate that the plugin unwraps over the server's API: versions 3 and 4. Never several
    /// instances in a process.
    Unwrap,
}

impl Protocol {
    /// The versions to offer.
    pub fn versions(self, kind: PluginKind) -> Vec<u32> {
        match (self, kind) {
            (Self::Unwrap, _) => vec![3, 4],
            (Self::Auto, PluginKind::Database) => vec![5, 6],
            (Self::Auto, PluginKind::Auth | PluginKind::Secret) => vec![5],
        }
    }
}

/// Whether a failed start over [`Protocol::Auto`] may mean that the plugin is an older one. Some
/// say which version they speak. Some, having chosen it, miss the wrapping token and just end.
pub(crate) fn may_be_older(error: &HostError) -> bool {
    match failure(error) {
        Some(StartFailure::Handshake(HandshakeError::VersionMismatch { plugin, .. })) => {
            matches!(plugin, 3 | 4)
        }
        Some(StartFailure::Exited) => true,
        _ => false,
    }
}

/// Of two failed starts, over the newest protocol and over an older one, the one that says more.
pub(crate) fn telling(newest: HostError, older: HostError) -> HostError {
    match failure(&older) {
        Some(StartFailure::Handshake(HandshakeError::VersionMismatch { .. })) => newest,
        _ => older,
    }
}

fn failure(error: &HostError) -> Option<&StartFailure> {
    match error {
        HostError::Start(error) => match error.as_ref() {
            go_plugin::Error::Start(start) => Some(&start.failure),
            _ => None,
        },
        _ => None,
    }
}

/// What decides on the protocol: the program, and what it is told.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Program {
    kind: PluginKind,
    sha256: Vec<u8>,
    args: Vec<String>,
    env: Vec<String>,
}

impl Program {
    fn of(entry: &PluginEntry) -> Self {
        Self {
            kind: entry.id.kind,
            sha256: entry.sha256.clone(),
            args: entry.args.clone(),
            env: entry.env.clone(),
        }
    }
}

/// The protocols that plugins were found to speak.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<HashMap<Program, Protocol>>);

impl Known {
    /// What a plugin speaks, if it was ever started.
    pub fn get(&self, entry: &PluginEntry) -> Option<Protocol> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&Program::of(entry)).copied()
    }

    /// Remembers what a plugin speaks.
    pub fn set(&self, entry: &PluginEntry, protocol: Protocol) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(Program::of(entry), protocol);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use go_plugin::handshake::Versions;
    use go_plugin::host::StartError;

    fn start(failure: StartFailure) -> HostError {
        let start = StartError { plugin: "x".into(), failure, status: None, stderr: Vec::new() };
        HostError::Start(Box::new(go_plugin::Error::Start(Box::new(start))))
    }

    fn mismatch(plugin: u32) -> HostError {
        let offered = Versions(vec![5]);
        start(StartFailure::Handshake(HandshakeError::VersionMismatch { plugin, offered }))
    }

    #[test]
    fn only_what_may_be_an_older_plugin_is_started_once_more() {
        assert!(may_be_older(&mismatch(3)) && may_be_older(&mismatch(4)));
        assert!(may_be_older(&start(StartFailure::Exited)));
        assert!(!may_be_older(&mismatch(2)));
        assert!(!may_be_older(&start(StartFailure::NoCertificate)));
        assert!(!may_be_older(&HostError::Closed));
    }

    #[test]
    fn a_new_plugin_that_fails_is_not_called_an_old_one() {
        let told = telling(start(StartFailure::Exited), mismatch(5));
        assert!(told.to_string().contains("exited"), "{told}");
        let told = telling(mismatch(4), start(StartFailure::Exited));
        assert!(told.to_string().contains("exited"), "{told}");
    }
}
