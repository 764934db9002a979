//! What can be wrong with a configuration, and what is merely doubtful.
//!
//! Leaves out files that the configuration names (certificates, the database): whoever opens them
//! reports on them.

use std::fmt;
use std::path::{Path, PathBuf};

use boltwork_hcl::Position;

/// A place in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named or found.
    pub file: PathBuf,
    /// Line and column, from 1.
    pub position: Position,
}

impl Place {
    pub(super) fn new(file: &Path, position: Position) -> Self {
        Self { file: file.to_owned(), position }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { line, column } = self.position;
        write!(f, "{}:{line}:{column}", self.file.display())
    }
}

/// A configuration that the server cannot start with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or directory cannot be read.
    #[error("error loading configuration from {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A directory without any `.hcl` or `.json` file.
    #[error("error loading configuration from {}: no .hcl or .json file in it", path.display())]
    Empty {
        /// Which.
        path: PathBuf,
    },
    /// A file is neither HCL nor JSON, or a block is not a block.
    #[error("error parsing {}: {source}", path.display())]
    Syntax {
        /// Which.
        path: PathBuf,
        /// Where and what.
        source: boltwork_hcl::Error,
    },
    /// A value has the wrong type or form.
    #[error("{place}: {key}: found {found}, wanted {wanted}")]
    Value {
        /// Where.
        place: Place,
        /// The key it belongs to.
        key: String,
        /// The type that was found.
        found: String,
        /// What the key takes.
        wanted: String,
    },
    /// Something that is right in itself, but not here.
    #[error("{place}: {what}; {instead}")]
    Refused {
        /// Where.
        place: Place,
        /// What is refused, and why.
        what: String,
        /// What to write instead.
        instead: String,
    },
    /// Something is missing that no file has.
    #[error("{what}; {instead}")]
    Missing {
        /// What.
        what: &'static str,
        /// What to write.
        instead: &'static str,
    },
    /// The default lease is longer than the longest.
    #[error(
        "default_lease_ttl ({default} s) is longer than max_lease_ttl ({max} s); \
         lower the first or raise the second"
    )]
    Leases {
        /// Seconds.
        default: u64,
        /// Seconds.
        max: u64,
    },
    /// An environment variable has no meaning.
    #[error("environment variable {name}: wanted {wanted}")]
    Environment {
        /// Which.
        name: String,
        /// What it takes.
        wanted: &'static str,
    },
}

/// Something that does not keep the server from starting, but is not what its author thinks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where.
    pub place: Place,
    /// The key.
    pub key: String,
    /// What is the matter.
    pub problem: Problem,
}

/// Why a key is warned of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// No server of this family has it: probably a typing error.
    Unknown,
    /// HashiCorp Vault or OpenBao has it, this server does nothing with it.
    NoEffect,
    /// TLS below 1.2 is not spoken; 1.2 is the lowest instead.
    OldTls,
    /// Plugins are declared, but not to be registered.
    NotRegistered,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, place) = (&self.key, &self.place);
        match self.problem {
            Problem::Unknown => {
                write!(f, "unknown or unsupported field {key} found in configuration at {place}")
            }
            Problem::NoEffect => write!(f, "field {key} at {place} has no effect in this server"),
            Problem::NotRegistered => write!(
                f,
                "{key} at {place}: declared plugins are not registered: plugin_auto_register is not set"
            ),
            Problem::OldTls => {
                write!(f, "{key} at {place}: TLS below 1.2 is not supported, using tls12")
            }
        }
    }
}
