//! From a configuration to a server: storage, barrier, plugin host, core.

use std::sync::Arc;

use boltwork_barrier::Barrier;
use boltwork_core::{Core, CoreConfig};
use boltwork_http::{Limits, ListenerConfig, TlsFiles};
use boltwork_logical::{Plugins, Registration};
use boltwork_plugin_host::{Declared, PluginHost, PluginHostConfig, PluginLimits};
use boltwork_storage::{Cache, Memory, Physical, Sqlite, SqliteConfig};

use crate::{
    builtins,
    config::{self, ClientCerts, Config, Storage, TlsVersion},
    version,
};

/// Ciphertext kept in memory where the configuration says nothing, in entries; Vault's default.
const CACHE_ENTRIES: usize = 131_072;

/// As how many bytes an entry counts in `cache_size`: the cache itself is bounded in bytes.
const BYTES_OF_AN_ENTRY: usize = 128;

/// Below this a cache is only in the way.
const SMALLEST_CACHE: usize = 64 << 10;

/// Makes a sealed server. Nothing listens yet.
///
/// # Errors
/// Storage or the plugin host cannot be opened; the text is for the operator.
pub fn core(
    config: &Config,
    api_addr: String,
    dev: bool,
) -> Result<(Arc<Core>, Arc<PluginHost>), String> {
    let physical = physical(config)?;
    let mlock = !config.process.disable_mlock && !dev;
    let host = plugins(config, mlock)?;
    let plugins: Arc<dyn Plugins> = host.clone();
    let core = CoreConfig {
        default_lease_ttl: config.leases.default_ttl,
        max_lease_ttl: config.leases.max_ttl,
        cluster_name: config.addresses.cluster_name.clone().unwrap_or_default(),
        mlock,
        api_addr,
        version: version::server(),
    };
    Ok((Core::new(core, Barrier::new(physical), plugins), host))
}

fn physical(config: &Config) -> Result<Arc<dyn Physical>, String> {
    match &config.storage {
        Storage::Memory => Ok(Arc::new(Memory::new())),
        Storage::Sqlite { path } => {
            let file = Sqlite::open(&SqliteConfig::new(path)).map_err(|e| e.to_string())?;
            Ok(match config.cache.disabled {
                true => Arc::new(file),
                false => {
                    let entries = config.cache.entries.unwrap_or(CACHE_ENTRIES);
                    let bytes = entries.saturating_mul(BYTES_OF_AN_ENTRY).max(SMALLEST_CACHE);
                    Arc::new(Cache::new(Arc::new(file), bytes))
                }
            })
        }
    }
}

fn plugins(config: &Config, mlock: bool) -> Result<Arc<PluginHost>, String> {
    let tmpdir = config.plugins.tmpdir.clone().unwrap_or_else(std::env::temp_dir);
    let mut host = PluginHostConfig::new(version::server().plugin, tmpdir);
    host.plugin_directory = config.plugins.directory.clone();
    host.file_uid = config.plugins.file_uid;
    host.file_permissions = config.plugins.file_permissions;
    host.mlock = mlock;
    host.limits = PluginLimits {
        memory: config.plugins.max_memory,
        open_files: config.plugins.max_open_files,
        processes: config.plugins.max_processes,
    };
    if let Some(limit) = config.plugins.start_timeout {
        host.start_timeout = limit;
    }
    // Nothing of ours starts a process but the plugin host.
    host.adopt_orphans = true;
    host.builtins = builtins::all();
    host.declared = declared_plugins(config);
    PluginHost::new(host).map_err(|e| e.to_string())
}

/// What the configuration declares; none if declared plugins are not registered.
pub fn declared_plugins(config: &Config) -> Option<Vec<Declared>> {
    let all = || config.plugins.declared.iter().map(declared).collect();
    config.plugins.auto_register.then(all)
}

/// A `plugin` stanza as the plugin host takes it.
fn declared(plugin: &config::Plugin) -> Declared {
    let config::Plugin { place, kind, name, program } = plugin.clone();
    let registration = program.map(|program| Registration {
        kind: kind.clone(),
        name: name.clone(),
        version: program.version,
        sha256: program.sha256,
        command: program.command,
        args: program.args,
        env: program.env,
        ..Registration::default()
    });
    let place = place.map_or_else(|| "the configuration".to_owned(), |place| place.to_string());
    Declared { place, kind, name, registration }
}

/// What the door needs of a configured listener.
pub fn listener(config: &config::Listener, process: &config::Process) -> ListenerConfig {
    let defaults = Limits::default();
    ListenerConfig {
        address: config.address.clone(),
        tls: config.tls.as_ref().map(|tls| TlsFiles {
            certificate: tls.cert_file.clone(),
            key: tls.key_file.clone(),
            client_ca: tls.client_ca_file.clone().filter(|_| tls.client_certs != ClientCerts::Off),
            require_client_certificate: tls.client_certs == ClientCerts::Required,
            min_version: match tls.min_version {
                TlsVersion::V12 => "tls12".to_owned(),
                TlsVersion::V13 => "tls13".to_owned(),
            },
            max_version: match tls.max_version {
                TlsVersion::V12 => "tls12".to_owned(),
                TlsVersion::V13 => "tls13".to_owned(),
            },
        }),
        open_metrics: config.open_metrics,
        limits: Limits {
            body: config
                .limits
                .max_request_size
                .map_or(defaults.body, |n| usize::try_from(n).unwrap_or(usize::MAX)),
            request: config.limits.max_request_duration.unwrap_or(process.max_request_duration),
            header: config.limits.read_header_timeout,
            read: config.limits.read_timeout,
        },
    }
}
