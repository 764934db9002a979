//! HTTP/2 between two processes of one machine: what a call costs is decided here.
//!
//! A call of this protocol is small, and its price is not bytes but turns: system calls, wakeups
//! of the other process, tasks that hand over to one another. So the frames that one turn of a
//! connection makes leave in one write ([`pipe`]), a socket wakes us only when there is something
//! to read ([`socket`]), and a call's message goes with its head ([`outgoing`]).
//!
//! Left out: which address to connect to or listen at, and who may (`channel.rs`, `server.rs`).

pub(crate) mod answering;
pub(crate) mod frames;
pub(crate) mod incoming;
pub(crate) mod outgoing;
pub(crate) mod pipe;
pub(crate) mod socket;
pub(crate) mod turn;

use tonic::Status;

/// Bytes in flight for each call before the reader must acknowledge. The protocol's 64 KiB would
/// stall a large secret on a round trip for every 64 KiB.
pub(crate) const STREAM_WINDOW: u32 = 1 << 20;
/// The same for all calls of a connection together.
pub(crate) const CONNECTION_WINDOW: u32 = 4 << 20;
/// Largest frame; fewer, larger frames mean fewer TLS records and copies.
pub(crate) const FRAME: u32 = 256 << 10;
/// Headers and trailers of one call. An error's text travels in a trailer, and Go sends long ones.
pub(crate) const HEADERS: u32 = 1 << 20;
/// Calls in progress on one accepted connection. Further ones wait in the peer.
pub(crate) const STREAMS: u32 = 4096;
/// Calls that a peer may cancel before we looked at them; the library's default of 20 would close
/// the connection of a busy host whose clients give up together.
pub(crate) const CANCELLED: usize = 1024;

/// A lost connection is `Unavailable`, as in other gRPC libraries; a stream that the peer reset
/// keeps the code that the reset stands for.
pub(crate) fn lost(error: h2::Error) -> Status {
    if error.is_reset() {
        return Status::from_error(Box::new(error));
    }
    let mut status = Status::unavailable(format!("the connection to the process is lost: {error}"));
    status.set_source(std::sync::Arc::new(error));
    status
}
