//! The keys of a connection's configuration, read as leniently as Vault reads them.

use std::time::Duration;

use boltwork_sdk::logical::{Data, SecretText};
use boltwork_sdk::{Ttl, UsernameData, UsernameTemplate};
use serde_json::{Map, Value};

use crate::address::Address;
use crate::failure::Failure;
use crate::tls::Material;

const DEFAULT_TEMPLATE: &str = r#"{{ printf "v-%s-%s-%s-%s" (.DisplayName | truncate 8) (.RoleName | truncate 8) (random 20) (unix_time) | truncate 63 }}"#;

/// Connections at a time, unless told otherwise.
const DEFAULT_OPEN: usize = 4;
/// More than any database server is set up for.
const MAX_OPEN: i64 = 1000;

/// A configuration that makes sense.
pub struct Config {
    /// Where the database is, and as whom we log in.
    pub address: Address,
    /// Connections at a time.
    pub open: usize,
    /// Connections that are kept for later.
    pub idle: usize,
    /// How old a connection may grow.
    pub lifetime: Option<Duration>,
    /// How users are named.
    pub template: UsernameTemplate,
    /// Whether passwords are hashed before the database sees them.
    pub scram: bool,
    /// Users change their own passwords; there is no root.
    pub self_managed: bool,
}

impl Config {
    /// Reads it.
    pub fn read(data: &Data) -> Result<Self, Failure> {
        let keys = Keys(data.fields().map_err(|_| wrong("the configuration is no object"))?);
        let url = keys.text("connection_url")?;
        if url.is_empty() {
            return Err(wrong("connection_url cannot be empty"));
        }
        let (username, password) = (keys.text("username")?, keys.text("password")?);
        let self_managed = keys.boolean("self_managed")?;
        check_credentials(&url, &username, &password, self_managed)?;
        let escaped = !keys.boolean("disable_escaping")?;
        let material = Material {
            authorities: keys.pem("tls_ca")?,
            certificate: keys.pem("tls_certificate")?,
            key: keys.pem("private_key")?.map(SecretText::new),
        };
        let address =
            Address::read(&url, &username, &SecretText::new(password), escaped, material)?;
        if !self_managed && !address.names_a_user() {
            return Err(wrong("connection_url names no user, and there is no username"));
        }
        let open = keys.count("max_open_connections")?.unwrap_or(DEFAULT_OPEN);
        let idle = keys.count("max_idle_connections")?.unwrap_or(open).min(open);
        Ok(Self {
            address,
            open,
            idle,
            lifetime: keys.duration("max_connection_lifetime")?,
            template: template(&keys.text("username_template")?)?,
            scram: scram(&keys.text("password_authentication")?)?,
            self_managed,
        })
    }
}

fn wrong(what: impl Into<String>) -> Failure {
    Failure::Configuration(what.into())
}

fn check_credentials(
    url: &str,
    username: &str,
    password: &str,
    self_managed: bool,
) -> Result<(), Failure> {
    const VARIABLES: [&str; 2] = ["{{username}}", "{{password}}"];
    if VARIABLES.iter().any(|variable| username.contains(variable) || password.contains(variable)) {
        return Err(wrong("username and/or password cannot contain the template variables"));
    }
    if !self_managed {
        return Ok(());
    }
    if !username.is_empty() || !password.is_empty() {
        return Err(wrong("cannot use both self_managed and username/password"));
    }
    if VARIABLES.iter().any(|variable| !url.contains(variable)) {
        return Err(wrong(
            "with self_managed, connection_url must name {{username}} and {{password}}",
        ));
    }
    Ok(())
}

fn template(text: &str) -> Result<UsernameTemplate, Failure> {
    let text = if text.is_empty() { DEFAULT_TEMPLATE } else { text };
    let template = UsernameTemplate::parse(text)
        .map_err(|error| wrong(format!("unable to initialize username template: {error}")))?;
    template
        .generate(UsernameData::default())
        .map_err(|error| wrong(format!("invalid username template: {error}")))?;
    Ok(template)
}

fn scram(method: &str) -> Result<bool, Failure> {
    match method {
        "" | "password" => Ok(false),
        "scram-sha-256" => Ok(true),
        _ => Err(wrong(
            "password_authentication is not a valid password authentication type; \
             it is \"password\" or \"scram-sha-256\"",
        )),
    }
}

/// The keys as they came. What is not read is another plugin's, or the engine's.
struct Keys(Map<String, Value>);

impl Keys {
    fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    fn unfit<T>(key: &str, wanted: &str) -> Result<T, Failure> {
        Err(wrong(format!("{key} must be {wanted}")))
    }

    fn text(&self, key: &str) -> Result<String, Failure> {
        match self.get(key) {
            None => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(Value::Number(number)) => Ok(number.to_string()),
            Some(_) => Self::unfit(key, "a text"),
        }
    }

    fn pem(&self, key: &str) -> Result<Option<String>, Failure> {
        Ok(Some(self.text(key)?).filter(|text| !text.is_empty()))
    }

    fn boolean(&self, key: &str) -> Result<bool, Failure> {
        match self.get(key) {
            None => Ok(false),
            Some(Value::Bool(truth)) => Ok(*truth),
            Some(Value::Number(number)) => Ok(number.as_f64() != Some(0.0)),
            Some(Value::String(text)) => match text.as_str() {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
                "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
                _ => Self::unfit(key, "true or false"),
            },
            Some(_) => Self::unfit(key, "true or false"),
        }
    }

    /// A number of connections; none if it is zero, which means the default.
    fn count(&self, key: &str) -> Result<Option<usize>, Failure> {
        let number = match self.get(key) {
            None => Some(0),
            // What crossed the wire as a protobuf `Struct` has a fraction, of zero.
            Some(Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
                (Some(number), _) => Some(number),
                #[expect(clippy::cast_possible_truncation, reason = "it has no fraction")]
                (None, Some(number)) if number.fract() == 0.0 => Some(number as i64),
                _ => None,
            },
            Some(Value::String(text)) => text.parse().ok(),
            Some(_) => None,
        };
        match number {
            // Go's pool takes a negative number for "as many as you like"; here that is the most.
            Some(number @ i64::MIN..=MAX_OPEN) => {
                let number = if number < 0 { MAX_OPEN } else { number };
                Ok(usize::try_from(number).ok().filter(|number| *number > 0))
            }
            _ => Self::unfit(key, &format!("a whole number up to {MAX_OPEN}")),
        }
    }

    fn duration(&self, key: &str) -> Result<Option<Duration>, Failure> {
        let text = match self.get(key) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_f64().unwrap_or(-1.0).trunc().to_string(),
            Some(Value::String(text)) => text.clone(),
            Some(_) => String::from("-"),
        };
        let ttl: Ttl = text.parse().map_err(|error| wrong(format!("invalid {key}: {error}")))?;
        Ok(Some(ttl.0).filter(|lifetime| !lifetime.is_zero()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(extra: &Value) -> Result<Config, String> {
        let mut keys = json!({
            "connection_url": "postgresql://{{username}}:{{password}}@db/app",
            "username": "root", "password": "secret",
        });
        for (key, value) in extra.as_object().unwrap() {
            keys[key] = value.clone();
        }
        Config::read(&Data::json(&keys)).map_err(|failure| failure.to_string())
    }

    #[test]
    fn numbers_come_in_any_form() {
        for open in [json!(7), json!(7.0), json!("7")] {
            let config = read(&json!({ "max_open_connections": open, "max_idle_connections": 9 }));
            let config = config.ok().unwrap();
            assert_eq!((config.open, config.idle), (7, 7));
        }
        let config = read(&json!({ "max_connection_lifetime": "5m" })).ok().unwrap();
        assert_eq!((config.open, config.idle), (DEFAULT_OPEN, DEFAULT_OPEN));
        assert_eq!(config.lifetime, Some(Duration::from_secs(300)));
        let config = read(&json!({ "max_connection_lifetime": 30.0 })).ok().unwrap();
        assert_eq!(config.lifetime, Some(Duration::from_secs(30)));
    }

    #[test]
    fn what_is_wrong_is_named_without_its_value() {
        for (extra, why) in [
            (json!({ "connection_url": "" }), "connection_url cannot be empty"),
            (json!({ "connection_url": "postgres://db/d" }), "names no user"),
            (json!({ "username": "" }), "names no user"),
            (json!({ "username": "{{password}}" }), "cannot contain the template variables"),
            (json!({ "max_open_connections": "many" }), "max_open_connections must be"),
            (json!({ "max_open_connections": 100_000 }), "a whole number up to 1000"),
            (json!({ "max_connection_lifetime": "long" }), "invalid max_connection_lifetime"),
            (json!({ "password_authentication": "md5" }), "valid password authentication type"),
            (json!({ "username_template": "{{x}}" }), "unable to initialize username template"),
            (json!({ "username_template": "{{truncate 0 \"a\"}}" }), "invalid username template"),
            (json!({ "disable_escaping": "perhaps" }), "disable_escaping must be true or false"),
            (json!({ "password": ["secret"] }), "password must be a text"),
            (json!({ "self_managed": true }), "both self_managed and username/password"),
            (
                json!({ "self_managed": true, "username": "", "password": "",
                        "connection_url": "postgres://db" }),
                "must name {{username}} and {{password}}",
            ),
            (json!({ "tls_ca": "none" }), "tls_ca"),
        ] {
            let error = read(&extra).err().unwrap_or_default();
            assert!(error.contains(why) && !error.contains("secret"), "{extra}: {error}");
        }
    }
}
