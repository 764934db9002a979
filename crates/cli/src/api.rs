//! The client as commands use it: made from flags and environment, and called without `await`.

use std::time::Duration;

use boltwork_client::{Address, Call, Client, Config, Error, Json, Response, Secret, Tls};
use http::Method;
use tokio::runtime::{Builder, Runtime};
use zeroize::Zeroizing;

use crate::duration;
use crate::environment::Environment;
use crate::flags::Parsed;
use crate::token_file;

/// A client and what drives it.
pub(crate) struct Api {
    runtime: Runtime,
    client: Client,
}

impl Api {
    /// With the token of the environment, else of the token file.
    pub(crate) fn new(flags: &Parsed, environment: &Environment) -> Result<Self, String> {
        let token = match environment.setting("TOKEN") {
            Some(token) => Some(Zeroizing::new(token.to_owned())),
            None => token_file::read(environment)
                .map_err(|e| format!("failed to get token from token helper: {e}"))?,
        };
        Self::with_token(flags, environment, token)
    }

    pub(crate) fn with_token(
        flags: &Parsed,
        environment: &Environment,
        token: Option<Zeroizing<String>>,
    ) -> Result<Self, String> {
        let mut config = config(flags, environment)?;
        config.token = token;
        Self::with_config(config)
    }

    fn with_config(config: Config) -> Result<Self, String> {
        let failed = |e: &dyn std::fmt::Display| format!("failed to create client: {e}");
        let client = Client::new(config).map_err(|e| failed(&e))?;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|e| failed(&e))?;
        Ok(Self { runtime, client })
    }

    /// The same server in the root namespace.
    pub(crate) fn in_root(self) -> Result<Self, String> {
        let mut config = self.client.config().clone();
        config.namespace = String::new();
        Self::with_config(config)
    }

    pub(crate) fn token(&self) -> &str {
        self.client.config().token.as_ref().map_or("", |t| t.as_str())
    }

    pub(crate) fn read(&self, path: &str) -> Result<Option<Secret>, Error> {
        self.runtime.block_on(self.client.read(path))
    }

    pub(crate) fn list(&self, path: &str) -> Result<Option<Secret>, Error> {
        self.runtime.block_on(self.client.list(path))
    }

    /// PUT, as Vault's client writes.
    pub(crate) fn write(&self, path: &str, body: &Json) -> Result<Option<Secret>, Error> {
        self.runtime.block_on(self.client.write(path, body))
    }

    pub(crate) fn post(&self, path: &str, body: &Json) -> Result<Option<Secret>, Error> {
        self.secret(Call::new(Method::POST, path).body(body))
    }

    pub(crate) fn patch(&self, path: &str, body: &Json) -> Result<Option<Secret>, Error> {
        self.runtime.block_on(self.client.patch(path, body))
    }

    pub(crate) fn delete(&self, path: &str) -> Result<Option<Secret>, Error> {
        self.runtime.block_on(self.client.delete(path))
    }

    pub(crate) fn secret(&self, call: Call) -> Result<Option<Secret>, Error> {
        self.runtime.block_on(self.client.secret(call))
    }

    /// A call where a 404 is an error too.
    pub(crate) fn send(&self, call: Call) -> Result<Response, Error> {
        self.runtime.block_on(self.client.send(call))
    }

    /// The JSON answer of a GET, whatever its shape.
    pub(crate) fn get_json(&self, path: &str) -> Result<Json, Error> {
        self.send(Call::new(Method::GET, path))?.json()
    }

    /// A GET whose envelope must be there.
    pub(crate) fn must_read(&self, path: &str) -> Result<Secret, Error> {
        let response = self.send(Call::new(Method::GET, path))?;
        Secret::parse(&response.body)?
            .ok_or_else(|| Error::Decode("data from server response is empty".into()))
    }

    /// A write where a 404 is an error too and the answer does not matter.
    pub(crate) fn order(
        &self,
        method: Method,
        path: &str,
        body: Option<&Json>,
    ) -> Result<(), Error> {
        let call = Call::new(method, path);
        self.send(match body {
            Some(body) => call.body(body),
            None => call,
        })?;
        Ok(())
    }
}

fn config(flags: &Parsed, environment: &Environment) -> Result<Config, String> {
    let address = match flags.text("agent-address") {
        "" => flags.text("address"),
        agent => agent,
    };
    let mut config = Config::new(Address::parse(address).map_err(|e| e.to_string())?);
    let path = |name| Some(flags.text(name)).filter(|t| !t.is_empty()).map(Into::into);
    config.tls = Tls {
        ca_cert: path("ca-cert"),
        ca_path: path("ca-path"),
        client_cert: path("client-cert"),
        client_key: path("client-key"),
        server_name: Some(flags.text("tls-server-name").to_owned()).filter(|n| !n.is_empty()),
        skip_verify: flags.bool("tls-skip-verify"),
    };
    let namespace = if flags.given("ns") { flags.text("ns") } else { flags.text("namespace") };
    let namespace = namespace.trim_matches('/');
    if !namespace.is_empty() {
        config.namespace = format!("{namespace}/");
    }
    // A person at a terminal would rather see the error than wait for repetitions of it.
    config.max_retries = match environment.setting("MAX_RETRIES") {
        None => 0,
        Some(n) => n.parse().map_err(
            |_| "failed to read environment: BAO_MAX_RETRIES or VAULT_MAX_RETRIES is no number",
        )?,
    };
    if let Some(text) = environment.setting("CLIENT_TIMEOUT") {
        let nanos = duration::parse(text).and_then(|n| u64::try_from(n).ok()).ok_or(
            "failed to read environment: could not parse BAO_CLIENT_TIMEOUT or VAULT_CLIENT_TIMEOUT",
        )?;
        if nanos > 0 {
            config.timeout = Duration::from_nanos(nanos);
        }
    }
    let wrap = flags.duration("wrap-ttl");
    config.wrap_ttl = (wrap > 0).then(|| duration::go(wrap));
    config.follow_redirect = !flags.bool("disable-redirects");
    config.headers = flags.map("header");
    let ours = |name: &str| name.to_ascii_lowercase().starts_with("x-vault-");
    if let Some((name, _)) = config.headers.iter().find(|(name, _)| ours(name)) {
        return Err(format!(
            "failed to setup Headers[{name}]: headers that begin with X-Vault- are the client's own; \
             use the flag that is meant for it"
        ));
    }
    Ok(config)
}
