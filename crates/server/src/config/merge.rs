//! Several files into one configuration.
//!
//! Leaves out defaults that depend on other settings. What a later file says counts, except that
//! listeners add up, a switch once on stays on, and the longest lease times win: so Vault merges.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use boltwork_hcl::MAX_BYTES;

use super::error::{Error, Problem, Warning};
use super::listener::Listener;
use super::plugin::Plugin;
use super::section::Section;
use super::storage::{OldAddresses, Storage};
use super::{Config, LogFormat, LogLevel};

/// Known to Vault or OpenBao, and harmless to read past.
const NO_EFFECT: &[&str] = &[
    "log_rotate_bytes",
    "log_rotate_duration",
    "log_rotate_max_files",
    "log_requests_level",
    "disable_clustering",
    "cluster_cipher_suites",
    "disable_printable_check",
    "disable_performance_standby",
    "disable_sealwrap",
    "disable_indexing",
    "disable_sentinel_trace",
    "disable_standby_reads",
    "detect_deadlocks",
    "enable_response_header_hostname",
    "enable_response_header_raft_node_id",
    "imprecise_lease_role_tracking",
    "introspection_endpoint",
    "enable_post_unseal_trace",
    "post_unseal_trace_directory",
    "license_path",
    "service_registration",
    "user_lockout",
    "replication",
    "reporting",
    "sentinel",
    "entropy",
    "experiments",
    "initialize",
    "plugin_download_behavior",
    "plugin_auto_download",
    "plugin_download_max_size",
    "administrative_namespace_path",
    "allow_audit_log_prefixing",
    "unsafe_allow_api_audit_creation",
    "unsafe_cross_namespace_identity",
];

/// Keys of `telemetry` that Vault or OpenBao has, and that do nothing here.
const PUSHED: &[&str] = &[
    "usage_gauge_period",
    "maximum_gauge_cardinality",
    "enable_hostname_label",
    "metrics_prefix",
    "statsite_address",
    "statsd_address",
    "lease_metrics_epsilon",
    "num_lease_metrics_buckets",
    "add_lease_metrics_namespace_labels",
    "add_mount_point_rollback_metrics",
    "filter_default",
    "prefix_filter",
    "rollback_metrics_include_mount_point",
    "circonus_api_token",
    "circonus_api_app",
    "circonus_api_url",
    "circonus_submission_interval",
    "circonus_submission_url",
    "circonus_check_id",
    "circonus_check_force_metric_activation",
    "circonus_check_instance_id",
    "circonus_check_search_tag",
    "circonus_check_tags",
    "circonus_check_display_name",
    "circonus_broker_id",
    "circonus_broker_select_tag",
    "dogstatsd_addr",
    "dogstatsd_tags",
    "stackdriver_project_id",
    "stackdriver_location",
    "stackdriver_namespace",
    "stackdriver_debug_logs",
];

#[derive(Default)]
pub(super) struct Merge {
    pub(super) config: Config,
    pub(super) storage: Option<Storage>,
    pub(super) warnings: Vec<Warning>,
    default_ttl: Option<Duration>,
    max_ttl: Option<Duration>,
}

impl Merge {
    /// Reads a file, or every `.hcl` and `.json` file of a directory in the order of their names.
    pub(super) fn path(&mut self, path: &Path) -> Result<(), Error> {
        let failed = |source| Error::Read { path: path.to_owned(), source };
        if !fs::metadata(path).map_err(failed)?.is_dir() {
            return self.file(path);
        }
        let mut files = Vec::new();
        for entry in fs::read_dir(path).map_err(failed)? {
            let file = entry.map_err(failed)?.path();
            if is_configuration(&file) {
                files.push(file);
            }
        }
        if files.is_empty() {
            return Err(Error::Empty { path: path.to_owned() });
        }
        files.sort();
        files.iter().try_for_each(|file| self.file(file))
    }

    fn file(&mut self, path: &Path) -> Result<(), Error> {
        let mut text = String::new();
        let most = MAX_BYTES as u64 + 1;
        fs::File::open(path)
            .and_then(|file| file.take(most).read_to_string(&mut text))
            .map_err(|source| Error::Read { path: path.to_owned(), source })?;
        self.text(path, &text)
    }

    /// Reads one text; `file` is what messages call it.
    pub(super) fn text(&mut self, file: &Path, text: &str) -> Result<(), Error> {
        let root = boltwork_hcl::parse(text)
            .map_err(|source| Error::Syntax { path: file.to_owned(), source })?;
        let mut section = Section::new(file, &root);
        refuse(&section)?;
        for block in section.blocks("listener")? {
            self.config.listeners.push(Listener::read(file, block, &mut self.warnings)?);
        }
        seals(&mut section)?;
        let old = self.storage(file, &mut section)?;
        self.addresses(&mut section, old)?;
        self.plugins(file, &mut section)?;
        self.log(&mut section)?;
        self.process(&mut section)?;
        self.leases(&mut section)?;
        self.telemetry(file, &mut section)?;
        section.warn_of("cluster_addr", &mut self.warnings);
        if self.config.process.ui {
            section.warn_of("ui", &mut self.warnings);
        }
        if self.config.process.raw_storage_endpoint {
            section.warn_of("raw_storage_endpoint", &mut self.warnings);
        }
        section.finish(&[], NO_EFFECT, &mut self.warnings);
        Ok(())
    }

    /// Numbers are fetched from `sys/metrics`, in Prometheus' form too: nothing need be set for
    /// that. What would have them pushed somewhere is warned of.
    fn telemetry(&mut self, file: &Path, section: &mut Section<'_>) -> Result<(), Error> {
        for object in section.objects("telemetry")? {
            Section::new(file, object).finish(
                &["disable_hostname", "prometheus_retention_time"],
                PUSHED,
                &mut self.warnings,
            );
        }
        Ok(())
    }

    fn storage(
        &mut self,
        file: &Path,
        section: &mut Section<'_>,
    ) -> Result<Option<OldAddresses>, Error> {
        let mut blocks = section.blocks("storage")?;
        let older = section.blocks("backend")?;
        if blocks.is_empty() {
            blocks = older;
        }
        if let Some(second) = blocks.get(1) {
            return Err(Error::Refused {
                place: section.place(second.label.position),
                what: "only one 'storage' block is permitted".into(),
                instead: "remove the others".into(),
            });
        }
        let Some(block) = blocks.first() else { return Ok(None) };
        let (storage, addresses) = Storage::read(file, *block, &mut self.warnings)?;
        self.storage = Some(storage);
        Ok(Some(addresses))
    }

    fn addresses(
        &mut self,
        section: &mut Section<'_>,
        old: Option<OldAddresses>,
    ) -> Result<(), Error> {
        let (api, cluster) = old.map_or((None, None), |old| (old.api, old.cluster));
        let addresses = &mut self.config.addresses;
        override_with(&mut addresses.api, section.text("api_addr")?.or(api));
        override_with(&mut addresses.cluster, section.text("cluster_addr")?.or(cluster));
        override_with(&mut addresses.cluster_name, section.text("cluster_name")?);
        for (key, address) in [("api_addr", &addresses.api), ("cluster_addr", &addresses.cluster)] {
            if address.as_ref().is_some_and(|address| address.contains("{{")) {
                return Err(Error::Refused {
                    place: section.place_of(key),
                    what: format!("{key}: templates are not supported"),
                    instead: "write the address itself".into(),
                });
            }
        }
        Ok(())
    }

    fn plugins(&mut self, file: &Path, section: &mut Section<'_>) -> Result<(), Error> {
        let plugins = &mut self.config.plugins;
        plugins.auto_register |= section.flag("plugin_auto_register")?.unwrap_or(false);
        plugins.declared.extend(Plugin::read_all(file, section, &mut self.warnings));
        override_with(&mut plugins.directory, section.path("plugin_directory")?);
        override_with(&mut plugins.tmpdir, section.path("plugin_tmpdir")?);
        override_with(&mut plugins.file_permissions, section.octal("plugin_file_permissions")?);
        if let Some(uid) = section.integer("plugin_file_uid")? {
            let uid = u32::try_from(uid).map_err(|_| Error::Value {
                place: section.place_of("plugin_file_uid"),
                key: "plugin_file_uid".into(),
                found: "a number out of range".into(),
                wanted: "a user id".into(),
            })?;
            plugins.file_uid = Some(uid);
        }
        self.plugin_limits(section)
    }

    fn plugin_limits(&mut self, section: &mut Section<'_>) -> Result<(), Error> {
        let plugins = &mut self.config.plugins;
        for (key, limit) in [
            ("plugin_max_memory", &mut plugins.max_memory),
            ("plugin_max_open_files", &mut plugins.max_open_files),
            ("plugin_max_processes", &mut plugins.max_processes),
        ] {
            let Some(most) = section.integer(key)? else { continue };
            let most = u64::try_from(most).ok().filter(|most| *most > 0);
            *limit = Some(most.ok_or_else(|| Error::Value {
                place: section.place_of(key),
                key: key.into(),
                found: "a number that is not positive".into(),
                wanted: "a positive number; leave the key out for no limit".into(),
            })?);
        }
        const START: &str = "plugin_start_timeout";
        if let Some(limit) = section.duration(START)? {
            plugins.start_timeout = Some(limit).filter(|limit| !limit.is_zero());
            plugins.start_timeout.ok_or_else(|| Error::Value {
                place: section.place_of(START),
                key: START.into(),
                found: "none".into(),
                wanted: "a positive duration".into(),
            })?;
        }
        Ok(())
    }

    fn log(&mut self, section: &mut Section<'_>) -> Result<(), Error> {
        let log = &mut self.config.log;
        if let Some(level) = section.word("log_level", LogLevel::WANTED, LogLevel::from_name)? {
            log.level = level;
        }
        let format = section.word("log_format", LogFormat::WANTED, LogFormat::from_name)?;
        if let Some(format) = format {
            log.format = format;
        }
        override_with(&mut log.file, section.path("log_file")?);
        Ok(())
    }

    fn process(&mut self, section: &mut Section<'_>) -> Result<(), Error> {
        let process = &mut self.config.process;
        process.ui |= section.flag("ui")?.unwrap_or(false);
        process.disable_mlock |= section.flag("disable_mlock")?.unwrap_or(false);
        let raw = section.flag("raw_storage_endpoint")?.unwrap_or(false);
        process.raw_storage_endpoint |= raw;
        override_with(&mut process.pid_file, section.path("pid_file")?);
        let limit = section.duration("default_max_request_duration")?;
        if let Some(limit) = limit.filter(|limit| !limit.is_zero()) {
            process.max_request_duration = limit;
        }
        let cache = &mut self.config.cache;
        cache.disabled |= section.flag("disable_cache")?.unwrap_or(false);
        let size = section.integer("cache_size")?.and_then(|size| usize::try_from(size).ok());
        override_with(&mut cache.entries, size.filter(|size| *size > 0));
        Ok(())
    }

    fn leases(&mut self, section: &mut Section<'_>) -> Result<(), Error> {
        let default = section.duration("default_lease_ttl")?.filter(|ttl| !ttl.is_zero());
        let max = section.duration("max_lease_ttl")?.filter(|ttl| !ttl.is_zero());
        self.default_ttl = self.default_ttl.max(default);
        self.max_ttl = self.max_ttl.max(max);
        Ok(())
    }

    /// The whole, once every file is read and before the environment is asked.
    pub(super) fn finish(mut self) -> Result<(Config, Vec<Warning>), Error> {
        let Some(storage) = self.storage else {
            return Err(Error::Missing {
                what: "A storage backend must be specified",
                instead: "write storage \"sqlite\" { path = \"/var/lib/boltwork/data.db\" }",
            });
        };
        self.config.storage = storage;
        if self.config.listeners.is_empty() {
            return Err(Error::Missing {
                what: "no listener is configured, so nobody could reach the server",
                instead: "write listener \"tcp\" { … } with a certificate, or with tls_disable",
            });
        }
        let plugins = &self.config.plugins;
        let stanza = plugins.declared.iter().find_map(|plugin| plugin.place.clone());
        if let (false, Some(place)) = (plugins.auto_register, stanza) {
            let problem = Problem::NotRegistered;
            self.warnings.push(Warning { place, key: "plugin".into(), problem });
        }
        let leases = &mut self.config.leases;
        leases.max_ttl = self.max_ttl.unwrap_or(leases.max_ttl);
        // A lower maximum alone lowers the default too; only two written values can disagree.
        leases.default_ttl = self.default_ttl.unwrap_or(leases.default_ttl.min(leases.max_ttl));
        if leases.default_ttl > leases.max_ttl {
            let (default, max) = (leases.default_ttl.as_secs(), leases.max_ttl.as_secs());
            return Err(Error::Leases { default, max });
        }
        Ok((self.config, self.warnings))
    }
}

/// Blocks that promise more safety than the server would give, were they ignored.
fn refuse(section: &Section<'_>) -> Result<(), Error> {
    let single = "this server runs as a single node";
    section.refuse("ha_storage", single, "remove the block")?;
    section.refuse("ha_backend", single, "remove the block")?;
    section.refuse(
        "hsm",
        "hardware security modules are not supported",
        "use Shamir unseal keys",
    )?;
    section.refuse("kms", "external key services are not supported", "use Shamir unseal keys")?;
    let audit = "audit devices cannot be declared in the configuration";
    section.refuse("audit", audit, "enable them through sys/audit, and remove the block")
}

fn seals(section: &mut Section<'_>) -> Result<(), Error> {
    for block in section.blocks("seal")? {
        if !block.label.text.eq_ignore_ascii_case("shamir") {
            return Err(Error::Refused {
                place: section.place(block.label.position),
                what: format!("seal {:?} is not supported", block.label.text),
                instead: "remove the block: without one the server has Shamir unseal keys".into(),
            });
        }
    }
    Ok(())
}

fn override_with<T>(setting: &mut Option<T>, value: Option<T>) {
    if value.is_some() {
        *setting = value;
    }
}

/// `.hcl` and `.json`, but not what editors leave lying about.
fn is_configuration(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let leftover = name.starts_with(".#") || name.ends_with('~') || name.starts_with('#');
    (name.ends_with(".hcl") || name.ends_with(".json")) && !leftover && path.is_file()
}
