//! What is printed when the server starts.

use std::fmt::Write as _;

use super::dev::Ready;
use crate::{config::Config, version};

/// The facts of the configuration.
pub fn configuration(config: &Config, api_addr: &str, addresses: &[String], dev: bool) -> String {
    let storage = match &config.storage {
        crate::config::Storage::Memory => "inmem".to_owned(),
        crate::config::Storage::Sqlite { path } => format!("sqlite ({})", path.display()),
    };
    let mut facts = vec![("Api Address".to_owned(), api_addr.to_owned())];
    for (index, address) in addresses.iter().enumerate() {
        let tls = match config.listeners.get(index).is_some_and(|l| l.tls.is_some()) {
            true => "enabled",
            false => "disabled",
        };
        facts.push((
            format!("Listener {}", index + 1),
            format!("tcp (addr: \"{address}\", tls: \"{tls}\")"),
        ));
    }
    facts.push(("Log Level".into(), format!("{:?}", config.log.level).to_lowercase()));
    let mlock = !config.process.disable_mlock && !dev;
    facts.push(("Mlock".into(), format!("supported: true, enabled: {mlock}")));
    if let Some(directory) = &config.plugins.directory {
        facts.push(("Plugin Directory".into(), directory.display().to_string()));
    }
    facts.push(("Storage".into(), storage));
    facts.push(("Version".into(), version::line()));
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::from("==> Boltwork server configuration:\n\n");
    for (name, value) in facts {
        let _ = writeln!(text, "{name:>width$}: {value}", width = width + 4);
    }
    text.push_str("\n==> Boltwork server started! Log data will stream in below:\n");
    text
}

/// What a developer must know.
pub fn development(ready: &Ready, url: &str) -> String {
    let mut text = format!(
        "WARNING! dev mode is enabled! In this mode, Boltwork runs entirely in-memory\n\
         and starts unsealed with a single unseal key. The root token is already\n\
         authenticated to the CLI, so you can immediately begin using Boltwork.\n\n\
         You may need to set the following environment variables:\n\n    \
         $ export VAULT_ADDR='{url}'\n\n\
         The unseal key and root token are displayed below in case you want to\n\
         seal/unseal the server or re-authenticate.\n\n\
         Unseal Key: {}\nRoot Token: {}\n\n",
        ready.unseal_key,
        ready.root_token.expose(),
    );
    if !ready.registered.is_empty() {
        text.push_str("The following dev plugins are registered in the catalog:\n");
        for name in &ready.registered {
            let _ = writeln!(text, "    - {name}");
        }
        text.push('\n');
    }
    if !ready.failed.is_empty() {
        text.push_str("The following dev plugins FAILED to be registered in the catalog:\n");
        for (name, why) in &ready.failed {
            let _ = writeln!(text, "    - {name}: {why}");
        }
        text.push('\n');
    }
    text.push_str("Development mode should NOT be used in production installations!\n");
    text
}
