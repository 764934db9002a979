//! A client of Vault's HTTP API: one address, one token, one request at a time per call, typed answers.
//!
//! It knows the API's conventions (headers, envelope, error texts, retries, the single redirect) and no
//! endpoint by name beyond them: what to ask is the caller's business. It leaves out rate limiting, the
//! token helper file and environment variables, which belong to the command line.

mod address;
mod call;
mod client;
mod connection;
mod error;
mod json;
mod secret;
mod tls;

pub use address::Address;
pub use call::{Call, Config, Response};
pub use client::Client;
pub use error::{ApiError, Error};
pub use json::Json;
pub use secret::{Auth, Secret, WrapInfo};
pub use tls::Tls;
