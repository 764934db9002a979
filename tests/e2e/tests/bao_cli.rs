//! OpenBao's own command line, unmodified, drives the server from its initialization on.
//!
//! Left out on purpose: our own command line, whose crate tests it.

use boltwork_e2e::{Kind, Plugin, Server, Setup, tools, wait_for};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// The command line with the address and, if there is one, the token of a server.
struct Cli<'a> {
    program: PathBuf,
    server: &'a Server,
    token: String,
}

/// How a command ended.
struct Ended {
    command: String,
    code: i32,
    stdout: String,
    stderr: String,
}

impl Cli<'_> {
    fn run(&self, arguments: &[&str]) -> Ended {
        let output = Command::new(&self.program)
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.server.folder().join("home"))
            .env("BAO_ADDR", self.server.url())
            .env("BAO_TOKEN", &self.token)
            .env("BAO_MAX_RETRIES", "0")
            .output()
            .expect("the command line runs");
        Ended {
            command: arguments.join(" "),
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs a command that must succeed and say this.
    #[track_caller]
    fn says(&self, arguments: &[&str], text: &str) -> String {
        let ended = self.run(arguments).code(0);
        assert!(
            ended.stdout.contains(text),
            "`{}` does not say {text:?}: {}",
            ended.command,
            ended.stdout
        );
        ended.stdout
    }

    /// Runs a command with `-format=json`, which must succeed.
    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        let mut words = arguments.to_vec();
        let at = words
            .iter()
            .position(|word| word.starts_with('-'))
            .unwrap_or(words.len().min(verbs(&words)));
        words.insert(at, "-format=json");
        let ended = self.run(&words).code(0);
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| {
            panic!("`{}` printed no JSON ({error}): {}", ended.command, ended.stdout)
        })
    }
}

/// How many of the words are the command itself: flags stand behind them.
fn verbs(words: &[&str]) -> usize {
    match words[0] {
        "status" | "read" | "write" | "list" | "delete" => 1,
        _ => 2,
    }
}

impl Ended {
    #[track_caller]
    fn code(self, wanted: i32) -> Self {
        assert_eq!(self.code, wanted, "`{}`: {}{}", self.command, self.stdout, self.stderr);
        self
    }
}

fn unsealed(server: &Server) -> Option<Cli<'_>> {
    Some(Cli { program: tools::bao()?, server, token: server.token().to_owned() })
}

#[test]
fn bao_cli_initializes_and_unseals() {
    let Some(program) = tools::bao() else { return };
    let Some(server) = Setup::default().start_bare() else { return };
    let mut cli = Cli { program, server: &server, token: String::new() };
    assert_eq!(cli.run(&["operator", "init", "-status"]).code, 2, "not initialized");
    assert_eq!(cli.run(&["status"]).code, 2, "sealed");
    let made = cli.json(&["operator", "init", "-key-shares=3", "-key-threshold=2"]);
    let keys: Vec<&str> = made["unseal_keys_b64"]
        .as_array()
        .expect("keys")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(keys.len(), 3);
    cli.run(&["operator", "init", "-status"]).code(0);
    let progress = cli.json(&["operator", "unseal", keys[0]]);
    assert_eq!((&progress["progress"], &progress["sealed"]), (&1.into(), &true.into()));
    let reset = cli.json(&["operator", "unseal", "-reset"]);
    assert_eq!(reset["progress"], 0);
    for key in &keys[1..] {
        cli.run(&["operator", "unseal", key]).code(0);
    }
    wait_for("the server is active", || (cli.run(&["status"]).code == 0).then_some(()));
    cli.token = made["root_token"].as_str().expect("a root token").to_owned();
    cli.says(&["token", "lookup"], "root");
    cli.says(&["operator", "seal"], "Success! Vault is sealed.");
    assert_eq!(cli.run(&["status"]).code, 2);
}

#[test]
fn bao_cli_handles_mounts() {
    let Some(server) = Server::memory() else { return };
    let Some(cli) = unsealed(&server) else { return };
    cli.says(
        &["secrets", "enable", "-path=one", "-description=The first", "kv"],
        "Success! Enabled the kv secrets engine at: one/",
    );
    cli.says(&["secrets", "list"], "The first");
    let list = cli.json(&["secrets", "list", "-detailed"]);
    assert_eq!(list["one/"]["type"], "kv");
    cli.says(
        &["secrets", "tune", "-default-lease-ttl=1h", "-description=Still the first", "one/"],
        "Success! Tuned the secrets engine at: one/",
    );
    let tuned = cli.json(&["read", "sys/mounts/one/tune"]);
    assert_eq!(tuned["data"]["default_lease_ttl"], 3600);
    cli.run(&["write", "one/a", "x=1"]).code(0);
    cli.says(&["secrets", "move", "one/", "two/"], "two/");
    wait_for("the mount has moved", || (cli.run(&["read", "two/a"]).code == 0).then_some(()));
    cli.says(&["read", "-field=x", "two/a"], "1");
    cli.says(
        &["secrets", "disable", "two/"],
        "Success! Disabled the secrets engine (if it existed) at: two/",
    );
    assert_eq!(cli.run(&["read", "two/a"]).code, 2);
    cli.says(&["auth", "list"], "token/");
}

#[test]
fn bao_cli_reads_and_writes_kv() {
    let Some(server) = Server::memory() else { return };
    let Some(cli) = unsealed(&server) else { return };
    cli.run(&["secrets", "enable", "-path=v1", "-version=1", "kv"]).code(0);
    cli.run(&["secrets", "enable", "-path=v2", "-version=2", "kv"]).code(0);
    wait_for("version 2 is ready", || (cli.run(&["read", "v2/config"]).code == 0).then_some(()));
    cli.says(&["kv", "put", "v1/a", "x=1", "y=2"], "Success! Data written to: v1/a");
    cli.says(&["kv", "get", "-field=y", "v1/a"], "2");
    cli.says(&["kv", "put", "-mount=v2", "a", "x=1"], "created_time");
    cli.says(&["kv", "put", "v2/a", "x=2"], "version");
    cli.says(&["kv", "patch", "v2/a", "z=3"], "version");
    let found = cli.json(&["kv", "get", "v2/a"]);
    assert_eq!(found["data"]["data"], serde_json::json!({"x": "2", "z": "3"}));
    assert_eq!(found["data"]["metadata"]["version"], 3);
    cli.says(&["kv", "get", "-version=1", "-field=x", "v2/a"], "1");
    cli.says(&["kv", "list", "v2/"], "a");
    cli.says(&["kv", "rollback", "-version=1", "v2/a"], "version");
    cli.says(&["kv", "delete", "v2/a"], "Success! Data deleted (if it existed) at: v2/data/a");
    cli.says(&["kv", "undelete", "-versions=4", "v2/a"], "Success! Data written to: v2/undelete/a");
    cli.says(&["kv", "destroy", "-versions=1", "v2/a"], "Success! Data written to: v2/destroy/a");
    cli.says(
        &["kv", "metadata", "put", "-custom-metadata=owner=me", "v2/a"],
        "Success! Data written to: v2/metadata/a",
    );
    cli.says(&["kv", "metadata", "get", "v2/a"], "owner");
    cli.says(
        &["kv", "metadata", "delete", "v2/a"],
        "Success! Data deleted (if it existed) at: v2/metadata/a",
    );
    assert_eq!(cli.run(&["kv", "get", "v2/a"]).code, 2);
    cli.says(&["write", "v1/b", "x=1"], "Success! Data written to: v1/b");
    cli.says(&["list", "v1/"], "b");
    cli.says(&["delete", "v1/b"], "Success! Data deleted (if it existed) at: v1/b");
}

#[test]
fn bao_cli_handles_policies_and_tokens() {
    let Some(server) = Server::memory() else { return };
    let Some(mut cli) = unsealed(&server) else { return };
    cli.run(&["secrets", "enable", "-path=kv", "kv"]).code(0);
    cli.run(&["write", "kv/open", "x=1"]).code(0);
    let file = server.folder().join("reader.hcl");
    std::fs::write(&file, "path \"kv/open\" {\n  capabilities = [\"read\"]\n}\n")
        .expect("the policy is written");
    cli.says(
        &["policy", "write", "reader", &file.display().to_string()],
        "Success! Uploaded policy: reader",
    );
    cli.says(&["policy", "list"], "reader");
    cli.says(&["policy", "read", "reader"], "kv/open");
    let made = cli.json(&["token", "create", "-policy=reader", "-ttl=1h", "-renewable=true"]);
    let token = made["auth"]["client_token"].as_str().expect("a token").to_owned();
    cli.says(&["token", "capabilities", &token, "kv/open"], "read");
    cli.says(&["token", "lookup", &token], "reader");
    let renewed = cli.json(&["token", "renew", "-increment=2h", &token]);
    assert_eq!(renewed["auth"]["client_token"].as_str(), Some(token.as_str()));
    let root = std::mem::replace(&mut cli.token, token.clone());
    cli.says(&["read", "-field=x", "kv/open"], "1");
    let denied = cli.run(&["write", "kv/open", "x=2"]).code(2);
    assert!(denied.stderr.contains("permission denied"), "{}", denied.stderr);
    cli.token = root;
    cli.says(&["token", "revoke", &token], "Success! Revoked token (if it existed)");
    assert_eq!(cli.run(&["token", "lookup", &token]).code, 2);
    cli.says(&["policy", "delete", "reader"], "Success! Deleted policy: reader");
    assert_eq!(cli.run(&["policy", "read", "reader"]).code, 2);
}

fn drive_catalog(server: &Server, plugin: &Plugin, version: &str) {
    let Some(cli) = unsealed(server) else { return };
    let sha = format!("-sha256={}", plugin.sha256);
    cli.says(
        &[
            "plugin",
            "register",
            &sha,
            &format!("-command={}", plugin.command),
            "secret",
            &plugin.name,
        ],
        &format!("Success! Registered plugin: {}", plugin.name),
    );
    cli.says(&["plugin", "list", "secret"], &plugin.name);
    let asked = format!("-version={version}");
    let mut info = vec!["plugin", "info"];
    if !version.is_empty() {
        info.push(&asked);
    }
    info.extend(["secret", &plugin.name]);
    cli.says(&info, &plugin.sha256);
    cli.says(
        &["secrets", "enable", "-path=external", &plugin.name],
        &format!("Success! Enabled the {} secrets engine at: external/", plugin.name),
    );
    server.expect_plugins(1);
    cli.says(
        &["plugin", "reload", "-plugin", &plugin.name],
        &format!("Success! Reloaded plugin: {}", plugin.name),
    );
    cli.says(
        &["plugin", "reload", "-mounts", "external/"],
        "Success! Reloaded mounts: [external/]",
    );
    server.expect_plugins(1);
    cli.says(&["secrets", "disable", "external/"], "Success!");
    server.expect_plugins(0);
    let mut deregister = info.clone();
    deregister[1] = "deregister";
    cli.says(
        &deregister,
        &format!("Success! Deregistered plugin (if it was registered): {}", plugin.name),
    );
    info[1] = "info";
    assert_eq!(cli.run(&info).code, 2);
}

#[test]
fn bao_cli_handles_the_catalog_with_a_go_plugin() {
    let Some(program) = tools::mock() else { return };
    let Some(server) = Server::memory() else { return };
    let plugin = server.install(&program, "mock");
    drive_catalog(&server, &plugin, "v0.0.0+mock");
}

#[test]
fn bao_cli_handles_the_catalog_with_our_plugin() {
    if Kind::under_test() == Kind::Bao {
        return tools::skip("kv under OpenBao is tested in kv.rs");
    }
    let Some(server) = Server::memory() else { return };
    let plugin = server.install(&tools::our_kv(), "our-kv");
    plugin.register(&server.api()).status(204);
    let found = server.api().read("sys/plugins/catalog").ok().data();
    let entry = found["detailed"]
        .as_array()
        .and_then(|list| list.iter().find(|entry| entry["name"] == "our-kv"))
        .cloned();
    let version = entry.expect("it is listed")["version"].as_str().unwrap_or_default().to_owned();
    drive_catalog(&server, &plugin, &version);
}
