//! How an older plugin comes to trust the listener that it fetches its certificate from, and what is
//! said when it does not: TLS of ours, with and without client certificates.
//!
//! Left out on purpose: what else a listener's TLS can do.

use crate::{behind_script, internal};
use boltwork_e2e::{Authority, Plugin, Scratch, Server, Setup, free_port, tools};
use serde_json::json;
use std::fs;
use std::path::Path;

/// A server whose `api_addr` is a listener with TLS, and the files of its authority.
struct Scene {
    server: Server,
    files: Scratch,
    address: String,
}

impl Scene {
    /// The listener's certificate is for this name. `more` is added to the listener.
    fn new(name: &str, more: impl Fn(&Path) -> String) -> Option<Self> {
        let (files, authority) = (Scratch::new(), Authority::new("the test's authority"));
        files.folder("authorities");
        let (certificate, key) = authority.server(&[name]);
        let (client, client_key) = authority.client("plugin");
        let path = files.path();
        for (name, text) in [
            ("server.pem", certificate.as_str()),
            ("server.key", key.as_str()),
            ("client.pem", client.as_str()),
            ("client.key", client_key.as_str()),
            ("stranger.pem", Authority::new("a stranger").pem()),
            ("authorities/ca.pem", authority.pem()),
        ] {
            fs::write(path.join(name), text).expect("a file of the authority");
        }
        let port = free_port();
        let lines = format!(
            "listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  tls_cert_file = \"{0}/server.pem\"\n  \
             tls_key_file = \"{0}/server.key\"\n  {1}\n}}\n",
            path.display(),
            more(path)
        );
        let address = format!("https://127.0.0.1:{port}");
        let setup = Setup { lines, api_addr: Some(address.clone()), ..Setup::default() };
        let server = setup.start()?;
        if server.is_bao() {
            tools::skip("OpenBao tries no plugin when it is registered");
            return None;
        }
        Some(Self { server, files, address })
    }

    /// An argument that names a file of the authority.
    fn file(&self, flag: &str, name: &str) -> String {
        format!("{flag}={}", self.files.path().join(name).display())
    }

    fn ca_cert(&self) -> String {
        self.file("-ca-cert", "authorities/ca.pem")
    }

    /// It is not registered, the address is named, and so are these.
    #[track_caller]
    fn refused(&self, plugin: &Plugin, args: &[&str], named: &[&str]) {
        let plugin = with(plugin, args);
        let said = plugin.register(&self.server.api()).status(400).errors();
        for part in named.iter().copied().chain([self.address.as_str()]) {
            assert!(said.contains(part), "{args:?}: no {part:?} in {said}");
        }
        self.server.api().read(&plugin.catalog_path()).status(404);
        self.server.expect_plugins(0);
    }

    /// It is registered, and answers.
    #[track_caller]
    fn taken(&self, plugin: &Plugin, args: &[&str]) {
        let api = self.server.api();
        let plugin = with(plugin, args);
        self.server.run(&plugin, "old");
        if plugin.name == "mock" {
            assert_eq!(internal(&api, "old"), "bar");
        } else {
            api.write("old/key", &json!({"value": "x"})).status(204);
        }
        self.server.expect_plugins(1);
        api.delete("sys/mounts/old").status(204);
        plugin.deregister(&api).status(204);
    }

    /// Our kv engine, and the Go mock if it is there.
    fn plugins(&self) -> Vec<Plugin> {
        let ours = behind_script(&self.server, &tools::our_kv(), "ours", "");
        let mock = tools::mock().map(|program| behind_script(&self.server, &program, "mock", ""));
        let mock = mock.map(|plugin| plugin.args(&["-serve=v4"]));
        [ours].into_iter().chain(mock).collect()
    }
}

/// With more arguments.
fn with(plugin: &Plugin, args: &[&str]) -> Plugin {
    let all: Vec<&str> =
        plugin.args.iter().map(String::as_str).chain(args.iter().copied()).collect();
    plugin.args(&all)
}

#[test]
fn an_older_plugin_is_told_how_to_trust_the_listener_and_is_refused_if_it_does_not() {
    let Some(scene) = Scene::new("127.0.0.1", |_| String::new()) else { return };
    let stranger = scene.file("-ca-cert", "stranger.pem");
    for plugin in scene.plugins() {
        scene.refused(&plugin, &[], &["it does not trust the server's certificate", "-ca-cert"]);
        scene.refused(&plugin, &[&stranger], &["it does not trust the server's certificate"]);
        scene.refused(&plugin, &["-ca-cert=/nowhere.pem"], &["/nowhere.pem"]);
        scene.taken(&plugin, &[&scene.ca_cert()]);
        scene.taken(&plugin, &[&scene.file("-ca-path", "authorities")]);
        scene.taken(&plugin, &["-tls-skip-verify"]);
        let variable = scene.file("VAULT_CACERT", "authorities/ca.pem");
        scene.taken(&plugin.env(&[&variable]), &[]);
    }
}

#[test]
fn a_listener_that_demands_client_certificates_and_has_another_name_is_reached_with_arguments() {
    let client_ca = |files: &Path| {
        format!(
            "tls_require_and_verify_client_cert = true\n  tls_client_ca_file = \"{}\"",
            files.join("authorities/ca.pem").display()
        )
    };
    let Some(scene) = Scene::new("vault.test", client_ca) else { return };
    let (trust, name) = (scene.ca_cert(), "-tls-server-name=vault.test");
    let certificate = scene.file("-client-cert", "client.pem");
    let key = scene.file("-client-key", "client.key");
    for plugin in scene.plugins() {
        scene.refused(&plugin, &[&trust, &certificate, &key], &["-tls-server-name"]);
        scene.refused(&plugin, &[&trust, name], &["-client-cert"]);
        scene.refused(&plugin, &["-tls-skip-verify"], &["-client-cert"]);
        scene.taken(&plugin, &[&trust, name, &certificate, &key]);
        scene.taken(&plugin, &["-tls-skip-verify", &certificate, &key]);
    }
}
