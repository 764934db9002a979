//! What the server says through the environment (wire spec 2.2).

use std::env;

/// What of the environment matters to a plugin that is started over protocol 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Environment {
    /// The server only wants to know what the plugin is; requests are refused.
    pub metadata_only: bool,
    /// Memory must not be swapped out.
    pub lock_memory: bool,
}

impl Environment {
    /// Reads the process's environment.
    pub fn read() -> Self {
        let flag = |name: &str| {
            let of = |prefix: &str| env::var(format!("{prefix}_{name}")).ok();
            truth(of("BAO"), of("VAULT"))
        };
        Self {
            metadata_only: flag("PLUGIN_METADATA_MODE"),
            lock_memory: flag("PLUGIN_MLOCK_ENABLED"),
        }
    }
}

/// OpenBao's variable wins where it is set, even to nothing; then Vault's.
fn truth(bao: Option<String>, vault: Option<String>) -> bool {
    let word = bao.or(vault).unwrap_or_default();
    matches!(word.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_bao_variable_hides_the_vault_one() {
        let word = |w: &str| Some(w.to_owned());
        assert!(truth(None, word("true")));
        assert!(truth(word("1"), None));
        assert!(!truth(word(""), word("true")));
        assert!(!truth(word("false"), word("true")));
        assert!(!truth(None, None));
        assert!(!truth(None, word("yes")));
    }
}
