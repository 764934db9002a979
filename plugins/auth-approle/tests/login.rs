//! Logins and their renewals, in process and over the wire; the expected replies are OpenBao
//! 2.7.2's, but where a comment says otherwise.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod support;

use std::sync::Arc;

use boltwork_sdk::logical::{Error, Operation, TokenType};
use boltwork_sdk_test::{Home, MemoryStorage};
use serde_json::{Value, json};
use support::{bench, keys, login, login_from, mounts, renew, role, secret};

#[tokio::test]
async fn a_login_says_what_the_role_says() {
    for mount in mounts().await {
        role(
            &mount,
            json!({
                "token_policies": "p", "token_ttl": "5m", "token_max_ttl": "1h",
                "token_num_uses": 4, "token_period": "9m", "token_explicit_max_ttl": "2h",
                "token_type": "service", "token_no_default_policy": true,
            }),
        )
        .await;
        let (id, _) = secret(&mount, json!({ "metadata": "{\"who\":\"Me\"}" })).await;
        let answer = login(&mount, " app\n", &format!("\t{id}\n")).await.unwrap();
        let auth = answer.auth();
        assert_eq!(auth.policies, ["p"]);
        assert_eq!((auth.lease.ttl.as_secs(), auth.lease.max_ttl.as_secs()), (300, 3600));
        assert!(auth.lease.renewable && auth.token.no_default_policy);
        assert_eq!((auth.token.num_uses, auth.token.period.as_secs()), (4, 540));
        assert_eq!(auth.token.explicit_max_ttl.as_secs(), 7200);
        assert_eq!(auth.token.token_type, TokenType::Service);
        assert_eq!(json!(auth.metadata), json!({ "role_name": "app", "who": "Me" }));
        let alias = auth.alias.as_ref().unwrap();
        assert_eq!(alias.name, "app");
        assert_eq!(alias.metadata, auth.metadata);
        assert_eq!(auth.internal.fields().unwrap()["role_name"], "app");
        assert!(auth.token.bound_cidrs.is_empty());
    }
}

#[tokio::test]
async fn whatever_is_wrong_is_told_alike() {
    for mount in mounts().await {
        role(&mount, json!({})).await;
        let (id, accessor) = secret(&mount, json!({})).await;
        for (role_id, secret_id, text) in [
            ("app", "no", "invalid role or secret ID"),
            ("app", accessor.as_str(), "invalid role or secret ID"),
            ("no", id.as_str(), "invalid role or secret ID"),
            ("app", "", "missing secret_id"),
            ("", id.as_str(), "missing role_id"),
        ] {
            let refused = login(&mount, role_id, secret_id).await.unwrap_err();
            assert_eq!(refused.0, Error::invalid(text), "{role_id:?} {secret_id:?}");
        }
        let long = "x".repeat(5000);
        let refused = login(&mount, &long, "x").await.unwrap_err();
        assert_eq!(refused.0, Error::invalid("invalid role or secret ID"));
        let refused = login(&mount, "app", &long).await.unwrap_err();
        let text = "failed to create HMAC of secret_id: value is longer than maximum of 4096 bytes";
        assert_eq!(refused.0, Error::internal(text));
    }
}

#[tokio::test]
async fn a_secret_id_of_one_role_is_of_no_use_at_another() {
    for mount in mounts().await {
        role(&mount, json!({})).await;
        mount.write("role/other", json!({ "role_id": "other" })).await.unwrap();
        let (id, _) = secret(&mount, json!({})).await;
        assert!(login(&mount, "other", &id).await.is_err());
        login(&mount, "app", &id).await.unwrap();
    }
}

#[tokio::test]
async fn uses_are_counted_and_the_last_one_removes_the_secret_id() {
    for mount in mounts().await {
        role(&mount, json!({ "secret_id_num_uses": 3 })).await;
        let (id, _) = secret(&mount, json!({})).await;
        for left in [2, 1] {
            login(&mount, "app", &id).await.unwrap();
            let look_up = json!({ "secret_id": id });
            let found = mount.write("role/app/secret-id/lookup", look_up).await.unwrap();
            assert_eq!(found.number("secret_id_num_uses"), left);
            assert_ne!(found["last_updated_time"], found["creation_time"]);
        }
        login(&mount, "app", &id).await.unwrap();
        assert!(login(&mount, "app", &id).await.is_err());
        assert_eq!(keys(&mount, "secret_id/").len() + keys(&mount, "accessor/").len(), 0);
    }
}

/// As many logins at once as given; how many succeeded.
async fn at_once(mount: &Arc<boltwork_sdk_test::Mount>, id: &str, logins: usize) -> usize {
    let logins: Vec<_> = (0..logins)
        .map(|_| {
            let (mount, id) = (Arc::clone(mount), id.to_owned());
            tokio::spawn(async move { login(&mount, "app", &id).await })
        })
        .collect();
    let mut won = 0;
    for login in logins {
        match login.await.unwrap() {
            Ok(_) => won += 1,
            Err(refused) => {
                assert_eq!(refused.0, Error::invalid("invalid role or secret ID"));
            }
        }
    }
    won
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_logins_with_a_secret_id_for_one_use_one_wins() {
    for mount in mounts().await {
        role(&mount, json!({ "secret_id_num_uses": 1 })).await;
        let mount = Arc::new(mount);
        for _ in 0..50 {
            let (id, _) = secret(&mount, json!({})).await;
            assert_eq!(at_once(&mount, &id, 2).await, 1, "{:?}", mount.home());
        }
        assert_eq!(keys(&mount, "secret_id/").len() + keys(&mount, "accessor/").len(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn exactly_as_many_logins_succeed_as_there_are_uses() {
    for home in [Home::InProcess, Home::OverTheWire] {
        for storage in [MemoryStorage::new(), MemoryStorage::new().without_transactions()] {
            let mount = Arc::new(bench().storage(storage).mount(home).await.unwrap());
            role(&mount, json!({})).await;
            let (id, _) = secret(&mount, json!({ "num_uses": 7 })).await;
            assert_eq!(at_once(&mount, &id, 40).await, 7, "{home:?}");
            let (id, _) = secret(&mount, json!({})).await;
            assert_eq!(at_once(&mount, &id, 40).await, 40, "{home:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_on_one_storage_do_not_spend_a_use_twice() {
    // Each mount has turns of its own: only the transactions keep them apart.
    let storage = MemoryStorage::new();
    let one = Arc::new(bench().storage(storage.clone()).in_process().await);
    let two = Arc::new(bench().storage(storage).in_process().await);
    role(&one, json!({})).await;
    for _ in 0..20 {
        let (id, _) = secret(&one, json!({ "num_uses": 3 })).await;
        let (won_one, won_two) = tokio::join!(at_once(&one, &id, 4), at_once(&two, &id, 4));
        assert_eq!(won_one + won_two, 3);
    }
}

#[tokio::test]
async fn a_login_that_is_refused_or_fails_spends_nothing() {
    for mount in mounts().await {
        role(&mount, json!({})).await;
        let (id, _) = secret(&mount, json!({ "num_uses": 1, "cidr_list": "10.0.0.0/8" })).await;
        let refused = login(&mount, "app", &id).await.unwrap_err();
        let text =
            "source address \"127.0.0.1\" unauthorized through CIDR restrictions on the secret ID";
        assert_eq!(refused.0, Error::invalid(text));
        for nth in 1..=3 {
            mount.storage().fail_write(nth);
            assert!(login_from(&mount, "app", &id, "10.0.0.1").await.is_err(), "{nth}");
        }
        login_from(&mount, "app", &id, "10.0.0.1").await.unwrap();
        assert!(login_from(&mount, "app", &id, "10.0.0.1").await.is_err());
    }
}

#[tokio::test]
async fn a_login_comes_from_where_role_and_secret_id_say() {
    for mount in mounts().await {
        role(&mount, json!({ "secret_id_bound_cidrs": "127.0.0.0/8,10.0.0.0/8" })).await;
        let (id, _) = secret(&mount, json!({ "cidr_list": "127.0.0.1/32" })).await;
        login(&mount, "app", &id).await.unwrap();
        let (any, _) = secret(&mount, json!({})).await;
        login_from(&mount, "app", &any, "10.9.9.9").await.unwrap();
        let refused = login_from(&mount, "app", &any, "11.9.9.9").await.unwrap_err();
        let text = "source address \"11.9.9.9\" unauthorized by CIDR restrictions on the role";
        assert_eq!(refused.0, Error::invalid(text));
        let data = json!({ "role_id": "app", "secret_id": any });
        let refused = mount.login("login", data).await.unwrap_err();
        assert_eq!(refused.0, Error::internal("failed to get connection information"));
        // The role is narrowed, and the secret id no longer fits.
        let narrow = json!({ "secret_id_bound_cidrs": "10.0.0.0/8" });
        mount.write("role/app/secret-id-bound-cidrs", narrow).await.unwrap();
        let refused = login(&mount, "app", &id).await.unwrap_err();
        assert!(refused.to_string().starts_with("failed to verify subset relationship"));
    }
}

#[tokio::test]
async fn tokens_are_bound_as_the_secret_id_says_and_else_as_the_role_says() {
    for mount in mounts().await {
        role(&mount, json!({ "token_bound_cidrs": "127.0.0.0/8" })).await;
        let bound = async |fields: Value, from: &str| {
            let (id, _) = secret(&mount, fields).await;
            let answer = login_from(&mount, "app", &id, from).await.unwrap();
            answer.auth().token.bound_cidrs.clone()
        };
        assert_eq!(bound(json!({}), "127.0.0.1").await, ["127.0.0.0/8"]);
        let narrow = json!({ "token_bound_cidrs": "127.0.0.0/16" });
        assert_eq!(bound(narrow.clone(), "127.0.0.1").await, ["127.0.0.0/16"]);
        // OpenBao forgets the strict binding in this method.
        let strict = json!({ "token_bound_cidrs": "", "token_strictly_bind_ip": true });
        mount.write("role/app", strict).await.unwrap();
        assert_eq!(bound(json!({}), "10.1.1.1").await, ["10.1.1.1"]);
        assert_eq!(bound(narrow.clone(), "127.0.0.9").await, ["127.0.0.9"]);
        assert_eq!(bound(narrow, "10.1.1.1").await, ["127.0.0.0/16"]);
    }
}

#[tokio::test]
async fn a_role_may_need_no_secret_id() {
    for mount in mounts().await {
        role(&mount, json!({ "bind_secret_id": false, "secret_id_bound_cidrs": "127.0.0.0/8" }))
            .await;
        let answer = login(&mount, "app", "").await.unwrap();
        assert_eq!(json!(answer.auth().metadata), json!({ "role_name": "app" }));
        login(&mount, "app", "whatever").await.unwrap();
        assert!(login_from(&mount, "app", "", "10.1.1.1").await.is_err());
        let refused = mount.write("role/app/secret-id", json!({})).await.unwrap_err();
        assert_eq!(refused.0, Error::invalid("bind_secret_id is not set on the role"));
    }
}

#[tokio::test]
async fn a_renewal_follows_the_role_and_ends_with_it() {
    for mount in mounts().await {
        role(&mount, json!({ "token_ttl": "5m" })).await;
        let (id, _) = secret(&mount, json!({ "num_uses": 1 })).await;
        let answer = login(&mount, "app", &id).await.unwrap();
        let times = json!({ "token_ttl": 60, "token_max_ttl": 90, "token_period": 30 });
        mount.write("role/app", times).await.unwrap();
        let renewed = renew(&mount, &answer).await.unwrap();
        let auth = renewed.auth();
        assert_eq!((auth.lease.ttl.as_secs(), auth.lease.max_ttl.as_secs()), (60, 90));
        assert_eq!(auth.token.period.as_secs(), 30);
        mount.delete("role/app").await.unwrap();
        let refused = renew(&mount, &answer).await.unwrap_err();
        assert_eq!(refused.0, Error::internal("role \"app\" does not exist during renewal"));
    }
}

#[tokio::test]
async fn alias_and_role_of_a_login_are_known_beforehand() {
    for mount in mounts().await {
        role(&mount, json!({})).await;
        let data = json!({ "role_id": "app", "secret_id": "not looked at" });
        let ahead = mount.request(Operation::AliasLookahead, "login", data.clone());
        let answer = mount.send(ahead).await.unwrap();
        assert_eq!(answer.auth().alias.as_ref().unwrap().name, "app");
        let resolve = mount.request(Operation::ResolveRole, "login", data);
        assert_eq!(mount.send(resolve).await.unwrap().data(), &json!({ "role": "app" }));
        let resolve = mount.request(Operation::ResolveRole, "login", json!({ "role_id": "no" }));
        let refused = mount.send(resolve).await.unwrap_err();
        assert_eq!(refused.0, Error::invalid("invalid role or secret ID"));
    }
}

#[tokio::test]
async fn a_changed_salt_is_taken_notice_of() {
    for mount in mounts().await {
        role(&mount, json!({})).await;
        let (id, _) = secret(&mount, json!({})).await;
        let salt = mount.storage().text("salt").unwrap();
        mount.storage().set("salt", "another");
        mount.invalidate("salt").await;
        assert!(login(&mount, "app", &id).await.is_err());
        mount.storage().set("salt", salt);
        mount.invalidate("salt").await;
        login(&mount, "app", &id).await.unwrap();
    }
}

#[tokio::test]
async fn what_openbao_stored_is_of_use() {
    // Written by hand in the shape that OpenBao 2.7.2 stores, with the digests made by Python's
    // hmac and hashlib: salt "salt", HMAC key "key", role "old", role id "rid", secret id "sid",
    // accessor "acc".
    let role = json!({
        "token_bound_cidrs": null, "token_explicit_max_ttl": 0, "token_max_ttl": 0,
        "token_no_default_policy": false, "token_num_uses": 0, "token_period": 0,
        "token_policies": null, "token_type": 0, "token_ttl": 0, "token_strictly_bind_ip": false,
        "role_id": "rid", "hmac_key": "key", "policies": ["p"], "secret_id_num_uses": 0,
        "secret_id_ttl": 0, "bind_secret_id": true, "bound_cidr_list_list": ["127.0.0.0/8"],
        "secret_id_bound_cidrs": null, "period": 60_000_000_000_i64,
        "lower_case_role_name": true, "secret_id_prefix": "",
    });
    let secret = json!({
        "secret_id_accessor": "acc", "secret_id_num_uses": 2, "secret_id_ttl": 0,
        "creation_time": "2026-11-23T23:55:34.963942492Z",
        "expiration_time": "0001-01-01T00:00:00Z",
        "last_updated_time": "2026-11-23T23:55:34.963942492+02:00",
        "metadata": null, "cidr_list": null, "token_cidr_list": null, "SecretIDNumUses": 0,
    });
    let (name, digest) = (
        "4f13be87376f337c519f4c24a46859e647c5a9da96b972c6eac80caedcca1cc1",
        "671f6e95374dc5279b7ef4adf89c62a1714f92b2fd36af694b48ab3ae0cbf07e",
    );
    for mount in mounts().await {
        let storage = mount.storage();
        storage.set("salt", "salt");
        mount.invalidate("salt").await;
        storage.set("role/old", role.to_string());
        storage.set(
            "role_id/a9d9a185838d5a26a81965f029e4a2954dc314d9fccd8bf4dc6678e209999a51",
            json!({ "name": "old" }).to_string(),
        );
        storage.set(&format!("secret_id/{name}/{digest}"), secret.to_string());
        storage.set(
            "accessor/4fd363288844763150c7f72541b36f99dcb6691bccb6cc424a01b209842ee7a1",
            json!({ "secret_id_hmac": digest }).to_string(),
        );
        let answer = login(&mount, "rid", "sid").await.unwrap();
        let auth = answer.auth();
        assert_eq!((&auth.policies[..], auth.token.period.as_secs()), (&["p".to_owned()][..], 60));
        assert!(login_from(&mount, "rid", "sid", "10.0.0.1").await.is_err());
        mount.rollback(false).await.unwrap();
        login(&mount, "rid", "sid").await.unwrap();
        assert!(login(&mount, "rid", "sid").await.is_err());
    }
}
