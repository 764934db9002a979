//! What can go wrong between a plugin's file and its first answer, by who is at fault.
//!
//! Left out: a backend's own errors, which are `boltwork_logical::Error` from end to end, and the
//! sentences around these reasons, which `diagnose` writes.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use boltwork_logical::{Error, PluginId};
use go_plugin::host::{StartError, StartFailure};
use tonic::{Code, Status};

/// Why a plugin cannot be run. The texts that scripts and people search for are Vault's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The file or its folder has an owner or a mode that is not allowed (wire spec 5.11).
    #[error("{0}")]
    Permissions(String),

    /// The file cannot be read.
    #[error("{what} {}: {}", path.display(), reason(source))]
    File {
        /// The system call, as Go names it.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },

    /// The file is not what was registered.
    #[error(
        "checksums did not match: {} has the SHA-256 {found}, registered is {registered}. If it \
         was replaced on purpose, register it again", path.display()
    )]
    Checksum {
        /// Which file.
        path: PathBuf,
        /// What it is.
        found: String,
        /// What it should be.
        registered: String,
    },

    /// The file is no program that can run here.
    #[error("{}: {why}", path.display())]
    Program {
        /// Which file.
        path: PathBuf,
        /// Why not.
        why: String,
    },

    /// The process did not start, or not as a plugin.
    #[error("{0}")]
    Start(#[source] Box<go_plugin::Error>),

    /// The process ended while it was being asked something.
    #[error("plugin exited during {during}{}", ended(*status, stderr))]
    Exited {
        /// Which call.
        during: &'static str,
        /// How it ended.
        status: Option<ExitStatus>,
        /// The last lines on its stderr.
        stderr: Vec<String>,
    },

    /// The plugin did not answer in time.
    #[error("timeout: it did not answer {during} within {seconds} seconds")]
    Timeout {
        /// Which call.
        during: &'static str,
        /// The limit.
        seconds: u64,
    },

    /// The plugin lacks a service that it must have.
    #[error(
        "it does not serve {service}: rpc error: code = Unimplemented. It is a go-plugin program, \
         but none of this type"
    )]
    Unserved {
        /// The service's full name.
        service: &'static str,
    },

    /// A call failed on the way.
    #[error("{during}: {}", rpc_text(status))]
    Call {
        /// Which call.
        during: &'static str,
        /// gRPC's answer.
        status: Box<Status>,
    },

    /// The plugin's author says no.
    #[error("{0}")]
    Refused(String),

    /// The plugin is of another kind than it is used as.
    #[error("{0}")]
    WrongKind(String),

    /// The trust that plugins of protocol 3 and 4 need could not be made.
    #[error("{0}")]
    Bootstrap(String),

    /// What runs is not what was mounted. The text is Vault's, and all of it.
    #[error("{0}")]
    Mismatch(&'static str),

    /// The environment says something that cannot be understood.
    #[error(transparent)]
    Config(#[from] crate::ConfigError),

    /// The server is sealed or stops.
    #[error("Vault is sealed")]
    Closed,
}

impl HostError {
    /// Wraps the system's answer about a file.
    pub(crate) fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { what, path, source }
    }

    /// A reason why a file cannot be run.
    pub(crate) fn program(path: &Path, why: impl Into<String>) -> Self {
        Self::Program { path: path.to_owned(), why: why.into() }
    }
}

impl HostError {
    /// The same once more, if it says that the plugin hangs: for those who waited for it, too.
    pub(crate) fn if_it_hangs(&self) -> Option<Self> {
        match self {
            Self::Timeout { during, seconds } => Some(Self::Timeout { during, seconds: *seconds }),
            Self::Start(error) => match error.as_ref() {
                go_plugin::Error::Start(start) => {
                    let StartFailure::Timeout(limit) = start.failure else { return None };
                    let again = StartError {
                        plugin: start.plugin.clone(),
                        failure: StartFailure::Timeout(limit),
                        status: start.status,
                        stderr: start.stderr.clone(),
                    };
                    Some(go_plugin::Error::Start(Box::new(again)).into())
                }
                _ => None,
            },
            _ => None,
        }
    }
}

impl From<go_plugin::Error> for HostError {
    fn from(error: go_plugin::Error) -> Self {
        Self::Start(Box::new(error))
    }
}

/// A gRPC failure in the words of Go's library, which people know (wire spec 2.11).
pub(crate) fn rpc_text(status: &Status) -> String {
    let code = match status.code() {
        Code::Cancelled => "Canceled".to_owned(),
        code => format!("{code:?}"),
    };
    format!("rpc error: code = {code} desc = {}", status.message())
}

/// The error of a call that the plugin, still alive, did not answer properly.
pub(crate) fn call_error(id: &PluginId, status: &Status) -> Error {
    let plugin = crate::diagnose::called(id);
    Error::Internal(format!("plugin {plugin} did not answer properly: {}", rpc_text(status)))
}

/// An operating system's answer the way everybody else prints it: lower case, without its number.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_lowercase().chain(letters).collect())
        .unwrap_or_else(|| "unknown reason".to_owned())
}

/// Lines of stderr that belong into a sentence.
const SHOWN_LINES: usize = 5;

/// How a process ended, to be put behind a statement that it did.
pub(crate) fn ended(status: Option<ExitStatus>, stderr: &[String]) -> String {
    let status = status.map(|status| format!(" ({status})")).unwrap_or_default();
    let (before, last) = stderr.split_at(stderr.len().saturating_sub(SHOWN_LINES));
    if last.is_empty() {
        return status;
    }
    // The trace behind a panic is long, and only its first line says what happened.
    let panic = before.iter().find(|line| is_panic(line));
    let panic = panic.map(|line| format!("; {line}")).unwrap_or_default();
    format!("{status}{panic}; last on its stderr: {}", last.join(" / "))
}

fn is_panic(line: &str) -> bool {
    line.starts_with("panic: ")
        || line.starts_with("fatal error: ")
        || line.contains("' panicked at")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_shown_however_long_its_trace_is() {
        let mut lines = vec!["all is well".to_owned(), "panic: no more".to_owned()];
        lines.extend((0..20).map(|number| format!("frame {number}")));
        let text = ended(None, &lines);
        assert!(text.contains("panic: no more") && text.contains("frame 19"), "{text}");
        assert!(!text.contains("all is well") && !text.contains("frame 3 "), "{text}");
        assert_eq!(ended(None, &[]), "");
    }

    #[test]
    fn the_systems_answers_are_printed_as_others_print_them() {
        let missing = io::Error::from_raw_os_error(2);
        assert_eq!(reason(&missing), "no such file or directory");
        let error = HostError::file("open", Path::new("/x/y"))(missing);
        assert_eq!(error.to_string(), "open /x/y: no such file or directory");
    }

    #[test]
    fn grpc_failures_read_as_in_go() {
        let text = rpc_text(&Status::cancelled("gone"));
        assert_eq!(text, "rpc error: code = Canceled desc = gone");
        let text = rpc_text(&Status::invalid_argument("x"));
        assert_eq!(text, "rpc error: code = InvalidArgument desc = x");
    }
}
