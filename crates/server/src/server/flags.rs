//! The flags of `boltwork server`, in Go's style.

use std::path::PathBuf;

/// What was asked for on the command line.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `-config`, repeatable.
    pub config: Vec<PathBuf>,
    /// `-log-level`.
    pub log_level: Option<String>,
    /// `-log-format`.
    pub log_format: Option<String>,
    /// `-dev` and what belongs to it.
    pub dev: Option<Dev>,
}

/// A development server: in memory, unsealed, with a known root token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dev {
    /// `-dev-root-token-id`.
    pub root_token: Option<String>,
    /// `-dev-listen-address`.
    pub address: String,
    /// `-dev-plugin-dir`.
    pub plugin_dir: Option<PathBuf>,
    /// `-dev-no-store-token`.
    pub no_store_token: bool,
    /// `-dev-no-kv`.
    pub no_kv: bool,
}

impl Default for Dev {
    fn default() -> Self {
        Self {
            root_token: None,
            address: "127.0.0.1:8200".to_owned(),
            plugin_dir: None,
            no_store_token: false,
            no_kv: false,
        }
    }
}

/// What `-help` prints.
pub const HELP: &str = "\
Usage: boltwork server [options]

  Starts a Boltwork server that answers API requests. By default it starts
  sealed: initialize it with \"boltwork operator init\" and unseal it with
  \"boltwork operator unseal\".

      $ boltwork server -config=/etc/boltwork/config.hcl

  For development, in memory, already unsealed, never for production:

      $ boltwork server -dev -dev-root-token-id=root

Command Options:

  -config=<string>
      A configuration file, or a directory whose .hcl and .json files are read
      in order. May be given several times.

  -log-level=<string>
      trace, debug, info, warn or error. Also VAULT_LOG_LEVEL.

  -log-format=<string>
      standard or json. Also VAULT_LOG_FORMAT.

Dev Options:

  -dev
      A development server.

  -dev-listen-address=<string>
      Address to listen on. Default 127.0.0.1:8200. Also
      VAULT_DEV_LISTEN_ADDRESS.

  -dev-root-token-id=<string>
      The root token. Also VAULT_DEV_ROOT_TOKEN_ID.

  -dev-plugin-dir=<string>
      The plugin directory. Every program in it is registered.

  -dev-no-store-token
      Do not write the root token to the token file (~/.vault-token).

  -dev-no-kv
      Do not mount a kv engine at secret/.
";

/// Why the command line cannot be used; `Help` is not an error.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop {
    Help,
    Wrong(String),
}

/// Reads the arguments behind `server`.
pub fn parse(args: &[String], env: impl Fn(&str) -> Option<String>) -> Result<Flags, Stop> {
    let mut flags = Flags::default();
    let mut dev = Dev { root_token: env("DEV_ROOT_TOKEN_ID"), ..Dev::default() };
    if let Some(address) = env("DEV_LISTEN_ADDRESS") {
        dev.address = address;
    }
    let mut is_dev = false;
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let Some(flag) = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-')) else {
            return Err(Stop::Wrong(format!("Too many arguments: {arg:?} is not a flag")));
        };
        let (name, given) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (flag, None),
        };
        let switch = |given: Option<String>| match given.as_deref() {
            None | Some("true" | "1" | "t") => Ok(true),
            Some("false" | "0" | "f") => Ok(false),
            Some(_) => Err(Stop::Wrong(format!("-{name} is true or false"))),
        };
        let mut value = |given: Option<String>| {
            given
                .or_else(|| rest.next().cloned())
                .ok_or_else(|| Stop::Wrong(format!("flag needs an argument: -{name}")))
        };
        match name {
            "h" | "help" => return Err(Stop::Help),
            "config" => flags.config.push(value(given)?.into()),
            "log-level" => flags.log_level = Some(value(given)?),
            "log-format" => flags.log_format = Some(value(given)?),
            "dev" => is_dev = switch(given)?,
            "dev-root-token-id" => dev.root_token = Some(value(given)?),
            "dev-listen-address" => dev.address = value(given)?,
            "dev-plugin-dir" => dev.plugin_dir = Some(value(given)?.into()),
            "dev-no-store-token" => dev.no_store_token = switch(given)?,
            "dev-no-kv" => dev.no_kv = switch(given)?,
            _ => return Err(Stop::Wrong(format!("flag provided but not defined: -{name}"))),
        }
    }
    flags.dev = is_dev.then_some(dev);
    if flags.dev.is_none() && flags.config.is_empty() {
        return Err(Stop::Wrong("Must specify at least one config path using -config".to_owned()));
    }
    Ok(flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &[&str]) -> Result<Flags, Stop> {
        let args: Vec<_> = args.iter().map(|a| (*a).to_owned()).collect();
        parse(&args, |_| None)
    }

    #[test]
    fn flags_are_read_with_one_dash_or_two_and_with_or_without_an_equals_sign() {
        let flags = read(&["-config=a", "--config", "b", "-log-level=debug"]).unwrap();
        assert_eq!(flags.config, [PathBuf::from("a"), PathBuf::from("b")]);
        assert_eq!(flags.log_level.as_deref(), Some("debug"));
        assert_eq!(flags.dev, None);
    }

    #[test]
    fn a_development_server_needs_no_configuration() {
        let dev = read(&["-dev", "-dev-root-token-id=root"]).unwrap().dev.unwrap();
        assert_eq!(dev.root_token.as_deref(), Some("root"));
        assert_eq!(dev.address, "127.0.0.1:8200");
        assert!(matches!(read(&[]), Err(Stop::Wrong(_))));
        assert!(matches!(read(&["-nonsense"]), Err(Stop::Wrong(_))));
        assert_eq!(read(&["-help"]), Err(Stop::Help));
    }
}
