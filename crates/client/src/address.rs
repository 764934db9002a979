//! Where the server is: `http://`, `https://` or `unix://`.
//!
//! Leaves out DNS SRV discovery. The path of a base address is kept in front of every request's path.

use crate::error::Error;

/// A parsed address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub(crate) place: Place,
    /// `scheme://authority`, as error texts show it.
    pub(crate) origin: String,
    /// Path in front of `/v1`, without a trailing slash.
    pub(crate) base: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Tcp { host: String, port: u16, tls: bool },
    Unix(String),
}

impl Address {
    /// Parses an address.
    ///
    /// # Errors
    /// The scheme is none of the three, or the host is missing.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bad = |why: &str| Error::Config(format!("address {text:?} cannot be used: {why}"));
        if let Some(path) = text.strip_prefix("unix://") {
            if path.is_empty() {
                return Err(bad("the path of the socket is missing"));
            }
            return Ok(Self {
                place: Place::Unix(path.to_owned()),
                origin: "http://localhost".into(),
                base: String::new(),
            });
        }
        let uri: http::Uri = text.parse().map_err(|e| bad(&format!("{e}")))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(bad("it must begin with http://, https:// or unix://")),
        };
        let host = uri.host().ok_or_else(|| bad("the host is missing"))?;
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let authority = match uri.port_u16() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        Ok(Self {
            place: Place::Tcp {
                host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
                port,
                tls,
            },
            origin: format!("{}://{authority}", if tls { "https" } else { "http" }),
            base: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// Value of the `Host` header.
    pub(crate) fn authority(&self) -> &str {
        self.origin.split_once("://").map_or("localhost", |(_, rest)| rest)
    }

    pub(crate) fn is_tls(&self) -> bool {
        matches!(self.place, Place::Tcp { tls: true, .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_schemes_are_understood() {
        let plain = Address::parse("http://127.0.0.1:8200").expect("valid");
        assert_eq!(plain.origin, "http://127.0.0.1:8200");
        let tls = Address::parse("https://vault.example/base/").expect("valid");
        assert_eq!((tls.base.as_str(), tls.is_tls()), ("/base", true));
        let six = Address::parse("http://[::1]:8200").expect("valid");
        assert_eq!(six.place, Place::Tcp { host: "::1".into(), port: 8200, tls: false });
        assert_eq!(six.authority(), "[::1]:8200");
        assert_eq!(Address::parse("unix:///a/b").expect("valid").place, Place::Unix("/a/b".into()));
    }

    #[test]
    fn other_schemes_are_refused_with_the_reason() {
        let error = Address::parse("ftp://x").expect_err("refused").to_string();
        assert!(error.contains("http://, https:// or unix://"), "{error}");
    }
}
