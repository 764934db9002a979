//! `listener "tcp" { … }`.
//!
//! Leaves out certificates themselves and the sockets: only names and limits are read here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use boltwork_hcl::Block;

use super::error::{Error, Place, Problem, Warning};
use super::section::Section;

/// Where the API is served, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Host and port. Default `127.0.0.1:8200`.
    pub address: String,
    /// Where other nodes would connect; taken for compatibility.
    pub cluster_address: Option<String>,
    /// TLS; `None` where `tls_disable` is set.
    pub tls: Option<Tls>,
    /// Limits of time and size.
    pub limits: Limits,
    /// `telemetry { unauthenticated_metrics_access }`: show `sys/metrics` without a token.
    pub open_metrics: bool,
}

/// A listener's TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain, PEM.
    pub cert_file: PathBuf,
    /// Its key, PEM.
    pub key_file: PathBuf,
    /// The authorities of client certificates, PEM.
    pub client_ca_file: Option<PathBuf>,
    /// What is wanted of clients.
    pub client_certs: ClientCerts,
    /// The lowest version spoken. Default 1.2.
    pub min_version: TlsVersion,
    /// The highest version spoken. Default 1.3.
    pub max_version: TlsVersion,
}

/// Whether a listener asks for client certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCerts {
    /// Never asked for (`tls_disable_client_certs`).
    Off,
    /// Asked for, taken where given. The default.
    Asked,
    /// Demanded, and checked against `tls_client_ca_file` (`tls_require_and_verify_client_cert`).
    Required,
}

/// A version of TLS that the server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// 1.2.
    V12,
    /// 1.3.
    V13,
}

/// What one request may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Until the headers are read. Default 10 s.
    pub read_header_timeout: Duration,
    /// Until the whole request is read. Default 30 s.
    pub read_timeout: Duration,
    /// Until the response is written. Default none.
    pub write_timeout: Option<Duration>,
    /// How long a kept connection may idle. Default 5 min.
    pub idle_timeout: Duration,
    /// A request body's bytes. Default 32 MiB; `None` where set below zero.
    pub max_request_size: Option<u64>,
    /// Until a request is given up; `None` where the listener says nothing, and
    /// `default_max_request_duration` holds.
    pub max_request_duration: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            read_header_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            write_timeout: None,
            idle_timeout: Duration::from_secs(300),
            max_request_size: Some(32 * 1024 * 1024),
            max_request_duration: None,
        }
    }
}

const DEFAULT_ADDRESS: &str = "127.0.0.1:8200";

const NO_EFFECT: &[&str] = &[
    "purpose",
    "role",
    "require_request_header",
    "max_request_json_memory",
    "max_request_json_strings",
    "tls_cipher_suites",
    "tls_prefer_server_cipher_suites",
    "tls_key_exchange_preferences",
    "tls_auto_reload",
    "tls_auto_reload_interval",
    "proxy_protocol_behavior",
    "proxy_protocol_authorized_addrs",
    "x_forwarded_for_authorized_addrs",
    "x_forwarded_for_hop_skips",
    "x_forwarded_for_reject_not_present",
    "x_forwarded_for_reject_not_authorized",
    "x_forwarded_for_client_cert_header",
    "cors_enabled",
    "cors_allowed_origins",
    "cors_allowed_headers",
    "cors_allow_credentials",
    "custom_response_headers",
    "profiling",
    "inflight_requests_logging",
    "agent_api",
    "proxy_api",
    "disable_unauthed_rekey_endpoints",
    "disable_unauthed_generate_root_endpoints",
    "disable_replication_status_endpoints",
    "redact_addresses",
    "redact_cluster_name",
    "redact_version",
];

impl Listener {
    /// A listener without TLS, as a development server has.
    pub fn plain(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            cluster_address: None,
            tls: None,
            limits: Limits::default(),
            open_metrics: false,
        }
    }

    pub(super) fn read(
        file: &Path,
        block: Block<'_>,
        warnings: &mut Vec<Warning>,
    ) -> Result<Self, Error> {
        let kind = block.label.text.to_ascii_lowercase();
        let mut section = Section::new(file, block.body);
        if kind != "tcp" {
            return Err(Error::Refused {
                place: Place::new(file, block.label.position),
                what: format!("unsupported listener type {kind:?}"),
                instead: "write listener \"tcp\"".into(),
            });
        }
        let address = section.text("address")?;
        let listener = Self {
            address: with_port(address.as_deref().unwrap_or(DEFAULT_ADDRESS)),
            cluster_address: section.text("cluster_address")?,
            tls: tls(&mut section, warnings)?,
            limits: limits(&mut section, warnings)?,
            open_metrics: open_metrics(file, &mut section, warnings)?,
        };
        section.warn_of("cluster_address", warnings);
        section.finish(&[], NO_EFFECT, warnings);
        Ok(listener)
    }
}

/// A host without a port gets the usual one.
fn with_port(address: &str) -> String {
    let host = address.rsplit_once(']').map_or(address, |(_, after)| after);
    if host.contains(':') { address.to_owned() } else { format!("{address}:8200") }
}

fn tls(section: &mut Section<'_>, warnings: &mut Vec<Warning>) -> Result<Option<Tls>, Error> {
    let disabled = section.flag("tls_disable")?.unwrap_or(false);
    let cert_file = section.path("tls_cert_file")?;
    let key_file = section.path("tls_key_file")?;
    let client_ca_file = section.path("tls_client_ca_file")?;
    let client_certs = client_certs(section, client_ca_file.is_some())?;
    let (min_version, max_version) = versions(section, warnings)?;
    if disabled {
        return Ok(None);
    }
    let missing = |key: &str| Error::Refused {
        place: section.start(),
        what: format!("listener \"tcp\" without {key}"),
        instead: "set tls_cert_file and tls_key_file, or tls_disable = true to serve plain HTTP"
            .into(),
    };
    Ok(Some(Tls {
        cert_file: cert_file.ok_or_else(|| missing("tls_cert_file"))?,
        key_file: key_file.ok_or_else(|| missing("tls_key_file"))?,
        client_ca_file,
        client_certs,
        min_version,
        max_version,
    }))
}

fn client_certs(section: &mut Section<'_>, has_ca: bool) -> Result<ClientCerts, Error> {
    const REQUIRE: &str = "tls_require_and_verify_client_cert";
    let off = section.flag("tls_disable_client_certs")?.unwrap_or(false);
    let required = section.flag(REQUIRE)?.unwrap_or(false);
    let refused = |what: &str, instead: &str| Error::Refused {
        place: section.place_of(REQUIRE),
        what: what.to_owned(),
        instead: instead.to_owned(),
    };
    match (off, required) {
        (true, true) => Err(refused(
            "'tls_disable_client_certs' and 'tls_require_and_verify_client_cert' are mutually exclusive",
            "set one of them",
        )),
        (false, true) if !has_ca => Err(refused(
            "client certificates are required, but no authority is named",
            "set tls_client_ca_file",
        )),
        (false, true) => Ok(ClientCerts::Required),
        (true, false) => Ok(ClientCerts::Off),
        (false, false) => Ok(ClientCerts::Asked),
    }
}

fn versions(
    section: &mut Section<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<(TlsVersion, TlsVersion), Error> {
    // The flag says that the version is older than any spoken here.
    let min = section.word("tls_min_version", "tls12 or tls13", |word| match word {
        "tls10" | "tls11" => Some((TlsVersion::V12, true)),
        "tls12" => Some((TlsVersion::V12, false)),
        "tls13" => Some((TlsVersion::V13, false)),
        _ => None,
    })?;
    let max = section.word("tls_max_version", "tls12 or tls13", |word| match word {
        "tls12" => Some(TlsVersion::V12),
        "tls13" => Some(TlsVersion::V13),
        _ => None,
    })?;
    let (min, old) = min.unwrap_or((TlsVersion::V12, false));
    let max = max.unwrap_or(TlsVersion::V13);
    if old {
        let place = section.place_of("tls_min_version");
        let key = "tls_min_version".to_owned();
        warnings.push(Warning { place, key, problem: Problem::OldTls });
    }
    if max < min {
        return Err(Error::Refused {
            place: section.place_of("tls_max_version"),
            what: "tls_max_version is below tls_min_version".into(),
            instead: "raise it, or leave it out".into(),
        });
    }
    Ok((min, max))
}

fn open_metrics(
    file: &Path,
    section: &mut Section<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<bool, Error> {
    let mut open = false;
    for object in section.objects("telemetry")? {
        let mut telemetry = Section::new(file, object);
        open |= telemetry.flag("unauthenticated_metrics_access")?.unwrap_or(false);
        telemetry.finish(&[], &["disallow_metrics", "metrics_only"], warnings);
    }
    Ok(open)
}

fn limits(section: &mut Section<'_>, warnings: &mut Vec<Warning>) -> Result<Limits, Error> {
    let usual = Limits::default();
    // Zero keeps the usual value: no limit here may be lifted by accident.
    let mut time = |key| section.duration(key).map(|d| d.filter(|d| !d.is_zero()));
    let read_header_timeout = time("http_read_header_timeout")?;
    let read_timeout = time("http_read_timeout")?;
    let write_timeout = time("http_write_timeout")?;
    let idle_timeout = time("http_idle_timeout")?;
    let max_request_duration = time("max_request_duration")?;
    // A connection is closed when no request comes within http_read_header_timeout, and a response
    // is written as fast as its reader takes it.
    section.warn_of("http_write_timeout", warnings);
    section.warn_of("http_idle_timeout", warnings);
    let max_request_size = match section.integer("max_request_size")? {
        None | Some(0) => usual.max_request_size,
        Some(size) => u64::try_from(size).ok(),
    };
    Ok(Limits {
        read_header_timeout: read_header_timeout.unwrap_or(usual.read_header_timeout),
        read_timeout: read_timeout.unwrap_or(usual.read_timeout),
        write_timeout,
        idle_timeout: idle_timeout.unwrap_or(usual.idle_timeout),
        max_request_size,
        max_request_duration,
    })
}
