//! Secrets engines of other people.
//!
//! Left out on purpose: engines whose other side cannot be had here, such as those of clouds.

use crate::directory::Directory;
use crate::kubernetes::{ADMINISTRATOR, Cluster};
use crate::life::{Foreign, Scenario, lead};
use boltwork_e2e::{Api, wait_for};
use serde_json::json;
use std::collections::BTreeSet;

/// HashiCorp's kv, made one of version 2 by a tune.
struct Kv;

impl Scenario for Kv {
    fn configure(&self, api: &Api, at: &str) {
        api.write(&format!("{at}/before"), &json!({"x": at})).status(204);
        assert_eq!(api.list(at).ok().data()["keys"], json!(["before"]));
        api.write(&format!("sys/mounts/{at}/tune"), &json!({"options": {"version": "2"}})).ok();
        wait_for("version 2 is ready", || {
            (api.read(&format!("{at}/config")).status == 200).then_some(())
        });
    }

    fn works(&self, api: &Api, at: &str) {
        // After a start of its own it looks for an upgrade to do, and refuses until it has.
        wait_for("version 2 is ready", || {
            (api.read(&format!("{at}/config")).status == 200).then_some(())
        });
        let data = format!("{at}/data/secret");
        let before = api.read(&data).data()["metadata"]["version"].as_u64().unwrap_or(0);
        let written = api.write(&data, &json!({"data": {"n": before, "at": at}})).ok().data();
        assert_eq!(written["version"], before + 1);
        let read = api.read(&data).ok().data();
        assert_eq!(read["data"], json!({"n": before, "at": at}));
        if before > 0 {
            let old = api.read(&format!("{data}?version={before}")).ok().data();
            assert_eq!(old["data"]["n"], before - 1);
        }
        assert_eq!(api.read(&format!("{at}/data/before")).ok().data()["data"]["x"], at);
        let keys = api.list(&format!("{at}/metadata/")).ok().data()["keys"].clone();
        assert_eq!(keys, json!(["before", "secret"]));
    }
}

#[test]
fn vault_plugin_secrets_kv() {
    let foreign = Foreign {
        plugin: "vault-plugin-secrets-kv@v0.25.0",
        kind: "secret",
        scenario: "version 1, its upgrade to version 2, versions of a secret",
        env: &[],
    };
    lead(&foreign, &Kv);
}

#[test]
fn vault_plugin_secrets_kv_of_2020() {
    let foreign = Foreign {
        plugin: "vault-plugin-secrets-kv@v0.5.5",
        kind: "secret",
        scenario: "the same, over the protocol of before Vault 1.12",
        env: &[],
    };
    lead(&foreign, &Kv);
}

struct Kubernetes(Cluster);

impl Scenario for Kubernetes {
    fn configure(&self, api: &Api, at: &str) {
        let config = json!({
            "kubernetes_host": self.0.url(), "service_account_jwt": ADMINISTRATOR,
            "disable_local_ca_jwt": true,
        });
        api.write(&format!("{at}/config"), &config).ok();
        let role = json!({
            "allowed_kubernetes_namespaces": ["apps"], "kubernetes_role_name": "reader",
            "token_default_ttl": "10m",
        });
        api.write(&format!("{at}/roles/worker"), &role).ok();
    }

    fn works(&self, api: &Api, at: &str) {
        let made =
            api.write(&format!("{at}/creds/worker"), &json!({"kubernetes_namespace": "apps"})).ok();
        let account = made.string("service_account_name");
        assert_eq!(made.string("service_account_token").split('.').count(), 3);
        let lease = made.json()["lease_id"].as_str().expect("a lease").to_owned();
        assert!(lease.starts_with(&format!("{at}/creds/worker/")), "{lease}");
        assert!(self.0.has(&format!("serviceaccounts/{account}")));
        assert!(self.0.has(&format!("rolebindings/{account}")));
        api.write("sys/leases/revoke", &json!({"lease_id": lease, "sync": true})).status(204);
        assert!(!self.0.has(&format!("rolebindings/{account}")), "a revoked lease leaves nothing");
        api.write(&format!("{at}/creds/worker"), &json!({"kubernetes_namespace": "system"}))
            .refused(&["not present in role's allowed_kubernetes_namespaces"]);
    }
}

#[test]
fn vault_plugin_secrets_kubernetes() {
    let foreign = Foreign {
        plugin: "vault-plugin-secrets-kubernetes@v0.12.0",
        kind: "secret",
        scenario: "a leased service account in a stand-in of a cluster, gone when revoked",
        env: &[],
    };
    lead(&foreign, &Kubernetes(Cluster::start()));
}

impl Scenario for Directory {
    fn configure(&self, api: &Api, at: &str) {
        let (binddn, bindpass) = self.administrator();
        let config = json!({
            "binddn": binddn, "bindpass": bindpass, "url": self.url(), "userattr": "cn",
            "userdn": self.people(),
        });
        api.write(&format!("{at}/config"), &config).ok();
        let person = self.person(at);
        let role = json!({"dn": person, "username": at, "rotation_period": "24h"});
        api.write(&format!("{at}/static-role/person"), &role).ok();
        let people = self.people();
        let dynamic = json!({
            "creation_ldif": format!(
                "dn: cn={{{{.Username}}}},{people}\nobjectClass: person\n\
                 cn: {{{{.Username}}}}\nsn: guest\nuserPassword: {{{{.Password}}}}\n"),
            "deletion_ldif": format!("dn: cn={{{{.Username}}}},{people}\nchangetype: delete\n"),
            "default_ttl": "1h", "max_ttl": "2h",
        });
        api.write(&format!("{at}/role/guest"), &dynamic).ok();
    }

    fn works(&self, api: &Api, at: &str) {
        let path = format!("{at}/static-cred/person");
        let before = api.read(&path).ok();
        assert!(self.binds(&before.string("dn"), &before.string("password")));
        api.write(&format!("{at}/rotate-role/person"), &json!({})).ok();
        let after = api.read(&path).ok();
        assert!(self.binds(&after.string("dn"), &after.string("password")));
        assert!(!self.binds(&before.string("dn"), &before.string("password")));
        let made = api.read(&format!("{at}/creds/guest")).ok();
        let names: BTreeSet<String> = made.data()["distinguished_names"]
            .as_array()
            .expect("a list of names")
            .iter()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect();
        let guest = names.first().expect("one name");
        assert!(self.binds(guest, &made.string("password")));
        let lease = made.json()["lease_id"].as_str().expect("a lease").to_owned();
        api.write("sys/leases/revoke", &json!({"lease_id": lease, "sync": true})).status(204);
        assert!(!self.binds(guest, &made.string("password")), "a revoked lease leaves nobody");
    }
}

#[test]
fn vault_plugin_secrets_openldap() {
    let Some(directory) = Directory::start() else { return };
    let foreign = Foreign {
        plugin: "vault-plugin-secrets-openldap@v0.17.0",
        kind: "secret",
        scenario: "a password rotated and a leased entry made in a real `slapd`",
        env: &[],
    };
    lead(&foreign, &directory);
}
