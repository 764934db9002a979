//! A `connection_url`: a URL or `key=value` pairs, with `{{username}}` and `{{password}}` in it.
//!
//! The two are put in after the text was taken apart, so no character in them can change what the
//! text says. With `disable_escaping` they are put in before, for those whose password is escaped
//! already.
//!
//! Left out on purpose: what libpq reads elsewhere (`PGHOST`, service and password files). A server
//! must not connect to whatever its environment says.

mod pairs;
mod url;

use std::time::Duration;

use boltwork_sdk::logical::SecretText;
use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, TargetSessionAttrs};

use crate::failure::Failure;
use crate::tls::{Material, Mode, Tls};

/// How long it may take to reach one host, unless told otherwise.
const CONNECT: Duration = Duration::from_secs(10);
/// How long any call may take as a whole.
const CALL: Duration = Duration::from_secs(60);
/// What a call may take beyond the statement that the database itself stops.
const BEYOND_STATEMENT: Duration = Duration::from_secs(5);
/// Under which name connections are listed in `pg_stat_activity`: Vault's.
const APPLICATION: &str = "vault";
/// Hosts of one database, at most.
const MAX_HOSTS: usize = 16;

/// Meaningless here, or about other programs' ways to talk to the database.
const IGNORED: [&str; 22] = [
    "client_encoding",
    "default_query_exec_mode",
    "description_cache_capacity",
    "fallback_application_name",
    "gssencmode",
    "gsslib",
    "krbspn",
    "krbsrvname",
    "load_balance_hosts",
    "max_protocol_version",
    "min_protocol_version",
    "min_read_buffer_size",
    "pool_health_check_period",
    "pool_max_conn_idle_time",
    "pool_max_conn_lifetime",
    "pool_max_conns",
    "pool_min_conns",
    "prefer_simple_protocol",
    "replication",
    "sslcompression",
    "sslsni",
    "statement_cache_capacity",
];
/// Would make us read files that nobody configured for the server.
const REFUSED: [&str; 5] = ["passfile", "service", "servicefile", "sslpassword", "sslcrl"];

/// A database and how to log in to it.
pub struct Address {
    /// For the driver; without the mode of TLS, which each attempt sets.
    pub driver: Config,
    /// How connections are protected.
    pub tls: Tls,
    /// What every session is told at its beginning.
    pub session: Vec<(String, String)>,
    /// How long a connection may take to come about.
    pub connect: Duration,
    /// How long a call may take as a whole.
    pub call: Duration,
    /// Who and where, for errors.
    pub shown: String,
    /// What errors must not say.
    pub secrets: Vec<SecretText>,
}

/// Keys and values in order; later ones count.
type Pairs = Vec<(String, String)>;

impl Address {
    /// Reads a `connection_url`.
    pub fn read(
        text: &str,
        username: &str,
        password: &SecretText,
        escaped: bool,
        material: Material,
    ) -> Result<Self, Failure> {
        let replaced = |text: &str| {
            text.replace("{{username}}", username).replace("{{password}}", password.expose())
        };
        let text = text.trim();
        let written = if escaped { text.to_owned() } else { replaced(text) };
        let is_url =
            ["postgres://", "postgresql://"].iter().any(|scheme| written.starts_with(scheme));
        let mut pairs = if is_url { url::read(&written) } else { pairs::read(&written) }?;
        if escaped {
            pairs.iter_mut().for_each(|(_, value)| *value = replaced(value));
        }
        Builder::default().build(pairs, material, password)
    }

    /// Whether it says who logs in.
    pub fn names_a_user(&self) -> bool {
        self.driver.get_user().is_some_and(|user| !user.is_empty())
    }

    /// The same database for another user.
    pub fn for_user(&self, username: &str, password: &SecretText) -> Config {
        let mut driver = self.driver.clone();
        driver.user(username).password(password.expose());
        driver
    }
}

fn wrong(what: impl Into<String>) -> Failure {
    Failure::Configuration(what.into())
}

/// What the pairs say, until all of them are read.
#[derive(Default)]
struct Builder {
    hosts: Vec<String>,
    ports: Vec<u16>,
    user: String,
    password: String,
    database: String,
    mode: Option<Mode>,
    root: String,
    certificate: String,
    key: String,
    inline: bool,
    connect: Option<Duration>,
    session: Pairs,
}

impl Builder {
    fn build(
        mut self,
        pairs: Pairs,
        mut material: Material,
        configured: &SecretText,
    ) -> Result<Address, Failure> {
        let mut driver = Config::new();
        driver.application_name(APPLICATION).channel_binding(ChannelBinding::Prefer);
        self.session.push(("TimeZone".to_owned(), "UTC".to_owned()));
        for (key, value) in pairs {
            self.take(&mut driver, &key, value)?;
        }
        self.complete(&mut driver)?;
        material.add_files(&self.root, &self.certificate, &self.key, self.inline)?;
        let only_sockets = self.hosts.iter().all(|host| host.starts_with('/'));
        // As libpq: a socket on this machine needs no TLS, and none is offered on it.
        let mode = if only_sockets { Some(Mode::Disable) } else { self.mode };
        let tls = Tls::new(mode, material)?;
        let connect = self.connect.unwrap_or(CONNECT);
        driver.connect_timeout(connect);
        let hosts = u32::try_from(self.hosts.len()).unwrap_or(1);
        let secrets = [SecretText::new(self.password), configured.clone()];
        Ok(Address {
            shown: format!(
                "`user={} database={}` at {}",
                self.user,
                self.database,
                self.hosts.join(", ")
            ),
            call: self.session.iter().rev().find_map(statement_timeout).unwrap_or(CALL),
            session: self.session,
            connect: (connect * hosts).min(CALL),
            secrets: secrets.into_iter().filter(|secret| !secret.is_empty()).collect(),
            driver,
            tls,
        })
    }

    fn take(&mut self, driver: &mut Config, key: &str, value: String) -> Result<(), Failure> {
        match key {
            "host" if !value.is_empty() => self.hosts = list(&value)?,
            "hostaddr" => {
                for address in list(&value)? {
                    driver.hostaddr(
                        address.parse().map_err(|_| wrong("hostaddr must be an address"))?,
                    );
                }
            }
            "port" => {
                let ports = list(&value)?.into_iter().map(|port| port.parse());
                self.ports = ports.collect::<Result<_, _>>().map_err(|_| {
                    wrong("the port in connection_url must be a number up to 65535")
                })?;
            }
            "user" => self.user = value,
            "password" => self.password = value,
            "dbname" | "database" => self.database = value,
            "sslmode" => self.mode = Some(Mode::read(&value)?),
            "sslrootcert" => self.root = value,
            "sslcert" => self.certificate = value,
            "sslkey" => self.key = value,
            "sslinline" => self.inline = value == "true" || value == "1",
            "connect_timeout" => {
                let seconds: u64 = value
                    .parse()
                    .map_err(|_| wrong("connect_timeout must be a number of seconds"))?;
                self.connect = (seconds > 0).then(|| Duration::from_secs(seconds).min(CALL));
            }
            "application_name" => {
                driver.application_name(value);
            }
            "options" => {
                driver.options(value);
            }
            "target_session_attrs" => {
                driver.target_session_attrs(target(&value)?);
            }
            "channel_binding" => {
                driver.channel_binding(binding(&value)?);
            }
            "host" => {}
            _ if key.starts_with("keepalives") || key == "tcp_user_timeout" => {}
            _ if IGNORED.contains(&key) => {}
            _ if REFUSED.contains(&key) => {
                return Err(wrong(format!("connection_url must not have {key}")));
            }
            // Whatever else there is, the database is asked to know it, as pgx does.
            _ => self.session.push((key.to_owned(), value)),
        }
        Ok(())
    }

    fn complete(&mut self, driver: &mut Config) -> Result<(), Failure> {
        if self.database.is_empty() {
            self.database.clone_from(&self.user);
        }
        if self.hosts.is_empty() {
            self.hosts.push("localhost".to_owned());
        }
        for host in &self.hosts {
            driver.host(host.as_str());
        }
        if self.ports.len() > 1 && self.ports.len() != self.hosts.len() {
            return Err(wrong("connection_url has another number of ports than of hosts"));
        }
        for port in &self.ports {
            driver.port(*port);
        }
        driver.user(self.user.as_str());
        // Without a root there is no user yet; the server then takes the name of whoever logs in.
        if !self.database.is_empty() {
            driver.dbname(self.database.as_str());
        }
        if !self.password.is_empty() {
            driver.password(self.password.as_str());
        }
        Ok(())
    }
}

fn list(text: &str) -> Result<Vec<String>, Failure> {
    let list: Vec<String> = text.split(',').map(|item| item.trim().to_owned()).collect();
    match list.len() {
        0..=MAX_HOSTS => Ok(list),
        _ => Err(wrong(format!("connection_url has more than {MAX_HOSTS} hosts"))),
    }
}

fn target(value: &str) -> Result<TargetSessionAttrs, Failure> {
    match value {
        "any" | "prefer-standby" => Ok(TargetSessionAttrs::Any),
        "read-write" | "primary" => Ok(TargetSessionAttrs::ReadWrite),
        "read-only" | "standby" => Ok(TargetSessionAttrs::ReadOnly),
        _ => Err(wrong("target_session_attrs is none that PostgreSQL knows")),
    }
}

fn binding(value: &str) -> Result<ChannelBinding, Failure> {
    match value {
        "disable" => Ok(ChannelBinding::Disable),
        "prefer" => Ok(ChannelBinding::Prefer),
        "require" => Ok(ChannelBinding::Require),
        _ => Err(wrong("channel_binding must be disable, prefer or require")),
    }
}

/// A call that has to wait for no longer than one statement may take needs not wait for more.
fn statement_timeout((key, value): &(String, String)) -> Option<Duration> {
    if !key.eq_ignore_ascii_case("statement_timeout") {
        return None;
    }
    let units = [("ms", 1), ("s", 1000), ("min", 60_000)];
    let found = units.iter().find_map(|(unit, size)| Some((value.strip_suffix(unit)?, *size)));
    let (number, size) = found.unwrap_or((value, 1));
    let milliseconds = number.trim().parse::<u64>().ok()?.checked_mul(size)?;
    let limit = Duration::from_millis(milliseconds).saturating_add(BEYOND_STATEMENT);
    (milliseconds > 0).then(|| limit.min(CALL))
}

#[cfg(test)]
mod tests;
