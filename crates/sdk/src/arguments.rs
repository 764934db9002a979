//! The arguments that every plugin of Vault's takes: how to trust the server's API, where a plugin
//! of protocol 3 or 4 fetches its certificate (wire spec 3). Read as Go's `flag` reads them.
//!
//! Left out: arguments of the author's own, and using what was read (`unwrap`).

use std::{ffi::OsString, fmt, path::PathBuf};

use boltwork_client::Tls;

use crate::env::{truth, variable};

/// What a plugin takes; all but the last want a value.
const KNOWN: [&str; 6] =
    ["ca-cert", "ca-path", "client-cert", "client-key", "tls-server-name", "tls-skip-verify"];

/// An argument that cannot be used. Its value is not repeated: it may be a secret.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ArgumentError {
    NotText,
    Syntax,
    Unknown(String),
    NoValue(&'static str),
    NotBoolean,
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotText => f.write_str("an argument is not UTF-8"),
            Self::Syntax => f.write_str("bad flag syntax: a name must follow the dash"),
            Self::Unknown(name) => {
                write!(f, "flag provided but not defined: -{name}; a plugin takes")?;
                KNOWN.iter().try_for_each(|name| write!(f, " -{name}"))
            }
            Self::NoValue(name) => write!(f, "flag needs an argument: -{name}"),
            Self::NotBoolean => {
                f.write_str("invalid boolean value for -tls-skip-verify: use true or false")
            }
        }
    }
}

/// What the arguments say. Each that is absent or empty says nothing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// The values of [`KNOWN`], but for the last.
    texts: [String; KNOWN.len() - 1],
    skip_verify: Option<bool>,
}

impl Arguments {
    /// Reads arguments, without the program's name, up to the first that is no flag.
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, ArgumentError> {
        let mut args = args.into_iter();
        let mut next = || {
            let text = args.next().map(OsString::into_string).transpose();
            text.map_err(|_| ArgumentError::NotText)
        };
        let mut read = Self::default();
        while let Some(arg) = next()? {
            let Some(flag) = arg.strip_prefix('-').filter(|rest| !rest.is_empty()) else { break };
            let flag = flag.strip_prefix('-').unwrap_or(flag);
            if flag.is_empty() {
                break;
            }
            if flag.starts_with(['-', '=']) {
                return Err(ArgumentError::Syntax);
            }
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (flag, None),
            };
            let known = KNOWN.iter().position(|known| *known == name);
            let place = known.ok_or_else(|| ArgumentError::Unknown(name.to_owned()))?;
            match read.texts.get_mut(place) {
                Some(text) => {
                    let value = value.map_or_else(&mut next, |value| Ok(Some(value)))?;
                    *text = value.ok_or(ArgumentError::NoValue(KNOWN[place]))?;
                }
                None => read.skip_verify = Some(boolean(value.as_deref())?),
            }
        }
        Ok(read)
    }

    /// How to trust the server: what the arguments say, and where they say nothing, what the
    /// environment does.
    pub fn tls(&self, read: impl Fn(&str) -> Option<String>) -> Result<Tls, String> {
        let [ca_cert, ca_path, client_cert, client_key, server_name] = &self.texts;
        // Of one source: an argument's folder must not lose to the environment's file.
        let pair = |one: &str, other: &str, names: [&str; 2]| {
            if one.is_empty() && other.is_empty() {
                return names.map(|name| variable(name, &read).map(PathBuf::from));
            }
            [one, other].map(|text| Some(text).filter(|it| !it.is_empty()).map(PathBuf::from))
        };
        let [ca_cert, ca_path] = pair(ca_cert, ca_path, ["CACERT", "CAPATH"]);
        let names = ["CLIENT_CERT", "CLIENT_KEY"];
        let [client_cert, client_key] = pair(client_cert, client_key, names);
        let server_name = match server_name.as_str() {
            "" => variable("TLS_SERVER_NAME", &read),
            name => Some(name.to_owned()),
        };
        let skip_verify = match (self.skip_verify, variable("SKIP_VERIFY", &read)) {
            (Some(said), _) => said,
            (None, Some(word)) => {
                truth(&word).ok_or("could not parse VAULT_SKIP_VERIFY: use true or false")?
            }
            (None, None) => false,
        };
        Ok(Tls { ca_cert, ca_path, client_cert, client_key, server_name, skip_verify })
    }
}

/// A flag alone is as good as `=true`.
fn boolean(value: Option<&str>) -> Result<bool, ArgumentError> {
    value.map_or(Some(true), truth).ok_or(ArgumentError::NotBoolean)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Arguments, ArgumentError> {
        Arguments::parse(args.iter().map(OsString::from))
    }

    fn tls(args: &[&str], set: &[(&str, &str)]) -> Tls {
        let read = |name: &str| {
            set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        parse(args).unwrap().tls(read).unwrap()
    }

    fn path(text: &str) -> Option<PathBuf> {
        Some(text.into())
    }

    #[test]
    fn every_flag_is_read_with_one_dash_or_two_and_its_value_in_either_place() {
        let read = tls(
            &[
                "-ca-cert=/a=b",
                "--ca-path",
                "/c",
                "-client-cert",
                "/d",
                "--client-key=/e",
                "-tls-skip-verify",
                "-tls-server-name",
                "f",
            ],
            &[],
        );
        assert_eq!((read.ca_cert, read.ca_path), (path("/a=b"), path("/c")));
        assert_eq!((read.client_cert, read.client_key), (path("/d"), path("/e")));
        assert_eq!((read.server_name.as_deref(), read.skip_verify), (Some("f"), true));
        assert!(!tls(&["-tls-skip-verify=false"], &[]).skip_verify);
        assert!(tls(&["--tls-skip-verify=1"], &[]).skip_verify);
    }

    #[test]
    fn what_follows_the_flags_is_left_alone() {
        let read = tls(&["-ca-cert=a", "rest", "-ca-cert=b", "-unknown"], &[]);
        assert_eq!(read.ca_cert, path("a"));
        assert!(parse(&["--", "-unknown"]).is_ok() && parse(&["-", "-unknown"]).is_ok());
        assert_eq!(parse(&[]), Ok(Arguments::default()));
    }

    #[test]
    fn what_cannot_be_read_is_named_without_its_value() {
        let refused = |args: &[&str]| parse(args).unwrap_err().to_string();
        let text = refused(&["-password=hunter2"]);
        assert!(text.starts_with("flag provided but not defined: -password;"), "{text}");
        assert!(text.contains("-tls-skip-verify") && !text.contains("hunter2"), "{text}");
        assert_eq!(refused(&["-ca-cert"]), "flag needs an argument: -ca-cert");
        assert!(!refused(&["-tls-skip-verify=hunter2"]).contains("hunter2"));
        assert_eq!(parse(&["---ca-cert=a"]), Err(ArgumentError::Syntax));
        assert_eq!(parse(&["-=a"]), Err(ArgumentError::Syntax));
        use std::os::unix::ffi::OsStringExt as _;
        let garbage = [OsString::from_vec(vec![b'-', 0xff])];
        assert_eq!(Arguments::parse(garbage), Err(ArgumentError::NotText));
    }

    #[test]
    fn the_environment_speaks_where_the_arguments_do_not() {
        let set = [
            ("VAULT_CACERT", "/v"),
            ("BAO_CACERT", "/b"),
            ("VAULT_CLIENT_CERT", "/cert"),
            ("VAULT_CLIENT_KEY", "/key"),
            ("BAO_SKIP_VERIFY", "true"),
            ("VAULT_TLS_SERVER_NAME", "name"),
        ];
        let read = tls(&[], &set);
        assert_eq!((read.ca_cert, read.ca_path), (path("/b"), None));
        assert_eq!((read.client_cert, read.client_key), (path("/cert"), path("/key")));
        assert_eq!((read.server_name.as_deref(), read.skip_verify), (Some("name"), true));

        let read = tls(&["-ca-path=/p", "-tls-skip-verify=false", "-tls-server-name=own"], &set);
        assert_eq!((read.ca_cert, read.ca_path), (None, path("/p")));
        assert_eq!((read.server_name.as_deref(), read.skip_verify), (Some("own"), false));
        assert_eq!(tls(&[], &[("VAULT_CAPATH", "/p")]).ca_path, path("/p"));

        let odd = |name: &str| (name == "VAULT_SKIP_VERIFY").then(|| "hunter2".to_owned());
        let text = Arguments::default().tls(odd).unwrap_err();
        assert!(text.contains("VAULT_SKIP_VERIFY") && !text.contains("hunter2"), "{text}");
    }
}
