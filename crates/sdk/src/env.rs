//! What the server says through the environment (wire spec 2.2).
//!
//! Left out: the variables that arguments can stand in for (`arguments`).

use std::env;

use zeroize::Zeroizing;

/// What of the environment decides how a plugin is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Environment {
    /// The server only wants to know what the plugin is; requests are refused.
    pub metadata_only: bool,
    /// Trust comes by certificates in environment and handshake: protocol 5.
    pub auto_mtls: bool,
    /// Memory must not be swapped out.
    pub lock_memory: bool,
}

impl Environment {
    /// Reads the process's environment.
    pub fn read() -> Self {
        Self::of(process)
    }

    fn of(read: impl Fn(&str) -> Option<String>) -> Self {
        let flag =
            |name: &str| variable(name, &read).is_some_and(|word| truth(&word) == Some(true));
        Self {
            metadata_only: flag("PLUGIN_METADATA_MODE"),
            auto_mtls: flag("PLUGIN_AUTOMTLS_ENABLED"),
            lock_memory: flag("PLUGIN_MLOCK_ENABLED"),
        }
    }
}

/// The token in which a plugin of protocol 3 or 4 finds its certificate.
pub(crate) fn unwrap_token() -> Option<Zeroizing<String>> {
    variable("UNWRAP_TOKEN", process).map(Zeroizing::new)
}

/// A variable of this process; none if it is no text.
pub(crate) fn process(name: &str) -> Option<String> {
    env::var(name).ok()
}

/// A variable by its name without the prefix. OpenBao's wins where it is set, even to nothing; then
/// Vault's. One that is empty is as good as none.
pub(crate) fn variable(name: &str, read: impl Fn(&str) -> Option<String>) -> Option<String> {
    let of = |prefix: &str| read(&format!("{prefix}_{name}"));
    of("BAO").or_else(|| of("VAULT")).filter(|value| !value.is_empty())
}

/// What a word means where Go wants a truth value.
pub(crate) fn truth(word: &str) -> Option<bool> {
    match word {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<'a>(set: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn an_empty_bao_variable_hides_the_vault_one() {
        let read = |set: &[(&str, &str)]| variable("X", with(set));
        assert_eq!(read(&[("VAULT_X", "v")]).as_deref(), Some("v"));
        assert_eq!(read(&[("BAO_X", "b"), ("VAULT_X", "v")]).as_deref(), Some("b"));
        assert_eq!(read(&[("BAO_X", ""), ("VAULT_X", "v")]), None);
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn flags_are_true_in_gos_words_and_under_either_name() {
        let none = Environment { metadata_only: false, auto_mtls: false, lock_memory: false };
        assert_eq!(Environment::of(with(&[])), none);
        let set = [
            ("VAULT_PLUGIN_METADATA_MODE", "true"),
            ("BAO_PLUGIN_AUTOMTLS_ENABLED", "1"),
            ("BAO_PLUGIN_MLOCK_ENABLED", "false"),
            ("VAULT_PLUGIN_MLOCK_ENABLED", "true"),
        ];
        let read = Environment::of(with(&set));
        assert_eq!(read, Environment { metadata_only: true, auto_mtls: true, lock_memory: false });
        assert_eq!(Environment::of(with(&[("VAULT_PLUGIN_MLOCK_ENABLED", "yes")])), none);
    }
}
