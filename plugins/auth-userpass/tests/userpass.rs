//! What the method answers, in process and over the wire. The expected replies are OpenBao 2.7.2's.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{sync::Arc, time::Duration};

use boltwork_auth_userpass::Userpass;
use boltwork_sdk::{
    Engine,
    logical::{BackendKind, Connection, Error, Operation, TokenType},
};
use boltwork_sdk_test::{Answer, Mount, Refused, both};
use serde_json::{Value, json};

async fn mounts() -> [Mount; 2] {
    both(|| Userpass).await
}

/// Logs in from an address.
async fn login_from(
    mount: &Mount,
    name: &str,
    password: &str,
    from: &str,
) -> Result<Answer, Refused> {
    let path = format!("login/{name}");
    let mut request = mount.request(Operation::Update, &path, json!({ "password": password }));
    request.caller.unauthenticated = true;
    request.connection =
        Some(Arc::new(Connection { remote_addr: from.to_owned(), ..Connection::default() }));
    mount.send(request).await
}

async fn login(mount: &Mount, name: &str, password: &str) -> Result<Answer, Refused> {
    login_from(mount, name, password, "127.0.0.1").await
}

/// Renews what a login gave, with the policies that the core put on the token.
async fn renew(mount: &Mount, login: &Answer) -> Result<Answer, Refused> {
    let mut request = mount.request(Operation::Renew, "login/bob", Value::Null);
    let mut auth = login.auth().clone();
    auth.token.token_policies = auth.policies.clone();
    auth.token.token_policies.push("default".to_owned());
    request.auth = Some(Box::new(auth));
    mount.send(request).await
}

#[test]
fn the_table_has_no_faults() {
    Userpass::routes().check().unwrap();
}

#[tokio::test]
async fn it_is_an_auth_method_whose_logins_need_no_token() {
    for mount in mounts().await {
        assert_eq!(mount.backend().kind(), BackendKind::Auth);
        assert_eq!(mount.special_paths().unauthenticated, ["login/+"]);
        for path in
            ["", "users", "users/bob", "users/bob/password", "users/bob/policies", "login/bob"]
        {
            assert!(mount.help(path).await.unwrap().str("help").len() > 60, "{path}");
        }
    }
}

#[tokio::test]
async fn a_user_is_created_read_listed_and_deleted() {
    for mount in mounts().await {
        assert!(mount.list("users").await.unwrap().keys().is_empty());
        let fields = json!({
            "password": "secret", "policies": "P1,p2,p1", "ttl": "5m", "max_ttl": 3600,
            "bound_cidrs": "127.0.0.1/32,10.0.0.0/8",
        });
        assert!(mount.write("users/Bob", fields).await.unwrap().is_empty());
        let read = mount.read("users/BOB").await.unwrap();
        assert_eq!(
            read.data(),
            &json!({
                "bound_cidrs": ["127.0.0.1", "10.0.0.0/8"], "max_ttl": 3600,
                "policies": ["p1", "p2"], "token_bound_cidrs": ["127.0.0.1", "10.0.0.0/8"],
                "token_explicit_max_ttl": 0, "token_max_ttl": 3600,
                "token_no_default_policy": false, "token_num_uses": 0, "token_period": 0,
                "token_policies": ["p1", "p2"], "token_strictly_bind_ip": false,
                "token_ttl": 300, "token_type": "default", "ttl": 300,
            })
        );
        mount.write("users/ali", json!({ "password": "x" })).await.unwrap();
        assert_eq!(mount.list("users").await.unwrap().keys(), ["ali", "bob"]);
        let page =
            mount.request(Operation::List, "users/", json!({ "after": "ali", "limit": "5" }));
        assert_eq!(mount.send(page).await.unwrap().keys(), ["bob"]);
        mount.delete("users/BOB").await.unwrap();
        assert!(mount.delete("users/bob").await.unwrap().is_empty());
        assert!(mount.read("users/bob").await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_change_leaves_alone_what_it_does_not_name() {
    for mount in mounts().await {
        let all = json!({
            "password": "a", "token_strictly_bind_ip": true, "token_type": "service",
            "token_num_uses": "5", "token_policies": ["a", "B"], "token_no_default_policy": "true",
            "token_period": "1h", "token_explicit_max_ttl": "9h",
        });
        mount.write("users/bob", all).await.unwrap();
        mount.write("users/bob", json!({ "token_ttl": 60 })).await.unwrap();
        let read = mount.read("users/bob").await.unwrap();
        for (field, value) in [
            ("token_ttl", json!(60)),
            ("token_type", json!("service")),
            ("token_num_uses", json!(5)),
            ("token_policies", json!(["a", "B"])),
            ("token_no_default_policy", json!(true)),
            ("token_period", json!(3600)),
            ("token_explicit_max_ttl", json!(32400)),
            ("token_strictly_bind_ip", json!(true)),
        ] {
            assert_eq!(read[field], value, "{field}");
        }
        let auth = login_from(&mount, "bob", "a", "10.9.8.7").await.unwrap();
        let auth = auth.auth();
        assert_eq!(auth.token.bound_cidrs, ["10.9.8.7"]);
        assert_eq!(auth.token.token_type, TokenType::Service);
        assert_eq!((auth.token.num_uses, auth.token.period.as_secs()), (5, 3600));
        assert_eq!(auth.token.explicit_max_ttl.as_secs(), 32400);
        assert!(auth.token.no_default_policy);
    }
}

#[tokio::test]
async fn what_does_not_go_together_is_refused() {
    for mount in mounts().await {
        let refused = async |path: &str, fields: Value| match mount
            .write(path, fields.clone())
            .await
            .unwrap_err()
            .0
        {
            Error::Invalid(text) => text,
            other => panic!("{fields}: {other:?}"),
        };
        for (fields, text) in [
            (json!({}), "must provide either password or password_hash"),
            (
                json!({ "password": "x", "password_hash": "y" }),
                "only one of password or password_hash may be provided",
            ),
            (json!({ "password_hash": "junk" }), "password_hash is not a valid bcrypt hash"),
        ] {
            assert_eq!(refused("users/bob", fields).await, text);
        }
        assert!(mount.storage().keys().is_empty());
        mount.write("users/bob", json!({ "password": "x" })).await.unwrap();
        let stored = mount.storage().text("user/bob");
        for (fields, text) in [
            (
                json!({ "token_bound_cidrs": "junk" }),
                "error parsing address \"junk\": Unable to convert \"junk\" to an IPv4 or IPv6 \
                 address, or a UNIX Socket",
            ),
            (
                json!({ "token_ttl": "2h", "token_max_ttl": "1h" }),
                "'token_ttl' cannot be greater than 'token_max_ttl'",
            ),
            (json!({ "token_type": "zzz" }), "invalid 'token_type' value \"zzz\""),
            (json!({ "token_num_uses": -1 }), "'token_num_uses' cannot be negative"),
            (
                json!({ "token_type": "batch", "token_period": 1 }),
                "'token_type' cannot be 'batch' or 'default_batch' when set to generate periodic \
                 tokens",
            ),
            (
                json!({ "token_strictly_bind_ip": true, "token_bound_cidrs": "::1" }),
                "'token_strictly_bind_ip' conflicts with 'token_bound_cidrs'; set only one",
            ),
        ] {
            assert_eq!(refused("users/bob", fields).await, text);
        }
        assert!(refused("users/bob", json!({ "token_ttl": -1 })).await.contains("\"token_ttl\""));
        assert_eq!(mount.storage().text("user/bob"), stored);
        for path in ["users/b@c", "users/-b", "login/b@c"] {
            assert_eq!(
                mount.read(path).await.unwrap_err().0.to_string().split(' ').next(),
                Some("unsupported")
            );
            let refused = mount.write(path, json!({ "password": "x" })).await.unwrap_err();
            assert_eq!(refused.0, Error::UnsupportedPath, "{path}");
        }
    }
}

#[tokio::test]
async fn the_password_decides_and_nobody_learns_who_exists() {
    for mount in mounts().await {
        let fields = json!({ "password": "secret", "token_policies": "p", "token_ttl": "5m" });
        mount.write("users/bob", fields).await.unwrap();
        let auth = login(&mount, "BOB", "secret").await.unwrap();
        let auth = auth.auth();
        assert_eq!(auth.display_name, "bob");
        assert_eq!(auth.policies, ["p"]);
        assert_eq!(auth.metadata["username"], "bob");
        assert_eq!(auth.alias.as_ref().unwrap().name, "bob");
        assert_eq!(auth.lease.ttl, Duration::from_secs(300));
        assert!(auth.lease.renewable);
        for name in ["bob", "nobody"] {
            let refused = login(&mount, name, "wrong").await.unwrap_err();
            assert_eq!(refused.0, Error::invalid("invalid username or password"), "{name}");
            let refused = login(&mount, name, "").await.unwrap_err();
            assert_eq!(refused.0, Error::internal("missing password"), "{name}");
        }
        mount.storage().set("user/empty", "{}");
        let refused = login(&mount, "empty", "dummy").await.unwrap_err();
        assert_eq!(refused.0, Error::invalid("invalid username or password"));
    }
}

#[tokio::test]
async fn a_login_comes_from_where_the_user_is_bound_to() {
    for mount in mounts().await {
        let fields = json!({ "password": "a", "token_bound_cidrs": "10.0.0.0/8" });
        mount.write("users/bob", fields).await.unwrap();
        let auth = login_from(&mount, "bob", "a", "10.1.1.1").await.unwrap();
        assert_eq!(auth.auth().token.bound_cidrs, ["10.0.0.0/8"]);
        assert_eq!(login_from(&mount, "bob", "a", "11.1.1.1").await.unwrap_err().0, Error::Denied);
        let unknown = mount.login("login/bob", json!({ "password": "a" })).await;
        assert_eq!(unknown.unwrap_err().0, Error::Denied);
        // Who does not know the password does not learn of the binding.
        let refused = login_from(&mount, "bob", "b", "11.1.1.1").await.unwrap_err();
        assert_eq!(refused.0, Error::invalid("invalid username or password"));
    }
}

#[tokio::test]
async fn a_password_is_set_by_itself_or_by_its_hash() {
    for mount in mounts().await {
        let refused = mount.write("users/bob/password", json!({ "password": "n" })).await;
        assert_eq!(refused.unwrap_err().0, Error::internal("username does not exist"));
        mount.write("users/bob", json!({ "password": "old" })).await.unwrap();
        // Under Vault this would make a second user, whose name no login reaches.
        mount.write("users/BOB/password", json!({ "password": "new" })).await.unwrap();
        assert_eq!(mount.storage().keys(), ["user/bob"]);
        assert!(login(&mount, "bob", "old").await.is_err());
        login(&mount, "bob", "new").await.unwrap();
        let hash = "$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga";
        mount.write("users/bob/password", json!({ "password_hash": hash })).await.unwrap();
        login(&mount, "bob", "allmine").await.unwrap();
        let refused = mount.write("users/bob/password", json!({})).await.unwrap_err();
        assert_eq!(refused.0, Error::invalid("must provide either password or password_hash"));
        let long = "p".repeat(73);
        let refused = mount.write("users/bob/password", json!({ "password": long })).await;
        let text = "bcrypt: password length exceeds 72 bytes";
        assert_eq!(refused.unwrap_err().0, Error::internal(text));
    }
}

#[tokio::test]
async fn policies_are_set_by_themselves() {
    for mount in mounts().await {
        let refused = mount.write("users/bob/policies", json!({ "policies": "n" })).await;
        assert_eq!(refused.unwrap_err().0, Error::internal("username does not exist"));
        mount.write("users/bob", json!({ "password": "a", "policies": "old" })).await.unwrap();
        for (fields, policies, old_name) in [
            (json!({}), json!(["old"]), json!(["old"])),
            (json!({ "token_policies": "n,ROOT, x" }), json!(["root"]), Value::Null),
            (json!({ "token_policies": "n,, x,N" }), json!(["n", "x"]), Value::Null),
            (json!({ "policies": ["Z", "y"] }), json!(["y", "z"]), json!(["y", "z"])),
            (json!({ "policies": "a", "token_policies": "b" }), json!(["b"]), json!(["b"])),
        ] {
            mount.write("users/bob/policies", fields.clone()).await.unwrap();
            let read = mount.read("users/bob").await.unwrap();
            assert_eq!(read["token_policies"], policies, "{fields}");
            assert_eq!(read["policies"], old_name, "{fields}");
        }
    }
}

#[tokio::test]
async fn a_renewal_follows_the_users_settings_and_stops_when_policies_differ() {
    for mount in mounts().await {
        let fields = json!({ "password": "a", "token_policies": "p,q" });
        mount.write("users/bob", fields).await.unwrap();
        let auth = login(&mount, "bob", "a").await.unwrap();
        let times = json!({ "token_ttl": 60, "token_max_ttl": 90, "token_period": 30 });
        mount.write("users/bob", times).await.unwrap();
        let renewed = renew(&mount, &auth).await.unwrap();
        let renewed = renewed.auth();
        assert_eq!((renewed.lease.ttl.as_secs(), renewed.lease.max_ttl.as_secs()), (60, 90));
        assert_eq!(renewed.token.period.as_secs(), 30);
        mount.write("users/bob/policies", json!({ "token_policies": "p" })).await.unwrap();
        let refused = renew(&mount, &auth).await.unwrap_err();
        assert_eq!(refused.0, Error::internal("policies have changed, not renewing"));
        mount.delete("users/bob").await.unwrap();
        assert!(renew(&mount, &auth).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn the_alias_of_a_login_is_known_without_its_password() {
    for mount in mounts().await {
        let request = mount.request(Operation::AliasLookahead, "login/Bob", json!({}));
        let answer = mount.send(request).await.unwrap();
        assert_eq!(answer.auth().alias.as_ref().unwrap().name, "bob");
        assert!(mount.storage().keys().is_empty());
    }
}

#[tokio::test]
async fn a_user_that_openbao_stored_logs_in_and_is_stored_again_in_its_shape() {
    // "allmine", as OpenBao 2.7.2 keeps it.
    let stored = json!({
        "token_bound_cidrs": null, "token_explicit_max_ttl": 0, "token_max_ttl": 0,
        "token_no_default_policy": false, "token_num_uses": 0, "token_period": 0,
        "token_policies": null, "token_type": 0, "token_ttl": 0, "token_strictly_bind_ip": false,
        "PasswordHash": "JDJhJDEwJFhhampRdk5odnZSdDVHU2VGazF4RmV5cVJyc3hraEJrVWlRZWcwZHQud1UxcUQ0YUZEY2dh",
        "Policies": ["old"], "TTL": 300_000_000_000_i64, "MaxTTL": 0, "BoundCIDRs": null,
    });
    for mount in mounts().await {
        mount.storage().set("user/bob", stored.to_string());
        let auth = login(&mount, "bob", "allmine").await.unwrap();
        assert_eq!(auth.auth().policies, ["old"]);
        assert_eq!(auth.auth().lease.ttl.as_secs(), 300);
        mount.write("users/bob", json!({ "token_max_ttl": "1h" })).await.unwrap();
        let again: Value =
            serde_json::from_str(&mount.storage().text("user/bob").unwrap()).unwrap();
        assert_eq!(again["PasswordHash"], stored["PasswordHash"]);
        assert_eq!(again["token_max_ttl"], 3_600_000_000_000_i64);
        assert_eq!(again["TTL"], stored["TTL"]);
        let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&again), names(&stored));
    }
}

#[tokio::test]
async fn no_stored_or_shown_text_has_the_password() {
    for mount in mounts().await {
        mount.write("users/bob", json!({ "password": "hunter2" })).await.unwrap();
        assert!(!mount.storage().text("user/bob").unwrap().contains("hunter2"));
        assert!(!mount.read("users/bob").await.unwrap().data().to_string().contains("hunter2"));
        let refused = mount.write("users/bob", json!({ "password": ["hunter2"] })).await;
        assert!(!refused.unwrap_err().to_string().contains("hunter2"));
    }
}

#[tokio::test]
async fn logins_do_not_hold_up_other_requests() {
    let [mount, _] = mounts().await;
    mount.write("users/bob", json!({ "password": "a" })).await.unwrap();
    let mount = Arc::new(mount);
    let logins: Vec<_> = (0..8)
        .map(|_| {
            let mount = Arc::clone(&mount);
            tokio::spawn(async move { login(&mount, "bob", "wrong").await.is_err() })
        })
        .collect();
    // This test has one thread: a login that computed on it would be over before the next read.
    for _ in 0..50 {
        mount.read("users/bob").await.unwrap();
        tokio::task::yield_now().await;
    }
    assert!(!logins.iter().all(tokio::task::JoinHandle::is_finished));
    for login in logins {
        assert!(login.await.unwrap());
    }
}
