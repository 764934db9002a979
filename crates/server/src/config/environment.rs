//! Environment variables that override the files.
//!
//! Leaves out command line flags, which override these in turn. Of a pair `BAO_X` and `VAULT_X`
//! the first counts. Variables of the client (`…_ADDR`, `…_TOKEN`) are none of the server's.

use super::error::Error;
use super::section::boolean;
use super::{Config, LogFormat, LogLevel};

/// Looks a variable up; `|name| std::env::var(name).ok()` outside tests.
pub type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Takes over what is set. Empty counts as unset.
pub(super) fn apply(config: &mut Config, environment: &Environment<'_>) -> Result<(), Error> {
    let find = |name: &str| {
        ["BAO_", "VAULT_"].into_iter().find_map(|prefix| {
            let name = format!("{prefix}{name}");
            environment(&name).filter(|value| !value.is_empty()).map(|value| (name, value))
        })
    };
    let text = |name: &str| find(name).map(|(_, value)| value);
    let api = text("API_ADDR").or_else(|| text("REDIRECT_ADDR")).or_else(|| text("ADVERTISE_ADDR"));
    if let Some(address) = api {
        config.addresses.api = Some(address);
    }
    if let Some(address) = text("CLUSTER_ADDR") {
        config.addresses.cluster = Some(address);
    }
    if let Some(path) = text("PLUGIN_TMPDIR") {
        config.plugins.tmpdir = Some(path.into());
    }
    if let Some((name, value)) = find("LOG_LEVEL") {
        let wanted = LogLevel::WANTED;
        let level = LogLevel::from_name(&value.to_ascii_lowercase());
        config.log.level = level.ok_or(Error::Environment { name, wanted })?;
    }
    if let Some((name, value)) = find("LOG_FORMAT") {
        let wanted = LogFormat::WANTED;
        let format = LogFormat::from_name(&value.to_ascii_lowercase());
        config.log.format = format.ok_or(Error::Environment { name, wanted })?;
    }
    let flags =
        [("UI", &mut config.process.ui), ("DISABLE_MLOCK", &mut config.process.disable_mlock)];
    for (name, flag) in flags {
        if let Some((name, value)) = find(name) {
            let wanted = "true or false";
            *flag = boolean(&value).ok_or(Error::Environment { name, wanted })?;
        }
    }
    Ok(())
}
