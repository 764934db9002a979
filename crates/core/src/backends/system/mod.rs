//! `sys/`: the server's own paths, for operators.
//!
//! What must answer while the server is sealed (init, unseal, health, seal status) is not here but
//! at the door: it needs no token and no mount.

mod access;
mod audit;
mod audited_headers;
mod catalog;
mod catalog_pins;
mod leases;
mod metrics;
mod mount_fields;
mod mount_info;
mod mounts;
mod passwords;
mod policies;
mod reload;
mod remount;
mod runtimes;
mod server;
mod tools;
mod ui;
mod wrapping;

use std::sync::{Arc, Weak};

use boltwork_framework::{Engine, Path, Result, Routes, path};

use super::alive;
use crate::active::Active;

/// The engine.
pub struct System {
    active: Weak<Active>,
    moves: remount::Moves,
    reloads: reload::Reloads,
}

impl System {
    pub fn new(active: Weak<Active>) -> Self {
        Self { active, moves: remount::Moves::default(), reloads: reload::Reloads::default() }
    }

    fn active(&self) -> Result<Arc<Active>> {
        alive(&self.active)
    }
}

impl Engine for System {
    fn routes() -> Routes<Self> {
        Routes::new(mount_paths())
            .with(policy_paths())
            .with(plugin_paths())
            .with(server_paths())
            .with(audit_paths())
            .with(wrapping_paths())
            .with(lease_paths())
            .with(tool_paths())
            .help("The server's own paths: mounts, policies, plugins, sealing.")
    }
}

fn mount_paths() -> Vec<Path<System>> {
    vec![
        path("mounts").help("The secrets engines that are mounted.").read(System::list_secrets),
        path("mounts/{path...}")
            .help("One secrets engine: mount, show, unmount; its settings under /tune.")
            .read(System::read_secret)
            .write(System::write_secret)
            .delete(System::delete_secret),
        path("auth").help("The auth methods that are mounted.").read(System::list_auths),
        path("auth/{path...}")
            .sudo()
            .help("One auth method: enable, show, disable; its settings under /tune.")
            .read(System::read_auth)
            .write(System::write_auth)
            .delete(System::delete_auth),
        path("remount").sudo().help("Moves a mount.").write(System::remount),
        path("remount/status/{migration_id}").help("How a move goes.").read(System::remount_status),
        path("internal/ui/mounts")
            .unauthenticated()
            .help("The mounts that the caller may see.")
            .read(System::visible_mounts),
        path("internal/ui/mounts/{path...}")
            .unauthenticated()
            .help("The mount that a path belongs to, if the caller may see it.")
            .read(System::visible_mount),
    ]
}

fn policy_paths() -> Vec<Path<System>> {
    vec![
        path("policy").help("Names of the policies.").read(System::policies).list(System::policies),
        path("policy/{name...}")
            .help("One policy.")
            .read(System::read_policy)
            .write(System::write_policy)
            .delete(System::delete_policy),
        path("policies/acl").help("Names of the policies.").list(System::policy_names),
        path("policies/acl/{name...}")
            .help("One policy.")
            .read(System::read_acl_policy)
            .write(System::write_acl_policy)
            .delete(System::delete_policy),
        path("policies/password")
            .help("Names of the password policies.")
            .list(System::password_policies),
        path("policies/password/{name...}")
            .help("One password policy; reading NAME/generate makes a password.")
            .read(System::read_password_policy)
            .write(System::write_password_policy)
            .delete(System::delete_password_policy),
        path("capabilities").help("What a token may do.").write(System::capabilities),
        path("capabilities-self")
            .help("What the caller's token may do.")
            .write(System::capabilities_self),
        path("internal/ui/resultant-acl")
            .help("What the caller's policies come to.")
            .read(System::resultant_acl),
        path("capabilities-accessor")
            .help("What the token with an accessor may do.")
            .write(System::capabilities_accessor),
    ]
}

fn plugin_paths() -> Vec<Path<System>> {
    vec![
        path("plugins/catalog")
            .help("All plugins.")
            .read(System::all_plugins)
            .list(System::all_plugins),
        path("plugins/catalog/{place...}")
            .sudo()
            .help("One plugin, as TYPE/NAME; LIST with TYPE alone names the plugins of a type.")
            .read(System::read_plugin)
            .write(System::register_plugin)
            .delete(System::deregister_plugin)
            .list(System::plugins_of_type),
        path("plugins/pins")
            .help("The versions that are pinned.")
            .read(System::pins)
            .list(System::pins),
        path("plugins/pins/{type}/{name...}")
            .sudo()
            .help("The version of a plugin that runs everywhere from its next start on.")
            .read(System::read_pin)
            .write(System::write_pin)
            .delete(System::delete_pin),
        path("plugins/runtimes/catalog")
            .help("The container runtimes for plugins: none, ever.")
            .read(System::runtimes)
            .list(System::runtimes),
        path("plugins/runtimes/catalog/{name...}")
            .sudo()
            .any_input()
            .help("A container runtime for plugins: this server has none.")
            .read(System::read_runtime)
            .write(System::write_runtime)
            .delete(System::delete_runtime),
        path("plugins/reload/backend")
            .help("Gives mounts fresh backends.")
            .write(System::reload_plugin),
        path("plugins/reload/backend/status")
            .help("How a reload went.")
            .read(System::reload_status),
        path("plugins/reload/{type}/{name...}")
            .help("Gives the mounts of one plugin fresh backends.")
            .write(System::reload_plugin_of_type),
        path("plugins/status")
            .help("How the plugin processes are: pid, memory, restarts, last exit.")
            .read(System::plugin_status),
    ]
}

fn server_paths() -> Vec<Path<System>> {
    vec![
        path("seal").sudo().help("Seals the server.").write(System::seal),
        path("metrics").help("Numbers about the server.").read(System::metrics),
        path("step-down")
            .sudo()
            .help("Gives up being active; nothing on a lone server.")
            .write(System::step_down),
        path("key-status")
            .help("The key that new entries are encrypted with.")
            .read(System::key_status),
        path("internal/counters/entities")
            .help("How many entities there are.")
            .read(System::count_entities),
        path("rotate").sudo().help("Begins a new key term.").write(System::rotate),
    ]
}

fn audit_paths() -> Vec<Path<System>> {
    vec![
        path("audit").sudo().help("The audit devices.").read(System::audit_devices),
        path("audit/{path...}")
            .sudo()
            .help("One audit device: enable, disable.")
            .write(System::enable_audit)
            .delete(System::disable_audit),
        path("config/auditing/request-headers")
            .sudo()
            .help("The request headers that audit devices write.")
            .read(System::audited_headers),
        path("config/auditing/request-headers/{header}")
            .sudo()
            .help("Whether audit devices write a request header, and how.")
            .read(System::read_audited_header)
            .write(System::write_audited_header)
            .delete(System::delete_audited_header),
        path("audit-hash/{path...}")
            .help("The digest that an audit device writes for a text.")
            .write(System::audit_hash),
    ]
}

fn wrapping_paths() -> Vec<Path<System>> {
    vec![
        path("wrapping/wrap").any_input().help("Wraps what is sent.").write(System::wrap),
        path("wrapping/pubkey")
            .unauthenticated()
            .help("The key that wrapping tokens in JWT format are signed with.")
            .read(System::wrapping_key),
        path("wrapping/unwrap")
            .help("Hands over what a wrapping token holds, once.")
            .write(System::unwrap),
        path("wrapping/rewrap")
            .help("Moves what a wrapping token holds into a fresh one.")
            .write(System::rewrap),
        path("wrapping/lookup")
            .unauthenticated()
            .help("What is known of a wrapping token; does not use it.")
            .read(System::lookup_wrapping)
            .write(System::lookup_wrapping),
    ]
}

fn lease_paths() -> Vec<Path<System>> {
    let mut paths = vec![
        // The list needs sudo too: its path ends in a slash, which the next line covers.
        path("leases/lookup")
            .help("What is known of a lease.")
            .write(System::lookup_lease)
            .list(System::list_leases),
        path("leases/lookup/{prefix...}")
            .sudo()
            .help("Leases below a path.")
            .list(System::list_leases),
        path("leases")
            .sudo()
            .help("Leases that cannot be revoked.")
            .read(System::irrevocable_leases),
        path("leases/tidy").help("Ends leases whose token is gone.").write(System::tidy_leases),
        path("leases/count").help("How many leases there are.").read(System::count_leases),
    ];
    // Each under its own name and under its old one.
    for under in ["leases/", ""] {
        let named = |rest: &str| path(format!("{under}{rest}"));
        paths.extend([
            named("renew").help("Extends a lease.").write(System::renew_lease),
            named("renew/{url_lease_id...}").help("Extends a lease.").write(System::renew_lease),
            named("revoke").help("Takes a secret back.").write(System::revoke_lease),
            named("revoke/{url_lease_id...}")
                .help("Takes a secret back.")
                .write(System::revoke_lease),
            named("revoke-prefix/{prefix...}")
                .sudo()
                .help("Takes back all secrets given below a path.")
                .write(System::revoke_leases),
            named("revoke-force/{prefix...}")
                .sudo()
                .help("Forgets leases below a path whose backend does not take them back.")
                .write(System::forget_leases),
        ]);
    }
    paths
}

fn tool_paths() -> Vec<Path<System>> {
    vec![
        path("tools/random").help("Random bytes.").write(System::random),
        path("tools/random/{urlbytes}").help("Random bytes.").write(System::random),
        path("tools/hash").help("The digest of what is sent.").write(System::hash),
        path("tools/hash/{urlalgorithm}").help("The digest of what is sent.").write(System::hash),
    ]
}
