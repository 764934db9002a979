//! The environment of a plugin process, built from nothing (wire spec 2.2).
//!
//! Vault hands its whole environment on, and with it whatever secrets stand there (unseal
//! configuration, cloud credentials, tokens). Here a plugin gets, later ones winning:
//!
//! 1. of ours, only what programs need to find files, trust stores and proxies ([`INHERITED`]);
//! 2. what was registered with it, which is the way to give it anything else;
//! 3. what its SDK reads, under the names of Vault and of OpenBao;
//! 4. what `go-plugin` adds: cookie, protocol versions, certificate, and a private `TMPDIR`.

use std::ffi::OsString;

/// Variables of our own that plugins get.
const INHERITED: [&str; 17] = [
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "RUST_BACKTRACE",
    "GOTRACEBACK",
];

/// What the SDK of a plugin is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<'a> {
    /// The server's version, without `v`.
    pub version: &'a str,
    /// The process is only asked what it is.
    pub metadata: bool,
    /// Trust comes by certificates in environment and handshake.
    pub auto_mtls: bool,
    /// The token in which a process of an older protocol finds its certificate.
    pub unwrap_token: Option<&'a str>,
    /// The process is to lock its memory.
    pub mlock: bool,
}

/// The whole environment, but for what `go-plugin` adds.
pub(crate) fn build(registered: &[String], told: Told<'_>) -> Vec<(OsString, OsString)> {
    let own = |name: &str| Some((OsString::from(name), std::env::var_os(name)?));
    let mut all: Vec<(OsString, OsString)> = INHERITED.into_iter().filter_map(own).collect();
    all.extend(registered.iter().map(|variable| {
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        (name.into(), value.into())
    }));
    let word = |yes: bool| if yes { "true" } else { "false" };
    let said = [
        ("VERSION", Some(told.version)),
        ("PLUGIN_METADATA_MODE", Some(word(told.metadata))),
        ("PLUGIN_AUTOMTLS_ENABLED", Some(word(told.auto_mtls))),
        ("UNWRAP_TOKEN", told.unwrap_token),
        ("PLUGIN_MLOCK_ENABLED", told.mlock.then_some("true")),
    ];
    for (name, value) in said {
        let Some(value) = value else { continue };
        for prefix in ["VAULT_", "BAO_"] {
            all.push((format!("{prefix}{name}").into(), value.into()));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(metadata: bool) -> Told<'static> {
        Told { version: "1.2.3", metadata, auto_mtls: true, unwrap_token: None, mlock: false }
    }

    fn last(all: &[(OsString, OsString)], name: &str) -> Option<String> {
        let found = all.iter().rev().find(|(key, _)| key == name)?;
        Some(found.1.to_string_lossy().into_owned())
    }

    #[test]
    fn a_plugin_gets_what_was_registered_and_nothing_else_of_ours() {
        let registered = ["A=b=c".to_owned(), "PATH=/x".to_owned(), "EMPTY".to_owned()];
        let all = build(&registered, told(false));
        assert_eq!(last(&all, "A").as_deref(), Some("b=c"));
        assert_eq!(last(&all, "PATH").as_deref(), Some("/x"), "registered wins over ours");
        assert_eq!(last(&all, "EMPTY").as_deref(), Some(""));
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        assert_eq!(last(&all, "CARGO_MANIFEST_DIR"), None);
    }

    #[test]
    fn the_sdk_reads_the_same_under_both_names_and_cannot_be_lied_to() {
        let registered = ["VAULT_VERSION=9".to_owned(), "BAO_PLUGIN_METADATA_MODE=x".to_owned()];
        let all = build(&registered, told(true));
        for prefix in ["VAULT", "BAO"] {
            let read = |name: &str| last(&all, &format!("{prefix}_{name}"));
            assert_eq!(read("VERSION").as_deref(), Some("1.2.3"));
            assert_eq!(read("PLUGIN_METADATA_MODE").as_deref(), Some("true"));
            assert_eq!(read("PLUGIN_AUTOMTLS_ENABLED").as_deref(), Some("true"));
            assert_eq!(read("UNWRAP_TOKEN"), None);
            assert_eq!(read("PLUGIN_MLOCK_ENABLED"), None);
        }
    }

    #[test]
    fn token_and_mlock_are_told_where_there_is_something_to_tell() {
        let told =
            Told { auto_mtls: false, unwrap_token: Some("a.b.c"), mlock: true, ..told(false) };
        let all = build(&["VAULT_UNWRAP_TOKEN=own".to_owned()], told);
        for prefix in ["VAULT", "BAO"] {
            let read = |name: &str| last(&all, &format!("{prefix}_{name}"));
            assert_eq!(read("PLUGIN_AUTOMTLS_ENABLED").as_deref(), Some("false"));
            assert_eq!(read("UNWRAP_TOKEN").as_deref(), Some("a.b.c"));
            assert_eq!(read("PLUGIN_MLOCK_ENABLED").as_deref(), Some("true"));
        }
    }
}
