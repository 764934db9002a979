//! The certificate of a plugin that is served over protocol 3 or 4: it lies in a wrapping token,
//! and is fetched from the server's own API (wire spec 3). Server and plugin both present it, and
//! accept no other.
//!
//! The token is not verified here. It is the server that signed it, and checks it when it is
//! unwrapped; who could give this process another could give it another program.
//!
//! Left out: proxies, and trust stores of the system.

use std::{fmt::Display, time::Duration};

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use boltwork_client::{Address, Call, Client, Config, Json, Secret};
use go_plugin::tls::{Identity, PeerTls};
use http::Method;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{
    arguments::Arguments,
    env::{self, Environment},
};

/// How long the server may take.
const LIMIT: Duration = Duration::from_secs(30);
/// Longest answer: a certificate and its key, with room to spare.
const LONGEST: usize = 64 << 10;

/// Why there is no certificate: Vault's words, and no secrets.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What a process is served with: the certificate of its token, or nothing, if the server wants
/// certificates in environment and handshake, or none at all. May block.
pub(crate) fn provide(
    environment: Environment,
    arguments: &Arguments,
) -> Result<Option<PeerTls>, Failure> {
    if environment.auto_mtls || environment.metadata_only {
        return Ok(None);
    }
    let token = match env::unwrap_token() {
        Some(token) => token,
        // A host that knows nothing of Vault's variables.
        None if host_certificate() => return Ok(None),
        None => Zeroizing::default(),
    };
    let fetched =
        tokio::runtime::Handle::current().block_on(fetch(&token, arguments, env::process));
    match fetched {
        Ok(tls) => Ok(Some(tls)),
        Err(text) => {
            tracing::error!(error = text, "plugin tls init");
            Err(text.into())
        }
    }
}

/// Whether the host has said how it wants to be known: AutoMTLS, by whatever name.
fn host_certificate() -> bool {
    env::process(go_plugin::handshake::ENV_CLIENT_CERT).is_some_and(|pem| !pem.is_empty())
}

/// Unwraps the token. The error is one line, for servers read stderr by lines.
async fn fetch(
    token: &str,
    arguments: &Arguments,
    read: impl Fn(&str) -> Option<String>,
) -> Result<PeerTls, String> {
    let address = address(token)?;
    let address = Address::parse(&address).map_err(failed("error parsing the vault api_addr: "))?;
    let creating = "error during api client creation: ";
    let mut config = Config::new(address);
    config.tls = arguments.tls(read).map_err(failed(creating))?;
    config.timeout = LIMIT;
    config.max_response = LONGEST;
    // The token is good for one use, and is shown to nobody but whom it names.
    config.max_retries = 0;
    config.follow_redirect = false;
    let client = Client::new(config).map_err(failed(creating))?;
    let call = Call::new(Method::PUT, "sys/wrapping/unwrap").token(token).body(&Json::Null);
    let asking = "error during token unwrap request: ";
    let answer = client.send(call).await.map_err(failed(asking))?;
    let secret = Secret::parse(&answer.body).map_err(failed(asking))?;
    trust(&secret.ok_or_else(|| format!("{asking}secret is nil"))?)
}

/// The address at which a token says that it is unwrapped.
fn address(token: &str) -> Result<String, String> {
    let header = "error parsing wrapping token: ";
    let mut parts = token.split('.');
    let (Some(head), Some(claims), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        let why = if token.is_empty() {
            "there is none in VAULT_UNWRAP_TOKEN or BAO_UNWRAP_TOKEN"
        } else {
            "it is not in JWT format"
        };
        return Err(format!("{header}{why}"));
    };
    let head = object(head).map_err(failed(header))?;
    if head.get("alg").and_then(Value::as_str) != Some("ES512") {
        return Err(format!("{header}its signature algorithm is not ES512"));
    }
    let claims = object(claims).map_err(failed("error parsing claims from wrapping token: "))?;
    match claims.get("addr") {
        None => Err("could not validate addr claim".to_owned()),
        Some(Value::String(addr)) if addr.is_empty() => {
            Err("no vault api_addr found: set api_addr in the server's configuration".to_owned())
        }
        Some(Value::String(addr)) => Ok(addr.clone()),
        Some(_) => Err("could not parse addr claim".to_owned()),
    }
}

fn object(part: &str) -> Result<Map<String, Value>, &'static str> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| "it is not in base64")?;
    serde_json::from_slice(&bytes).map_err(|_| "it is not a JSON object")
}

/// TLS with who presents the certificate that was wrapped.
fn trust(secret: &Secret) -> Result<PeerTls, String> {
    let field = |name| {
        let text = secret.field(name).and_then(Json::as_str);
        let text = text.ok_or_else(|| format!("error unmarshalling certificate: no {name}"))?;
        let bytes = BASE64_STANDARD.decode(text);
        bytes.map_err(|_| format!("error parsing certificate: {name} is not in base64"))
    };
    let certificate = CertificateDer::from(field("ServerCert")?);
    let key = Zeroizing::new(field("ServerKey")?);
    let parsing = "error parsing certificate: ";
    let name = name(&certificate).ok_or_else(|| format!("{parsing}it names no host"))?;
    let identity =
        Identity::new(vec![certificate.clone()], &PrivateKeyDer::Sec1(key.as_slice().into()));
    let identity = identity.map_err(failed(parsing))?;
    identity.with_named_peer(vec![certificate], &name).map_err(failed(parsing))
}

/// The name that a certificate was made for: Vault writes the same in subject and alternative name.
fn name(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    certificate.valid_dns_names().next().map(str::to_owned)
}

/// Puts a failure in Vault's words, on one line.
fn failed<E: Display>(what: &'static str) -> impl FnOnce(E) -> String {
    move |why| {
        let text = format!("{what}{why}");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
#[path = "unwrap_tests.rs"]
mod tests;
