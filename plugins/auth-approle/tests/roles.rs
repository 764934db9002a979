//! Roles and their settings, in process and over the wire. The expected replies are OpenBao
//! 2.7.2's, but where a comment says otherwise.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod support;

use boltwork_auth_approle::Approle;
use boltwork_sdk::{
    Engine,
    logical::{BackendKind, Error, Existence, Operation},
};
use serde_json::{Value, json};
use support::{keys, login, mounts, role, secret};

/// Every path, with a role's name where one belongs.
const PATHS: [&str; 24] = [
    "",
    "role",
    "role/app",
    "role/app/policies",
    "role/app/bound-cidr-list",
    "role/app/secret-id-bound-cidrs",
    "role/app/token-bound-cidrs",
    "role/app/bind-secret-id",
    "role/app/secret-id-num-uses",
    "role/app/secret-id-ttl",
    "role/app/period",
    "role/app/token-num-uses",
    "role/app/token-ttl",
    "role/app/token-max-ttl",
    "role/app/role-id",
    "role/app/local-secret-ids",
    "role/app/secret-id",
    "role/app/custom-secret-id",
    "role/app/secret-id/lookup",
    "role/app/secret-id/destroy",
    "role/app/secret-id-accessor/lookup",
    "role/app/secret-id-accessor/destroy",
    "login",
    "tidy/secret-id",
];

#[test]
fn the_table_has_no_faults() {
    Approle::routes().check().unwrap();
}

#[tokio::test]
async fn it_is_an_auth_method_that_explains_every_path() {
    for mount in mounts().await {
        assert_eq!(mount.backend().kind(), BackendKind::Auth);
        let special = mount.special_paths();
        assert_eq!(special.unauthenticated, ["login"]);
        assert_eq!(special.local_storage, ["secret_id_local/", "accessor_local/"]);
        for path in PATHS {
            assert!(mount.help(path).await.unwrap().str("help").len() > 100, "{path}");
        }
    }
}

#[tokio::test]
async fn a_role_is_created_read_changed_listed_and_deleted() {
    for mount in mounts().await {
        assert!(mount.list("role").await.unwrap().keys().is_empty());
        assert!(mount.write("role/App", json!({})).await.unwrap().is_empty());
        let new = json!({
            "bind_secret_id": true, "local_secret_ids": false, "secret_id_bound_cidrs": null,
            "secret_id_num_uses": 0, "secret_id_ttl": 0, "token_bound_cidrs": [],
            "token_explicit_max_ttl": 0, "token_max_ttl": 0, "token_no_default_policy": false,
            "token_num_uses": 0, "token_period": 0, "token_policies": [],
            "token_strictly_bind_ip": false, "token_ttl": 0, "token_type": "default",
        });
        assert_eq!(mount.read("role/app").await.unwrap().data(), &new);
        let all = json!({
            "bind_secret_id": true, "local_secret_ids": true,
            "secret_id_bound_cidrs": ["127.0.0.0/8", "10.0.0.0/8"], "secret_id_num_uses": "3",
            "secret_id_ttl": "10m", "token_bound_cidrs": "127.0.0.1/32",
            "token_explicit_max_ttl": "1h", "token_max_ttl": "30m",
            "token_no_default_policy": true, "token_num_uses": 4, "token_policies": "p1,P2",
            "token_ttl": "10m", "token_type": "service", "role_id": "my-role",
        });
        mount.write("role/full", all).await.unwrap();
        let mut full = json!({
            "bind_secret_id": true, "local_secret_ids": true,
            "secret_id_bound_cidrs": ["127.0.0.0/8", "10.0.0.0/8"], "secret_id_num_uses": 3,
            "secret_id_ttl": 600, "token_bound_cidrs": ["127.0.0.1"],
            "token_explicit_max_ttl": 3600, "token_max_ttl": 1800,
            "token_no_default_policy": true, "token_num_uses": 4, "token_period": 0,
            "token_policies": ["p1", "P2"], "token_strictly_bind_ip": false, "token_ttl": 600,
            "token_type": "service",
        });
        assert_eq!(mount.read("role/FULL").await.unwrap().data(), &full);
        let change = json!({ "policies": "x,Y", "period": "1m" });
        mount.write("role/full", change).await.unwrap();
        full["policies"] = json!(["x", "y"]);
        full["token_policies"] = json!(["x", "y"]);
        full["period"] = json!(60);
        full["token_period"] = json!(60);
        assert_eq!(mount.read("role/full").await.unwrap().data(), &full);
        assert_eq!(mount.list("role").await.unwrap().keys(), ["app", "full"]);
        let page = mount.request(Operation::List, "role/", json!({ "after": "app", "limit": 1 }));
        assert_eq!(mount.send(page).await.unwrap().keys(), ["full"]);
        for name in ["app", "Full", "full"] {
            assert!(mount.delete(&format!("role/{name}")).await.unwrap().is_empty());
        }
        assert!(mount.read("role/full").await.unwrap().is_empty());
        assert_eq!(mount.storage().keys(), ["salt"]);
    }
}

#[tokio::test]
async fn what_makes_no_role_is_refused_and_changes_nothing() {
    for mount in mounts().await {
        role(&mount, json!({ "token_ttl": "5m" })).await;
        mount.write("role/other", json!({ "role_id": "taken" })).await.unwrap();
        let stored = mount.storage().text("role/app");
        for (fields, error) in [
            (
                json!({ "bind_secret_id": false }),
                Error::internal("at least one constraint should be enabled on the role"),
            ),
            (
                json!({ "secret_id_bound_cidrs": "127.0.0.1" }),
                Error::internal("failed to validate CIDR blocks: invalid CIDR address: 127.0.0.1"),
            ),
            (
                json!({ "secret_id_num_uses": -1 }),
                Error::invalid("secret_id_num_uses cannot be negative"),
            ),
            (
                json!({ "local_secret_ids": true }),
                Error::invalid("local_secret_ids can only be modified during role creation"),
            ),
            (
                json!({ "role_id": "" }),
                Error::invalid("invalid role_id supplied, or failed to generate a role_id"),
            ),
            (json!({ "role_id": "taken" }), Error::internal("role_id already in use")),
            (
                json!({ "token_max_ttl": "1m" }),
                Error::invalid("'token_ttl' cannot be greater than 'token_max_ttl'"),
            ),
            (json!({ "token_type": "x" }), Error::invalid("invalid 'token_type' value \"x\"")),
            (
                json!({ "period": "9999h" }),
                Error::invalid(
                    "period of \"9999h0m0s\" is greater than the backend's maximum lease TTL of \
                     \"768h0m0s\"",
                ),
            ),
        ] {
            let refused = mount.write("role/app", fields.clone()).await.unwrap_err();
            assert_eq!(refused.0, error, "{fields}");
        }
        assert_eq!(mount.storage().text("role/app"), stored);
        let long = format!("role/{}", "n".repeat(4097));
        let asked = mount.request(Operation::Create, &long, json!({}));
        assert_eq!(mount.backend().exists(&asked).await.unwrap(), Existence::Absent);
        let refused = mount.write(&long, json!({})).await.unwrap_err();
        assert_eq!(refused.0, Error::invalid("role_name is longer than maximum of 4096 bytes"));
        let refused = mount.write("role/a@b", json!({})).await.unwrap_err();
        assert_eq!(refused.0, Error::UnsupportedPath);
        // It was there when the server asked whether it exists, and is gone now.
        let late = mount.request(Operation::Update, "role/late", json!({}));
        let message = "role name \"late\" doesn't exist".to_owned();
        assert_eq!(mount.send(late).await.unwrap_err().0, Error::Coded { status: 404, message });
    }
}

#[tokio::test]
async fn a_role_with_odd_settings_is_warned_about() {
    for mount in mounts().await {
        let fields = json!({ "token_type": "default-service", "token_max_ttl": "9999h" });
        let written = mount.write("role/app", fields).await.unwrap();
        assert_eq!(
            written.warnings(),
            [
                "default-service has no useful meaning; adjusting to service",
                "token_max_ttl is greater than the backend mount's maximum TTL value; issued \
                 tokens' max TTL value will be truncated",
            ]
        );
        assert_eq!(mount.read("role/app").await.unwrap()["token_type"], "service");
    }
}

#[tokio::test]
async fn each_setting_is_read_written_and_reset_by_itself() {
    for mount in mounts().await {
        for (path, field, sent, new, set) in [
            ("policies", "token_policies", json!("q,ROOT2"), json!([]), json!(["q", "root2"])),
            // OpenBao shows null under the old name whatever is set.
            (
                "bound-cidr-list",
                "bound_cidr_list",
                json!("10.0.0.0/8"),
                Value::Null,
                json!(["10.0.0.0/8"]),
            ),
            (
                "secret-id-bound-cidrs",
                "secret_id_bound_cidrs",
                json!("11.0.0.0/8"),
                Value::Null,
                json!(["11.0.0.0/8"]),
            ),
            (
                "token-bound-cidrs",
                "token_bound_cidrs",
                json!("12.0.0.1/32"),
                Value::Null,
                json!(["12.0.0.1"]),
            ),
            ("secret-id-num-uses", "secret_id_num_uses", json!("7"), json!(0), json!(7)),
            ("secret-id-ttl", "secret_id_ttl", json!("7m"), json!(0), json!(420)),
            ("period", "token_period", json!("2m"), json!(0), json!(120)),
            ("token-num-uses", "token_num_uses", json!(9), json!(0), json!(9)),
            ("token-ttl", "token_ttl", json!("5m"), json!(0), json!(300)),
            ("token-max-ttl", "token_max_ttl", json!("6m"), json!(0), json!(360)),
        ] {
            role(&mount, json!({})).await;
            let path = format!("role/app/{path}");
            assert_eq!(mount.read(&path).await.unwrap()[field], new, "{path}");
            mount.write(&path, json!({ field: sent })).await.unwrap();
            assert_eq!(mount.read(&path).await.unwrap()[field], set, "{path}");
            mount.delete(&path).await.unwrap();
            assert_eq!(mount.read(&path).await.unwrap()[field], new, "{path}");
            let nowhere = path.replace("app", "none");
            assert!(mount.read(&nowhere).await.unwrap().is_empty());
            assert!(mount.delete(&nowhere).await.unwrap().is_empty());
            let refused = mount.write(&nowhere, json!({ field: sent })).await.unwrap_err();
            assert_eq!(refused.0, Error::UnsupportedPath, "{nowhere}");
        }
    }
}

#[tokio::test]
async fn bind_secret_id_is_set_by_itself_while_something_else_binds() {
    for mount in mounts().await {
        role(&mount, json!({})).await;
        let off = json!({ "bind_secret_id": "false" });
        let refused = mount.write("role/app/bind-secret-id", off.clone()).await.unwrap_err();
        let text = "at least one constraint should be enabled on the role";
        assert_eq!(refused.0, Error::internal(text));
        mount.write("role/app", json!({ "bound_cidr_list": "127.0.0.0/8" })).await.unwrap();
        mount.write("role/app/bind-secret-id", off).await.unwrap();
        assert_eq!(mount.read("role/app/bind-secret-id").await.unwrap()["bind_secret_id"], false);
        login(&mount, "app", "").await.unwrap();
        mount.delete("role/app/bind-secret-id").await.unwrap();
        assert_eq!(mount.read("role/app/bind-secret-id").await.unwrap()["bind_secret_id"], true);
    }
}

#[tokio::test]
async fn a_setting_that_cannot_be_is_refused() {
    for mount in mounts().await {
        role(&mount, json!({ "token_ttl": "5m", "token_max_ttl": "6m" })).await;
        for (path, fields, text) in [
            ("policies", json!({}), "missing token_policies"),
            ("bind-secret-id", json!({}), "missing bind_secret_id"),
            ("secret-id-num-uses", json!({}), "missing secret_id_num_uses"),
            ("secret-id-ttl", json!({}), "missing secret_id_ttl"),
            ("period", json!({}), "missing period"),
            ("token-num-uses", json!({}), "missing token_num_uses"),
            ("token-ttl", json!({}), "missing token_ttl"),
            ("token-max-ttl", json!({}), "missing token_max_ttl"),
            ("role-id", json!({}), "missing role_id"),
            ("role-id", json!({ "role_id": "" }), "missing role_id"),
            ("bound-cidr-list", json!({ "bound_cidr_list": "" }), "missing bound_cidr_list"),
            (
                "secret-id-bound-cidrs",
                json!({ "secret_id_bound_cidrs": "junk" }),
                "failed to validate CIDR blocks: invalid CIDR address: junk",
            ),
            (
                "token-bound-cidrs",
                json!({ "token_bound_cidrs": "junk" }),
                "failed to parse token_bound_cidrs: error parsing address \"junk\": Unable to \
                 convert \"junk\" to an IPv4 or IPv6 address, or a UNIX Socket",
            ),
            (
                "secret-id-num-uses",
                json!({ "secret_id_num_uses": -1 }),
                "secret_id_num_uses cannot be negative",
            ),
            // OpenBao takes it here and nowhere else.
            (
                "token-num-uses",
                json!({ "token_num_uses": -1 }),
                "'token_num_uses' cannot be negative",
            ),
            (
                "token-ttl",
                json!({ "token_ttl": "9m" }),
                "token_ttl should not be greater than token_max_ttl",
            ),
            (
                "token-max-ttl",
                json!({ "token_max_ttl": "1m" }),
                "token_max_ttl should be greater than or equal to token_ttl",
            ),
        ] {
            let refused = mount.write(&format!("role/app/{path}"), fields.clone()).await;
            assert_eq!(refused.unwrap_err().0, Error::invalid(text), "{path} {fields}");
        }
        let refused = mount.write("role/app/local-secret-ids", json!({})).await.unwrap_err();
        assert_eq!(refused.0, Error::UnsupportedOperation);
    }
}

#[tokio::test]
async fn a_role_id_is_chosen_and_the_old_one_forgotten() {
    for mount in mounts().await {
        mount.write("role/app", json!({})).await.unwrap();
        let old = mount.read("role/app/role-id").await.unwrap().str("role_id").to_owned();
        assert_eq!(old.len(), 36);
        let (id, _) = secret(&mount, json!({})).await;
        mount.write("role/app/role-id", json!({ "role_id": "mine" })).await.unwrap();
        assert!(login(&mount, &old, &id).await.is_err());
        login(&mount, "mine", &id).await.unwrap();
        assert_eq!(keys(&mount, "role_id/").len(), 1);
        mount.write("role/other", json!({})).await.unwrap();
        let refused = mount.write("role/other/role-id", json!({ "role_id": "mine" })).await;
        assert_eq!(refused.unwrap_err().0, Error::internal("role_id already in use"));
        login(&mount, "mine", &id).await.unwrap();
    }
}

#[tokio::test]
async fn with_a_role_go_all_its_secret_ids() {
    for mount in mounts().await {
        role(&mount, json!({})).await;
        let (id, _) = secret(&mount, json!({})).await;
        for _ in 0..5 {
            secret(&mount, json!({ "num_uses": 2 })).await;
        }
        mount.delete("role/app").await.unwrap();
        assert_eq!(mount.storage().keys(), ["salt"]);
        role(&mount, json!({})).await;
        let refused = login(&mount, "app", &id).await.unwrap_err();
        assert_eq!(refused.0, Error::invalid("invalid role or secret ID"));
    }
}

#[tokio::test]
async fn a_deletion_that_was_interrupted_is_finished_by_tidying() {
    for mount in mounts().await {
        role(&mount, json!({})).await;
        secret(&mount, json!({})).await;
        secret(&mount, json!({})).await;
        // Note, role id, role, the commit; then the first secret id's accessor.
        mount.storage().fail_write(5);
        mount.delete("role/app").await.unwrap();
        assert!(mount.read("role/app").await.unwrap().is_empty());
        assert!(!keys(&mount, "gone/").is_empty() && !keys(&mount, "secret_id/").is_empty());
        mount.rollback(false).await.unwrap();
        assert_eq!(mount.storage().keys(), ["salt"]);
    }
}

#[tokio::test]
async fn a_write_that_fails_half_way_leaves_the_old_role() {
    for mount in mounts().await {
        role(&mount, json!({})).await;
        for nth in 1..=4 {
            mount.storage().fail_write(nth);
            mount.write("role/app/role-id", json!({ "role_id": "new" })).await.unwrap_err();
            assert_eq!(mount.read("role/app/role-id").await.unwrap()["role_id"], "app", "{nth}");
            assert_eq!(keys(&mount, "role_id/").len(), 1, "{nth}");
        }
    }
}
