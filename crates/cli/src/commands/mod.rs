//! The commands, one file per small family.

mod audit;
mod auth;
mod generic;
mod kv;
mod kv_delete;
mod kv_metadata;
mod kv_path;
mod kv_write;
mod lease;
mod login;
mod mounts;
mod operator;
mod plugin;
mod plugin_show;
mod policy;
mod print;
mod secrets;
mod status;
mod token;
mod unwrap;

use crate::command::Command;

/// Every family of commands.
pub(crate) const FAMILIES: &[&[Command]] = &[
    audit::COMMANDS,
    auth::COMMANDS,
    generic::COMMANDS,
    kv::COMMANDS,
    kv_delete::COMMANDS,
    kv_metadata::COMMANDS,
    kv_write::COMMANDS,
    lease::COMMANDS,
    login::COMMANDS,
    operator::COMMANDS,
    plugin::COMMANDS,
    plugin_show::COMMANDS,
    policy::COMMANDS,
    print::COMMANDS,
    secrets::COMMANDS,
    status::COMMANDS,
    token::COMMANDS,
    unwrap::COMMANDS,
];
