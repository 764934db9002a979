//! Vault's plugin protocol as protobuf, and its conversions to and from the nouns of
//! `boltwork_logical`: the superset of HashiCorp's and OpenBao's (wire spec 2.13).
//!
//! * [`pb`], [`logical`], [`multiplexing`], [`dbplugin`]: what is on the wire, generated.
//! * Free functions, by the noun that they convert. `..._to_wire` cannot fail; `..._from_wire`
//!   reads what somebody else wrote and names the field that is wrong.
//!
//! Left out: sockets, processes, calls. This crate is words and their spelling; `plugin-host` and
//! `sdk` speak them. It is the only place that knows the protocol's error numbers.

mod auth;
mod config;
mod connection;
mod database;
mod database_v4;
mod error;
#[path = "generated/mod.rs"]
mod generated;
mod headers;
mod identity;
mod kinds;
mod paths;
mod reply;
mod request;
mod storage;
mod system;
mod time;

pub use auth::{auth_from_wire, auth_to_wire};
pub use config::{config_from_wire, config_to_wire};
pub use connection::{connection_from_wire, connection_to_wire};
pub use database::{
    change_from_wire, change_to_wire, made_user_from_wire, new_user_from_wire, new_user_to_wire,
    statements_from_wire,
};
pub use database_v4::{
    config_from_json, config_to_json, create_user_to_wire, created_user_from_wire,
    renew_user_to_wire, revoke_user_to_wire, set_credentials_to_wire,
};
pub use error::{WireError, error_from_wire, error_to_wire};
pub use generated::{dbplugin, logical, pb, pluginutil::multiplexing};
pub use headers::canonical_header;
pub use identity::{
    alias_from_wire, alias_to_wire, entity_from_wire, entity_to_wire, environment_from_wire,
    environment_to_wire, group_from_wire, group_to_wire,
};
pub use kinds::{kind_from_wire, kind_to_wire};
pub use paths::{paths_from_wire, paths_to_wire};
pub use reply::{
    answer_from_wire, answer_to_wire, error_reply, existence_from_wire, existence_to_wire,
    initialized_from_wire, initialized_to_wire, reply_from_wire, reply_to_wire, secret_from_wire,
    secret_to_wire,
};
pub use request::{request_from_wire, request_to_wire};
pub use storage::{
    READ_ONLY_TEXT, entry_from_wire, entry_to_wire, storage_error_from_text, storage_error_to_text,
};
pub use system::{wrap_info_from_wire, wrap_info_to_wire};
pub use time::{duration_from_nanos, duration_to_nanos, time_from_wire, time_to_wire};
