//! Limits and window sizes of every HTTP/2 connection that we open or accept.
//!
//! Left out: keep-alive pings. The peer is a process on this machine whose death we see directly.

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
