//! The variables a command may look at, handed in rather than read from the process, so that a test
//! has its own.
//!
//! A setting is named without its prefix: `ADDR` is `BAO_ADDR` if that exists, else `VAULT_ADDR`.

use std::collections::BTreeMap;

/// A set of environment variables.
#[derive(Default, Clone)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The variables of this process; those that are not UTF-8 are left out.
    pub fn of_process() -> Self {
        let texts = std::env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        Self(texts.collect())
    }

    /// The given variables and no others.
    pub fn of<K: Into<String>, V: Into<String>>(vars: impl IntoIterator<Item = (K, V)>) -> Self {
        Self(vars.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }

    /// A variable by its whole name.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A setting by its name without prefix. An empty value counts as absent.
    pub fn setting(&self, name: &str) -> Option<&str> {
        let bao = self.var(&format!("BAO_{name}"));
        bao.or_else(|| self.var(&format!("VAULT_{name}"))).filter(|v| !v.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bao_variable_wins_over_the_vault_one() {
        let env = Environment::of([("VAULT_ADDR", "v"), ("BAO_ADDR", "b"), ("VAULT_TOKEN", "t")]);
        assert_eq!(env.setting("ADDR"), Some("b"));
        assert_eq!(env.setting("TOKEN"), Some("t"));
        assert_eq!(env.setting("CACERT"), None);
    }
}
