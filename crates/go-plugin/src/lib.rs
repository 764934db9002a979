//! HashiCorp's go-plugin protocol, for hosts and for plugins, with nothing of Vault in it.
//!
//! * [`host`] starts a plugin process and talks to it; [`plugin`] is what such a process runs.
//! * [`handshake`], [`tls`], [`broker`] and [`log`] are the parts of the protocol, usable alone.
//! * [`Channel`] is the connection that generated gRPC clients are given.
//!
//! Spoken: gRPC over unix sockets (hosts also take TCP on loopback), AutoMTLS, the broker in its
//! plain form. Not spoken: net/rpc, the multiplexed broker, reattaching, Windows.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod broker;
mod channel;
mod error;
pub mod handshake;
pub mod host;

pub mod log;
mod pidfd;
pub mod plugin;
#[path = "generated/mod.rs"]
pub mod proto;
mod server;
mod services;
pub mod tls;
mod transport;
mod validity;

pub use broker::Broker;
pub use channel::Channel;
pub use error::Error;
pub use handshake::Cookie;
pub use services::{HEALTH_NAME, Output};

/// Message limit of every connection of this protocol, in both directions. tonic's generated
/// clients and servers start at four MiB and must be told.
pub const MAX_MESSAGE: usize = i32::MAX as usize;

/// The examples of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
