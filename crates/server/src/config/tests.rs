//! What the configuration promises.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::merge::Merge;
use super::{
    ClientCerts, Config, Error, Limits, Listener, LogFormat, LogLevel, Plugin, Problem, Storage,
    TlsVersion, Warning, load, load_development,
};

const PLAIN: &str = "storage \"inmem\" {}\nlistener \"tcp\" { tls_disable = 1 }\n";

fn read_all(texts: &[&str]) -> Result<(Config, Vec<Warning>), Error> {
    let mut merge = Merge::default();
    for text in texts {
        merge.text(Path::new("a.hcl"), text)?;
    }
    merge.finish()
}

fn read(text: &str) -> (Config, Vec<Warning>) {
    read_all(&[text]).unwrap_or_else(|error| panic!("{error} in {text}"))
}

fn refusal(text: &str) -> String {
    read_all(&[text]).expect_err("a bad configuration").to_string()
}

/// A directory of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("boltwork-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary directory");
        Self(path)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).expect("a temporary file");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_telemetry_would_push_is_warned_of_and_open_metrics_are_asked_for_by_listener() {
    let (config, warnings) = read(
        r#"
        storage "inmem" {}
        telemetry { disable_hostname = true prometheus_retention_time = "30s" statsd_address = "x:1" }
        listener "tcp" {
          tls_disable = 1
          telemetry { unauthenticated_metrics_access = true }
        }
        listener "tcp" { address = "127.0.0.1:8300" tls_disable = 1 http_idle_timeout = "1m" }
        ui = true
        cluster_addr = "https://127.0.0.1:8201"
    "#,
    );
    assert!(config.listeners[0].open_metrics && !config.listeners[1].open_metrics);
    let mut keys: Vec<_> = warnings.iter().map(|w| (w.key.as_str(), w.problem)).collect();
    keys.sort_by_key(|(key, _)| *key);
    let no_effect = |key| (key, Problem::NoEffect);
    assert_eq!(keys, ["cluster_addr", "http_idle_timeout", "statsd_address", "ui"].map(no_effect));
}

#[test]
fn a_whole_configuration_is_read() {
    let (config, warnings) = read(
        r#"
        storage "sqlite" { path = "/data/bw.db" }
        listener "tcp" {
          address = "0.0.0.0:8200"
          cluster_address = "0.0.0.0:8201"
          tls_cert_file = "/tls/crt" tls_key_file = "/tls/key" tls_client_ca_file = "/tls/ca"
          tls_require_and_verify_client_cert = "true"
          tls_min_version = "tls13"
          http_read_header_timeout = "5s"
          http_read_timeout = 7
          http_idle_timeout = "1m"
          max_request_size = "1024"
          max_request_duration = "30s"
        }
        listener "tcp" { address = "[::1]" tls_disable = true }
        api_addr = "https://bw:8200" cluster_addr = "https://bw:8201" cluster_name = "one"
        plugin_directory = "/plugins" plugin_tmpdir = "/run/bw"
        plugin_file_uid = 1000 plugin_file_permissions = "0750"
        plugin_max_memory = 1073741824 plugin_max_open_files = "256" plugin_max_processes = 4000
        plugin_start_timeout = "5s"
        disable_mlock = "1" ui = true pid_file = "/run/bw.pid" raw_storage_endpoint = "true"
        default_lease_ttl = "30d" max_lease_ttl = 2764800
        log_level = "DEBUG" log_format = "json" log_file = "/log"
        disable_cache = 0 cache_size = "500" default_max_request_duration = "2m"
        telemetry { disable_hostname = true }
        seal "shamir" {}
    "#,
    );
    let mut no_effect: Vec<_> = warnings.iter().map(|w| w.key.as_str()).collect();
    no_effect.sort_unstable();
    let known =
        ["cluster_addr", "cluster_address", "http_idle_timeout", "raw_storage_endpoint", "ui"];
    assert_eq!(no_effect, known);
    assert!(warnings.iter().all(|w| w.problem == Problem::NoEffect), "{warnings:?}");
    assert_eq!(config.storage, Storage::Sqlite { path: "/data/bw.db".into() });
    let [first, second] = config.listeners.as_slice() else { panic!("two listeners") };
    let tls = first.tls.as_ref().expect("TLS");
    assert_eq!(tls.client_certs, ClientCerts::Required);
    assert_eq!((tls.min_version, tls.max_version), (TlsVersion::V13, TlsVersion::V13));
    let limits = Limits {
        read_header_timeout: Duration::from_secs(5),
        read_timeout: Duration::from_secs(7),
        write_timeout: None,
        idle_timeout: Duration::from_secs(60),
        max_request_size: Some(1024),
        max_request_duration: Some(Duration::from_secs(30)),
    };
    assert_eq!(first.limits, limits);
    assert_eq!(*second, Listener::plain("[::1]:8200"));
    assert_eq!(config.addresses.api.as_deref(), Some("https://bw:8200"));
    assert_eq!(config.plugins.file_uid, Some(1000));
    assert_eq!(config.plugins.file_permissions, Some(0o750));
    let plugins = &config.plugins;
    let limits = (plugins.max_memory, plugins.max_open_files, plugins.max_processes);
    assert_eq!(limits, (Some(1 << 30), Some(256), Some(4000)));
    assert_eq!(plugins.start_timeout, Some(Duration::from_secs(5)));
    assert_eq!(config.leases.default_ttl, Duration::from_secs(30 * 86_400));
    assert_eq!((config.log.level, config.log.format), (LogLevel::Debug, LogFormat::Json));
    assert!(config.process.disable_mlock && config.process.ui && !config.cache.disabled);
    assert!(config.process.raw_storage_endpoint);
    assert_eq!(config.cache.entries, Some(500));
    assert_eq!(config.process.max_request_duration, Duration::from_secs(120));
}

#[test]
fn json_configures_the_same() {
    let (config, warnings) = read(
        r#"{"backend": {"sqlite": {"path": "/d"}},
            "listener": [{"tcp": {"tls_disable": "true"}}, {"tcp": {"address": "h:1", "tls_disable": 1}}],
            "default_lease_ttl": "1h", "ui": "true", "log_level": null}"#,
    );
    assert!(matches!(warnings.as_slice(), [only] if only.key == "ui"), "{warnings:?}");
    assert_eq!(config.storage, Storage::Sqlite { path: "/d".into() });
    let addresses: Vec<_> = config.listeners.iter().map(|l| l.address.as_str()).collect();
    assert_eq!(addresses, ["127.0.0.1:8200", "h:1"]);
    assert_eq!(config.leases.default_ttl, Duration::from_secs(3600));
    assert!(config.process.ui);
}

#[test]
fn an_unknown_key_is_a_warning_with_its_line() {
    let text = format!("{PLAIN}api_adr = \"x\"\nlog_rotate_bytes = 5\n");
    let text = text.replace("tls_disable", "adress = \"h\"\n tls_disable");
    let (_, warnings) = read(&text);
    let found: Vec<_> =
        warnings.iter().map(|w| (w.key.as_str(), w.place.position.line, w.problem)).collect();
    let wanted = [
        ("adress", 2, Problem::Unknown),
        ("api_adr", 4, Problem::Unknown),
        ("log_rotate_bytes", 5, Problem::NoEffect),
    ];
    assert_eq!(found, wanted);
    assert_eq!(
        warnings[1].to_string(),
        "unknown or unsupported field api_adr found in configuration at a.hcl:4:1"
    );
}

#[test]
fn what_is_wrong_is_refused_with_its_place_and_what_to_write() {
    for (text, wanted) in [
        ("ui = \"maybe\"", "a.hcl:1:6: ui: found a string, wanted true or false"),
        ("ui = true\nmax_lease_ttl = [1]", "a.hcl:2:17: max_lease_ttl: found a list, wanted a dur"),
        ("max_lease_ttl = \"soon\"", "wanted a duration"),
        ("api_addr = true", "a.hcl:1:12: api_addr: found a boolean, wanted a string"),
        ("api_addr = \"{{ GetPrivateIP }}\"", "templates are not supported"),
        ("log_level = \"loud\"", "log_level: found a string, wanted one of trace"),
        ("plugin_file_permissions = \"9\"", "in octal"),
        ("plugin_file_uid = -1", "wanted a user id"),
        ("plugin_max_memory = 0", "plugin_max_memory: found a number that is not positive"),
        ("plugin_max_open_files = \"many\"", "wanted a whole number"),
        ("plugin_start_timeout = \"0s\"", "wanted a positive duration"),
        ("ui = ", "error parsing a.hcl: line 1, column 6: found the end of the text"),
        ("storage \"raft\" {}", "a.hcl:1:9: storage \"raft\" is not supported"),
        ("storage \"file\" { path = \"/x\" }", "write storage \"sqlite\""),
        ("storage \"consul\" {}", "unknown storage type \"consul\""),
        ("storage \"sqlite\" {}", "storage \"sqlite\" without path"),
        ("storage \"inmem\" {} storage \"inmem\" {}", "only one 'storage' block is permitted"),
        ("storage = 1", "found a number, wanted an object"),
        ("ha_storage \"x\" {}", "a.hcl:1:1: ha_storage: this server runs as a single node"),
        ("seal \"awskms\" {}", "seal \"awskms\" is not supported"),
        ("audit \"file\" \"x\" {}", "audit devices cannot be declared"),
        ("listener \"unix\" {}", "unsupported listener type \"unix\""),
        ("listener \"tcp\" {}", "a.hcl:1:16: listener \"tcp\" without tls_cert_file"),
        ("listener \"tcp\" { tls_cert_file = \"c\" }", "without tls_key_file"),
        (
            "listener \"tcp\" { tls_disable_client_certs = 1 tls_require_and_verify_client_cert = 1 }",
            "mutually exclusive",
        ),
        ("listener \"tcp\" { tls_require_and_verify_client_cert = 1 }", "set tls_client_ca_file"),
        (
            "listener \"tcp\" { tls_min_version = \"tls13\" tls_max_version = \"tls12\" }",
            "tls_max_version is below tls_min_version",
        ),
        ("", "A storage backend must be specified"),
        ("storage \"inmem\" {}", "no listener is configured"),
    ] {
        let error = refusal(text);
        assert!(error.contains(wanted), "{text}: {error:?} lacks {wanted:?}");
    }
    let leases = format!("{PLAIN}default_lease_ttl = \"2h\"\nmax_lease_ttl = \"1h\"");
    assert!(refusal(&leases).contains("default_lease_ttl (7200 s) is longer"));
}

#[test]
fn tls_below_1_2_is_raised_with_a_warning() {
    let (config, warnings) = read(
        r#"storage "inmem" {}
           listener "tcp" { tls_cert_file = "c" tls_key_file = "k" tls_min_version = "tls10" }"#,
    );
    let tls = config.listeners[0].tls.as_ref().expect("TLS");
    assert_eq!((tls.min_version, tls.client_certs), (TlsVersion::V12, ClientCerts::Asked));
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].problem, Problem::OldTls);
}

#[test]
fn a_lower_maximum_lowers_the_default_lease() {
    let (config, _) = read(&format!("{PLAIN}max_lease_ttl = \"1h\""));
    assert_eq!(config.leases.default_ttl, Duration::from_secs(3600));
}

#[test]
fn later_files_override_and_listeners_add_up() {
    let (config, _) = read_all(&[
        &format!("{PLAIN}api_addr = \"one\"\nui = true\nmax_lease_ttl = \"2000h\""),
        "storage \"sqlite\" { path = \"p\" api_addr = \"old\" }\nui = false\nmax_lease_ttl = \"1000h\"",
        "listener \"tcp\" { address = \"h:2\" tls_disable = true }\napi_addr = \"\"",
    ])
    .expect("good");
    assert_eq!(config.storage, Storage::Sqlite { path: "p".into() });
    assert_eq!(config.addresses.api.as_deref(), Some("old"));
    assert_eq!(config.listeners.len(), 2);
    assert!(config.process.ui);
    assert_eq!(config.leases.max_ttl, Duration::from_secs(2000 * 3600));
}

#[test]
fn a_directory_is_read_in_the_order_of_names() {
    let folder = Folder::new("config-order");
    folder.write("b.json", r#"{"api_addr": "second"}"#);
    folder.write("a.hcl", &format!("{PLAIN}api_addr = \"first\""));
    folder.write("c.txt", "not a configuration {");
    folder.write("d.hcl~", "not either {");
    let loaded = load(&[&folder.0], &|_| None).expect("good");
    assert_eq!(loaded.config.addresses.api.as_deref(), Some("second"));
    folder.write("e.hcl", "ui = [");
    let error = load(&[&folder.0], &|_| None).expect_err("bad").to_string();
    assert!(error.contains("e.hcl: line 1, column 7"), "{error}");
}

#[test]
fn a_missing_file_and_an_empty_directory_are_named() {
    let folder = Folder::new("config-empty");
    let error = load(&[&folder.0], &|_| None).expect_err("empty");
    assert!(matches!(error, Error::Empty { .. }));
    let error = load(&[folder.0.join("no.hcl")], &|_| None).expect_err("missing");
    assert!(error.to_string().contains("no.hcl"), "{error}");
}

#[test]
fn the_environment_overrides_files_and_bao_comes_before_vault() {
    let variables = [
        ("VAULT_API_ADDR", "vault"),
        ("BAO_API_ADDR", "bao"),
        ("VAULT_CLUSTER_ADDR", "cluster"),
        ("VAULT_LOG_LEVEL", "Trace"),
        ("BAO_LOG_FORMAT", "json"),
        ("VAULT_PLUGIN_TMPDIR", "/t"),
        ("VAULT_DISABLE_MLOCK", "true"),
        ("BAO_UI", "false"),
        ("VAULT_ADDR", "of the client"),
    ];
    let find = |name: &str| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string())
    };
    let config = load_development::<&str>("127.0.0.1:1", &[], &find).expect("good").config;
    assert_eq!(config.addresses.api.as_deref(), Some("bao"));
    assert_eq!(config.addresses.cluster.as_deref(), Some("cluster"));
    assert_eq!((config.log.level, config.log.format), (LogLevel::Trace, LogFormat::Json));
    assert_eq!(config.plugins.tmpdir, Some("/t".into()));
    assert!(config.process.disable_mlock && !config.process.ui);
    assert_eq!(config.listeners, [Listener::plain("127.0.0.1:1")]);
    let bad = |name: &str| (name == "VAULT_LOG_LEVEL").then(|| "loud".to_owned());
    let error = load_development::<&str>("127.0.0.1:1", &[], &bad).expect_err("bad").to_string();
    assert!(error.starts_with("environment variable VAULT_LOG_LEVEL: wanted one of"), "{error}");
}

fn declared(stanzas: &str) -> Vec<Plugin> {
    let (config, warnings) = read(&format!("{PLAIN}plugin_auto_register = true\n{stanzas}"));
    assert!(warnings.is_empty(), "{warnings:?}");
    assert!(config.plugins.auto_register);
    config.plugins.declared
}

#[test]
fn declared_plugins_are_read_in_each_form() {
    let sha = "ab".repeat(32);
    let body = format!(
        "command = \"kv\" sha256sum = \"{sha}\" version = \"v1.0.0\" args = [\"-a\"] env = [\"K=v\"]"
    );
    for text in [
        format!("plugin \"secret\" \"a/b\" {{ {body} }}"),
        format!("plugin \"secret\" {{ \"a/b\" {{ {body} }} }}"),
        format!("plugin {{ secret \"a/b\" {{ {body} }} }}"),
    ] {
        let [plugin] = declared(&text).try_into().expect("one plugin");
        assert_eq!((plugin.kind.as_str(), plugin.name.as_str()), ("secret", "a/b"), "{text}");
        let program = plugin.program.expect("a good stanza");
        assert_eq!((program.command.as_str(), program.version.as_str()), ("kv", "v1.0.0"));
        assert_eq!((program.args, program.env), (vec!["-a".to_owned()], vec!["K=v".to_owned()]));
        assert_eq!(program.sha256, sha);
    }
}

#[test]
fn a_bad_plugin_stanza_says_why_and_stops_nothing() {
    let sha = format!("sha256sum = \"{}\"", "ab".repeat(32));
    for (stanza, wanted) in [
        ("\"secret\" \"\" {}".to_owned(), "plugin name cannot be empty"),
        ("\"\" \"kv\" {}".into(), "plugin \"kv\": type cannot be empty"),
        ("\"secret\" \"kv\" {}".into(), "plugin \"kv\": image and command cannot both be empty"),
        ("\"secret\" \"kv\" { image = \"x\" }".into(), "plugin \"kv\": image is not supported"),
        ("\"secret\" \"kv\" { command = \"kv\" }".into(), "plugin \"kv\": version cannot be empty"),
        (
            "\"secret\" \"kv\" { command = \"kv\" version = \"v1\" sha256sum = \"ab\" }".into(),
            "plugin \"kv\": sha256sum must be exactly 64 characters, got 2",
        ),
        (
            format!(
                "\"secret\" \"kv\" {{ command = \"kv\" version = \"v1\" sha256sum = \"{}\" }}",
                "zz".repeat(32)
            ),
            "plugin \"kv\": sha256sum is not valid hex encoded",
        ),
        (
            format!(
                "\"secret\" \"kv\" {{ command = \"kv\" version = \"v1\" {sha} env = [\"A=1\", \"hush\"] }}"
            ),
            "plugin \"kv\": env 1: environment variable must contain '='",
        ),
        ("\"secret\" \"kv\" { command = [1] }".into(), "command: found a list, wanted a string"),
        ("\"secret\" { command = \"kv\" }".into(), "an object"),
        ("\"a\" \"b\" \"c\" {}".into(), "a third label"),
    ] {
        let [plugin] = declared(&format!("plugin {stanza}\n")).try_into().expect("one plugin");
        let why = plugin.program.expect_err("a bad stanza");
        assert!(why.contains(wanted) && !why.contains("hush"), "{stanza}: {why:?}");
    }
}

#[test]
fn declared_plugins_without_auto_register_are_warned_of() {
    let (config, warnings) = read(&format!("{PLAIN}plugin \"secret\" \"kv\" {{}}"));
    assert!(!config.plugins.auto_register);
    let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert_eq!(warning.problem, Problem::NotRegistered);
    assert!(warning.to_string().contains("plugin_auto_register is not set"));
}
