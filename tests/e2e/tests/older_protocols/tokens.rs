//! What becomes of a start whose wrapping token is not good any more: it fails, says why, and the
//! audit log has an entry for the refused attempt.
//!
//! Left out on purpose: wrapping tokens of people.

use crate::behind_script;
use boltwork_e2e::{Answer, Api, Call, Plugin, Server, Setup, tools, wait_for};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// What happens to the token between server and plugin: a word in a file, and what the refusal is.
const FAULTS: [(&str, &str); 3] = [
    ("stolen", "it was unwrapped already"),
    ("expired", "it has expired"),
    ("tampered", "signature could not be validated"),
];

/// A server with an audit log, and a plugin whose token suffers what a file says.
struct Scene {
    server: Server,
    api: Api,
    plugin: Plugin,
    fault: PathBuf,
    /// Where something is written once the plugin runs.
    key: &'static str,
}

impl Scene {
    fn new(program: &Path, args: &[&str], key: &'static str) -> Option<Self> {
        let server = Setup::default().start()?;
        if server.is_bao() {
            tools::skip("OpenBao wants audit devices in its configuration");
            return None;
        }
        let api = server.api();
        let file = server.folder().join("audit.log").display().to_string();
        api.write("sys/audit/file", &json!({"type": "file", "options": {"file_path": file}}))
            .status(204);
        let fault = server.folder().join("fault");
        let expired = server.folder().join("expired");
        fs::write(&expired, expired_token(&api) + "\n").expect("the token is written");
        let lines = lines(&server, &fault, &expired);
        let plugin = behind_script(&server, program, "old", &lines).args(args);
        Some(Self { server, api, plugin, fault, key })
    }

    fn go_bad(&self, fault: &str) {
        fs::write(&self.fault, format!("{fault}\n")).expect("the fault is switched on");
    }

    fn go_good(&self) {
        fs::remove_file(&self.fault).expect("the fault is switched off");
    }

    fn ask(&self) -> Answer {
        self.api.write(&format!("old/{}", self.key), &json!({"value": "x"}))
    }

    /// What the audit log has of tokens that were to be unwrapped: for each entry its error.
    fn unwraps(&self) -> Vec<(Value, Value)> {
        let text = fs::read_to_string(self.server.folder().join("audit.log")).expect("a log");
        let entries = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        entries
            .filter(|entry| entry["request"]["path"] == "sys/wrapping/unwrap")
            .map(|entry| (entry["type"].clone(), entry["error"].clone()))
            .collect()
    }

    /// A start fails with this reason, and the audit log has one refused attempt more: what was
    /// asked, and what was answered.
    #[track_caller]
    fn refused(&self, start: impl Fn(&Self) -> Answer, reason: &str) {
        let before = self.unwraps().len();
        let said = start(self).refused(&[reason]).errors();
        assert!(said.contains("\"old\""), "the plugin is not named: {said}");
        let found = self.unwraps().split_off(before);
        for kind in ["request", "response"] {
            let told = |(of, error): &&(Value, Value)| {
                of == kind && error.as_str().is_some_and(|error| error.contains(reason))
            };
            assert_eq!(found.iter().filter(told).count(), 1, "{kind} of {reason:?}: {found:?}");
        }
        self.server.expect_plugins(0);
    }
}

/// A token in JWT format whose second is over. The server still knows the signature as its own.
fn expired_token(api: &Api) -> String {
    let wrap = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let call = Call {
        method: "POST".into(),
        target: "/v1/sys/wrapping/wrap".into(),
        headers: vec![wrap("X-Vault-Wrap-TTL", "1s"), wrap("X-Vault-Wrap-Format", "jwt")],
        body: Some(json!({"ServerCert": "", "ServerKey": ""}).to_string().into_bytes()),
    };
    let made = api.send(&call).ok().json();
    let token = made["wrap_info"]["token"].as_str().expect("a token").to_owned();
    wait_for("the token expires", || {
        let answer = api.write("sys/wrapping/lookup", &json!({"token": token}));
        answer.errors().contains("it has expired").then_some(())
    });
    token
}

/// What the script does to the token before the plugin runs.
fn lines(server: &Server, fault: &Path, expired: &Path) -> String {
    let (fault, expired) = (fault.display(), expired.display());
    let (boltwork, url) = (tools::boltwork().display().to_string(), server.url());
    format!(
        "token=$VAULT_UNWRAP_TOKEN\n\
         if [ -n \"$token\" ] && [ -e '{fault}' ]; then\n\
         read -r what < '{fault}'\n\
         case $what in\n\
         stolen) VAULT_ADDR={url} '{boltwork}' unwrap \"$token\" >/dev/null 2>&1 || exit 3 ;;\n\
         expired) read -r token < '{expired}' ;;\n\
         tampered) case $token in *A) token=${{token%?}}B ;; *) token=${{token%?}}A ;; esac ;;\n\
         esac\n\
         export VAULT_UNWRAP_TOKEN=\"$token\" BAO_UNWRAP_TOKEN=\"$token\"\n\
         fi"
    )
}

fn is_refused_with_its_reason(scene: &Scene) {
    for (fault, reason) in FAULTS {
        scene.go_bad(fault);
        scene.refused(|scene| scene.plugin.register(&scene.api), reason);
        scene.go_good();
    }
    scene.server.run(&scene.plugin, "old");
    for (fault, reason) in FAULTS {
        // No process, and no pause after a start that failed.
        scene.api.write("sys/plugins/reload/backend", &json!({"mounts": ["old"]})).ok();
        scene.server.expect_plugins(0);
        scene.go_bad(fault);
        scene.refused(Scene::ask, reason);
        scene.go_good();
        wait_for("the plugin starts with a good token", || scene.ask().succeeded().then_some(()));
    }
    // Whoever stole a token is in the log too, and no token is.
    let stolen = scene.unwraps().into_iter().filter(|(_, error)| error.is_null()).count();
    assert!(stolen >= 4, "two thefts, each asked and answered: {:?}", scene.unwraps());
    let log = fs::read_to_string(scene.server.folder().join("audit.log")).expect("a log");
    let expired = fs::read_to_string(scene.server.folder().join("expired")).expect("a token");
    assert!(!log.contains(expired.trim()), "a token stands in the audit log");
}

#[test]
fn a_token_used_expired_or_tampered_with_fails_the_start_of_our_plugin_with_that_reason() {
    let Some(scene) = Scene::new(&tools::our_kv(), &[], "key") else { return };
    is_refused_with_its_reason(&scene);
}

#[test]
fn a_token_used_expired_or_tampered_with_fails_the_start_of_a_go_plugin_with_that_reason() {
    let Some(mock) = tools::mock() else { return };
    let Some(scene) = Scene::new(&mock, &["-serve=v4"], "kv/key") else { return };
    is_refused_with_its_reason(&scene);
}
