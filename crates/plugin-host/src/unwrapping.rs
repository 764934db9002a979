//! Why a plugin of protocol 3 or 4 did not come by its certificate: such a plugin must reach this
//! server's API, and trust it.
//!
//! Left out: making the certificate (`bootstrap`).

use std::time::Duration;

use serde_json::Value;

use crate::HostError;

/// How long the server's own address may take to be connected to.
const CONNECT: Duration = Duration::from_secs(5);
/// What plugins write on stderr when it was about the token or the address.
const SIGNS: [&str; 8] = [
    "unwrap",
    "wrapping token",
    "api_addr",
    "addr claim",
    "api client",
    "unmarshalling certificate",
    "parsing certificate",
    "plugin tls init",
];
/// Words of servers, of Go's TLS and of ours, and what is to be done about them. The first that
/// matches counts: the last ones are in many sentences.
const REMEDIES: [(&[&str], &str); 8] = [
    (
        &["it has expired"],
        "the token had expired before it was unwrapped: the plugin took too long, or a clock was set",
    ),
    (
        &["unwrapped already", "is not valid or does not exist"],
        "somebody else unwrapped its token first: the audit log names who, at sys/wrapping/unwrap",
    ),
    (
        &["wrapping token"],
        "what it presented is not what it was given: look for what changes VAULT_UNWRAP_TOKEN or \
         BAO_UNWRAP_TOKEN between here and there, a script around the plugin for one",
    ),
    (
        &["CertificateRequired", "certificate required"],
        "the listener demands a client certificate: register it with -client-cert=FILE and \
         -client-key=FILE in its args",
    ),
    // With TLS 1.3 the refusal comes after the client's handshake: Go's client tells of it, or of a
    // connection that is gone, whichever it meets first.
    (
        &["could not be established", "broken pipe", "reset by peer"],
        "the server cut the connection, and its log says why: if the listener demands a client \
         certificate, register it with -client-cert=FILE and -client-key=FILE in its args",
    ),
    (
        &["not valid for name", "NotValidForName", "certificate is valid for", "any IP SANs"],
        "the listener's certificate is for another name: set api_addr to one that it has, or \
         register the plugin with -tls-server-name=NAME in its args",
    ),
    (&["cannot be used", "no such file"], "it cannot use a file that its args or its env name"),
    (
        &["x509", "tls:", "certificate"],
        "it does not trust the server's certificate: register it with -ca-cert=FILE in its args, or \
         with VAULT_CACERT in its env",
    ),
];

/// Whether the server can be reached at the address that plugins are told.
pub(crate) async fn check_address(addr: &str) -> Result<(), HostError> {
    const WHAT: &str = "a plugin of protocol version 3 or 4 fetches its certificate from the \
                        server's API";
    if addr.is_empty() {
        return Err(HostError::Bootstrap(format!(
            "{WHAT}, but no api_addr is configured: set api_addr to an address at which this \
             machine reaches the server"
        )));
    }
    let unreachable = |why: &str| {
        HostError::Bootstrap(format!(
            "{WHAT} at api_addr {addr:?}, which cannot be reached from here ({why}): set api_addr \
             to an address at which this machine reaches the server"
        ))
    };
    let (host, port) = host_and_port(addr).ok_or_else(|| unreachable("it is not a URL"))?;
    match tokio::time::timeout(CONNECT, tokio::net::TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(why)) => Err(unreachable(&crate::error::reason(&why))),
        Err(_) => Err(unreachable("no answer within 5 seconds")),
    }
}

/// Host and port of an `http` or `https` URL.
fn host_and_port(addr: &str) -> Option<(&str, u16)> {
    let (scheme, rest) = addr.split_once("://")?;
    let usual = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            (host, after.strip_prefix(':'))
        }
        None => match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = port.map_or(Some(usual), |port| port.parse().ok())?;
    (!host.is_empty()).then_some((host, port))
}

/// A failed start, told as what it was: if it was about the token or the address, in one sentence
/// that names the address.
pub(crate) fn explain(error: HostError, addr: &str) -> HostError {
    let stderr = match &error {
        HostError::Start(start) => match start.as_ref() {
            go_plugin::Error::Start(start) => start.stderr.as_slice(),
            _ => return error,
        },
        HostError::Exited { stderr, .. } => stderr.as_slice(),
        _ => return error,
    };
    let Some(said) = stderr.iter().rev().map(|line| said(line)).find(|said| is_sign(said)) else {
        return error;
    };
    let advice = advice(&said);
    HostError::Bootstrap(format!(
        "it could not unwrap its certificate at api_addr {addr:?} ({advice}); it said: {said}"
    ))
}

fn advice(said: &str) -> &'static str {
    let fits = |words: &&[&str]| words.iter().any(|word| said.contains(word));
    let found = REMEDIES.iter().find(|(words, _)| fits(words));
    found.map_or("set api_addr to an address at which this machine reaches the server", |it| it.1)
}

fn is_sign(said: &str) -> bool {
    SIGNS.iter().any(|sign| said.contains(sign))
}

/// What a line of stderr says: hclog writes the error beside the message.
fn said(line: &str) -> String {
    let Ok(Value::Object(fields)) = serde_json::from_str(line) else { return line.to_owned() };
    let text = |key: &str| fields.get(key).and_then(Value::as_str).map(str::to_owned);
    let said = match (text("@message"), text("error")) {
        (Some(message), Some(error)) => format!("{message}: {error}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => return line.to_owned(),
    };
    // Go's client spreads its errors over lines.
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use go_plugin::host::{StartError, StartFailure};

    fn exited(stderr: &[&str]) -> HostError {
        let start = StartError {
            plugin: "x".into(),
            failure: StartFailure::Exited,
            status: None,
            stderr: stderr.iter().map(|line| (*line).to_owned()).collect(),
        };
        HostError::Start(Box::new(go_plugin::Error::Start(Box::new(start))))
    }

    #[test]
    fn host_and_port_are_found_in_urls() {
        assert_eq!(host_and_port("http://127.0.0.1:8200"), Some(("127.0.0.1", 8200)));
        assert_eq!(host_and_port("https://vault.example/x"), Some(("vault.example", 443)));
        assert_eq!(host_and_port("http://[::1]:1/"), Some(("::1", 1)));
        for text in ["", "127.0.0.1:8200", "ftp://x", "http://", "http://x:port"] {
            assert_eq!(host_and_port(text), None, "{text}");
        }
    }

    #[tokio::test]
    async fn an_address_that_is_missing_or_silent_is_named_in_one_sentence() {
        let text = check_address("").await.unwrap_err().to_string();
        assert!(text.contains("no api_addr is configured"), "{text}");
        // Bound and not listening: nobody can connect, and nobody else can take it.
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let addr = format!("http://127.0.0.1:{port}");
        check_address(&addr).await.unwrap();
        drop(socket);
        let text = check_address(&addr).await.unwrap_err().to_string();
        assert!(text.contains(&addr) && text.contains("connection refused"), "{text}");
    }

    #[test]
    fn a_plugin_that_does_not_trust_the_server_is_told_how_to() {
        let line = r#"{"@level":"error","@message":"plugin tls init","error":"error during token unwrap request: Put \"https://h:1/v1/sys/wrapping/unwrap\": tls: failed to verify certificate: x509: certificate signed by unknown authority"}"#;
        let text = explain(exited(&["before", line]), "https://h:1").to_string();
        assert!(text.contains("https://h:1") && text.contains("-ca-cert"), "{text}");
        assert!(text.contains("x509"), "{text}");
    }

    #[test]
    fn a_token_that_was_refused_is_told_with_the_servers_reason_and_what_to_do() {
        for (reason, advice) in [
            ("wrapping token is not valid or does not exist: it has expired", "took too long"),
            (
                "wrapping token is not valid or does not exist: it was unwrapped already",
                "audit log",
            ),
            (
                "error validating wrapping token: wrapping token signature could not be validated",
                "VAULT_UNWRAP_TOKEN",
            ),
        ] {
            let line = format!(
                r#"{{"@level":"error","@message":"plugin tls init","error":"error during token unwrap request: Error making API request.\n\nCode: 400. Errors:\n\n* {reason}"}}"#
            );
            let text = explain(exited(&[&line]), "http://h:1").to_string();
            assert!(text.contains(reason) && !text.contains('\n'), "{text}");
            assert!(text.contains(advice), "{text}");
        }
    }

    #[test]
    fn a_missing_client_certificate_is_told_however_the_client_met_it() {
        for met in [
            "remote error: tls: certificate required",
            "http2: client conn could not be established",
            "write tcp 127.0.0.1:1->127.0.0.1:2: write: broken pipe",
            "read tcp 127.0.0.1:1->127.0.0.1:2: read: connection reset by peer",
        ] {
            let line = format!("error during token unwrap request: Put \"https://h:1\": {met}");
            let text = explain(exited(&[&line]), "https://h:1").to_string();
            assert!(text.contains("-client-cert=FILE") && text.contains(met), "{text}");
        }
    }

    #[test]
    fn another_failure_stays_what_it_was() {
        let text = explain(exited(&["panic: no more"]), "http://h:1").to_string();
        assert!(text.contains("exited before we could connect"), "{text}");
    }
}
