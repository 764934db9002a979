//! What can go wrong, sorted by who is at fault.
//!
//! Left out: answers of the plugin's own services. Those are `tonic::Status` and belong to the
//! caller; nothing here wraps or rewrites them.

use std::io;
use std::path::PathBuf;

use crate::handshake::HandshakeError;
use crate::host::StartError;

/// Everything that this crate reports.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A plugin could not be started; the process, if there was one, is gone.
    #[error(transparent)]
    Start(#[from] Box<StartError>),

    /// The handshake line is wrong.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),

    /// The program was run by hand, or by a host that expects another kind of plugin.
    #[error("not started by a plugin host: {0} is missing from the environment or differs")]
    NotUnderHost(String),

    /// A certificate could not be made, read or used.
    #[error("{what}: {why}")]
    Certificate {
        /// Which certificate, and what was done with it.
        what: &'static str,
        /// The reason, from the library that refused it.
        why: String,
    },

    /// No announcement came for a broker id within five seconds (wire spec 1.8).
    #[error("timeout waiting for connection info (broker id {0})")]
    BrokerTimeout(u32),

    /// The broker has ended, because its process did or because it was told to.
    #[error("the broker is closed: the other process is gone or is being stopped")]
    BrokerClosed,

    /// A second connection was asked for with an id that is being waited for already.
    #[error("broker id {0} is being dialled already; an id is good for one connection")]
    BrokerBusy(u32),

    /// The peer uses the broker in its multiplexed form (wire spec 1.9), which we do not speak.
    #[error("the peer asks for a multiplexed broker connection, which is not supported here")]
    BrokerMultiplexed,

    /// The peer named an address that we do not connect to.
    #[error("unknown address type: {network} ({address:?}); expected unix, or tcp on loopback")]
    Address {
        /// The network as the peer wrote it.
        network: String,
        /// The address as the peer wrote it.
        address: String,
    },

    /// A connection could not be made.
    #[error("cannot connect to {address}: {why}")]
    Connect {
        /// Where to.
        address: String,
        /// What refused.
        why: String,
    },

    /// The kernel does not take socket paths of this length.
    #[error(
        "socket paths under {} would have {length} bytes, the kernel's limit is {limit}: \
         choose a shorter folder for plugin sockets",
        folder.display()
    )]
    SocketPath {
        /// The folder that is too deep.
        folder: PathBuf,
        /// Bytes of the longest path expected there.
        length: usize,
        /// Bytes that fit.
        limit: usize,
    },

    /// The operating system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, on what.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    pub(crate) fn certificate(what: &'static str, why: impl ToString) -> Self {
        Self::Certificate { what, why: why.to_string() }
    }
}
