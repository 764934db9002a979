//! Secret ids: made, listed, looked up, destroyed, tidied. In process and over the wire; the
//! expected replies are OpenBao 2.7.2's.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod support;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use boltwork_sdk::logical::{Error, Operation};
use serde_json::{Value, json};
use support::{keys, login, mounts, role, secret, wait};

#[tokio::test]
async fn a_secret_id_is_made_listed_looked_up_and_destroyed() {
    for mount in mounts().await {
        role(&mount, json!({})).await;
        let fields = json!({
            "cidr_list": "127.0.0.0/8", "token_bound_cidrs": ["127.0.0.1/32"],
            "metadata": "{\"who\":\"me\"}", "num_uses": "2", "ttl": 90,
        });
        let made = mount.write("role/app/secret-id", fields).await.unwrap();
        assert_eq!((made.number("secret_id_num_uses"), made.number("secret_id_ttl")), (2, 90));
        let (id, accessor) = (made.str("secret_id"), made.str("secret_id_accessor"));
        let listed = mount.list("role/app/secret-id").await.unwrap();
        assert_eq!(listed.keys(), [accessor]);
        let found = mount.write("role/app/secret-id/lookup", json!({ "secret_id": id })).await;
        let found = found.unwrap();
        let by_accessor = json!({ "secret_id_accessor": accessor });
        let again = mount.write("role/app/secret-id-accessor/lookup", by_accessor.clone()).await;
        assert_eq!(found.data(), again.unwrap().data());
        assert!(found.str("expiration_time") > found.str("creation_time"));
        assert_eq!(found["creation_time"], found["last_updated_time"]);
        let mut shown = found.data().clone();
        for time in ["creation_time", "expiration_time", "last_updated_time"] {
            assert!(
                shown
                    .as_object_mut()
                    .unwrap()
                    .remove(time)
                    .unwrap()
                    .as_str()
                    .unwrap()
                    .ends_with('Z')
            );
        }
        assert_eq!(
            shown,
            json!({
                "cidr_list": ["127.0.0.0/8"], "metadata": { "who": "me" },
                "secret_id_accessor": accessor, "secret_id_num_uses": 2, "secret_id_ttl": 90,
                "token_bound_cidrs": ["127.0.0.1/32"],
            })
        );
        let destroy = json!({ "secret_id": id });
        assert!(
            mount.write("role/app/secret-id/destroy", destroy.clone()).await.unwrap().is_empty()
        );
        assert!(mount.write("role/app/secret-id/destroy", destroy).await.unwrap().is_empty());
        assert!(login(&mount, "app", id).await.is_err());
        assert_eq!(keys(&mount, "accessor/").len() + keys(&mount, "secret_id/").len(), 0);
    }
}

#[tokio::test]
async fn a_secret_id_without_an_end_ends_in_the_year_one() {
    for mount in mounts().await {
        role(&mount, json!({})).await;
        let (id, _) = secret(&mount, json!({})).await;
        let found = mount.write("role/app/secret-id/lookup", json!({ "secret_id": id })).await;
        let found = found.unwrap();
        assert_eq!(found["expiration_time"], "0001-01-01T00:00:00Z");
        assert_eq!((&found["cidr_list"], &found["metadata"]), (&json!([]), &json!({})));
        let long = mount.write("role/app/secret-id", json!({ "ttl": "9999h" })).await.unwrap();
        assert_eq!(long.number("secret_id_ttl"), 768 * 3600);
    }
}

#[tokio::test]
async fn the_secret_id_is_nowhere_in_storage() {
    for mount in mounts().await {
        role(&mount, json!({})).await;
        let (id, accessor) = secret(&mount, json!({})).await;
        let custom = json!({ "secret_id": "hunter2" });
        mount.write("role/app/custom-secret-id", custom).await.unwrap();
        for key in mount.storage().keys() {
            let value = mount.storage().text(&key).unwrap();
            for secret in [&id, "hunter2"] {
                assert!(!key.contains(secret) && !value.contains(secret), "{key}");
            }
            assert!(!key.contains(&accessor), "{key}");
        }
    }
}

#[tokio::test]
async fn a_secret_id_of_ones_own_is_taken_once() {
    for mount in mounts().await {
        role(&mount, json!({})).await;
        let custom = json!({ "secret_id": "mine", "num_uses": 2 });
        let made = mount.write("role/app/custom-secret-id", custom.clone()).await.unwrap();
        assert_eq!(made["secret_id"], "mine");
        let refused = mount.write("role/app/custom-secret-id", custom).await.unwrap_err();
        let text = "failed to store secret_id: SecretID is already registered";
        assert_eq!(refused.0, Error::internal(text));
        login(&mount, "app", "mine").await.unwrap();
        let refused = mount.write("role/app/custom-secret-id", json!({})).await.unwrap_err();
        assert_eq!(refused.0, Error::invalid("missing secret_id"));
        let long = json!({ "secret_id": "x".repeat(4097) });
        assert!(mount.write("role/app/custom-secret-id", long).await.is_err());
    }
}

#[tokio::test]
async fn a_secret_id_gets_no_more_than_the_role_allows() {
    for mount in mounts().await {
        role(
            &mount,
            json!({
                "secret_id_num_uses": 3, "secret_id_ttl": "10m",
                "secret_id_bound_cidrs": "127.0.0.0/8,10.0.0.0/8",
                "token_bound_cidrs": "127.0.0.1,10.0.0.0/8",
            }),
        )
        .await;
        let uses = "num_uses cannot be higher than the role's secret_id_num_uses";
        let ttl = "ttl cannot be longer than the role's secret_id_ttl";
        for (fields, text) in [
            (json!({ "num_uses": -1 }), "num_uses cannot be negative"),
            (json!({ "num_uses": 0 }), uses),
            (json!({ "num_uses": 4 }), uses),
            (json!({ "ttl": 0 }), ttl),
            (json!({ "ttl": "11m" }), ttl),
            (
                json!({ "metadata": "junk" }),
                "failed to parse metadata: failed to parse the input: invalid <key,value> format",
            ),
        ] {
            let refused = mount.write("role/app/secret-id", fields.clone()).await.unwrap_err();
            assert_eq!(refused.0, Error::invalid(text), "{fields}");
        }
        for (fields, text) in [
            (
                json!({ "cidr_list": "junk" }),
                "failed to validate CIDR blocks: invalid CIDR address: junk",
            ),
            (
                json!({ "token_bound_cidrs": "10.0.0.1" }),
                "failed to validate token CIDR blocks: invalid CIDR address: 10.0.0.1",
            ),
            (
                json!({ "cidr_list": "11.0.0.0/8" }),
                "failed to verify subset relationship between CIDR blocks on the role \
                 [\"127.0.0.0/8\", \"10.0.0.0/8\"] and CIDR blocks on the secret ID \
                 [\"11.0.0.0/8\"]",
            ),
            (
                json!({ "token_bound_cidrs": "11.0.0.0/8" }),
                "failed to verify subset relationship between CIDR blocks on the role \
                 [\"127.0.0.1\", \"10.0.0.0/8\"] and CIDR blocks on the secret ID [\"11.0.0.0/8\"]",
            ),
        ] {
            let refused = mount.write("role/app/secret-id", fields.clone()).await.unwrap_err();
            assert_eq!(refused.0, Error::internal(text), "{fields}");
        }
        assert!(keys(&mount, "secret_id/").is_empty() && keys(&mount, "accessor/").is_empty());
        for (fields, uses, ttl) in [
            (json!({}), 3, 600),
            (json!({ "num_uses": 2 }), 2, 600),
            (json!({ "ttl": "5m", "cidr_list": "10.1.0.0/16" }), 3, 300),
            (json!({ "token_bound_cidrs": "127.0.0.1/32" }), 3, 600),
        ] {
            let made = mount.write("role/app/secret-id", fields.clone()).await.unwrap();
            let got = (made.number("secret_id_num_uses"), made.number("secret_id_ttl"));
            assert_eq!(got, (uses, ttl), "{fields}");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_answered_as_vault_answers() {
    for mount in mounts().await {
        role(&mount, json!({})).await;
        let unknown = json!({ "secret_id": "no" });
        assert!(mount.write("role/app/secret-id/lookup", unknown).await.unwrap().is_empty());
        let raw = mount
            .write("role/app/secret-id-accessor/lookup", json!({ "secret_id_accessor": "no" }))
            .await
            .unwrap();
        assert_eq!(raw["http_status_code"], 404);
        let body = BASE64_STANDARD.decode(raw.str("http_raw_body")).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let text = "failed to find accessor entry for secret_id_accessor: \"no\"";
        assert_eq!(body["data"], json!({ "error": text }));
        let refused = mount
            .write("role/app/secret-id-accessor/destroy", json!({ "secret_id_accessor": "no" }))
            .await;
        assert_eq!(refused.unwrap_err().0, Error::internal(text));
        for (path, field) in [
            ("secret-id/lookup", "secret_id"),
            ("secret-id/destroy", "secret_id"),
            ("secret-id-accessor/lookup", "secret_id_accessor"),
            ("secret-id-accessor/destroy", "secret_id_accessor"),
        ] {
            let refused = mount.write(&format!("role/app/{path}"), json!({})).await.unwrap_err();
            assert_eq!(refused.0, Error::invalid(format!("missing {field}")));
            let refused = mount.write(&format!("role/none/{path}"), json!({ field: "x" })).await;
            assert_eq!(refused.unwrap_err().0, Error::internal("role \"none\" does not exist"));
        }
        let message = "role \"none\" does not exist".to_owned();
        for path in ["secret-id", "custom-secret-id"] {
            let path = format!("role/none/{path}");
            let refused = mount.write(&path, json!({ "secret_id": "x" })).await.unwrap_err();
            assert_eq!(refused.0, Error::Coded { status: 404, message: message.clone() }, "{path}");
        }
        let refused = mount.list("role/none/secret-id").await.unwrap_err();
        assert_eq!(refused.0, Error::invalid(message));
    }
}

#[tokio::test]
async fn an_accessor_destroys_only_under_its_own_role() {
    for mount in mounts().await {
        role(&mount, json!({})).await;
        mount.write("role/other", json!({})).await.unwrap();
        let (id, accessor) = secret(&mount, json!({})).await;
        let by_accessor = json!({ "secret_id_accessor": accessor });
        let path = "role/other/secret-id-accessor/destroy";
        let refused = mount.write(path, by_accessor.clone()).await.unwrap_err();
        let message = "invalid secret id accessor".to_owned();
        assert_eq!(refused.0, Error::Coded { status: 403, message });
        login(&mount, "app", &id).await.unwrap();
        let path = "role/app/secret-id-accessor/destroy";
        let request = mount.request(Operation::Delete, path, by_accessor);
        assert!(mount.send(request).await.unwrap().is_empty());
        assert!(login(&mount, "app", &id).await.is_err());
    }
}

#[tokio::test]
async fn local_secret_ids_are_kept_apart() {
    for mount in mounts().await {
        role(&mount, json!({ "local_secret_ids": true })).await;
        let local = mount.read("role/app/local-secret-ids").await.unwrap();
        assert_eq!(local["local_secret_ids"], true);
        let (id, accessor) = secret(&mount, json!({ "num_uses": 2 })).await;
        login(&mount, "app", &id).await.unwrap();
        assert_eq!(keys(&mount, "secret_id_local/").len(), 1);
        assert_eq!(keys(&mount, "accessor_local/").len(), 1);
        assert_eq!(keys(&mount, "secret_id/").len() + keys(&mount, "accessor/").len(), 0);
        assert_eq!(mount.list("role/app/secret-id").await.unwrap().keys(), [&accessor]);
        login(&mount, "app", &id).await.unwrap();
        assert!(keys(&mount, "accessor_local/").is_empty());
    }
}

#[tokio::test]
async fn an_expired_secret_id_is_of_no_use_at_once_and_removed_by_tidying() {
    for mount in mounts().await {
        role(&mount, json!({})).await;
        let (brief, _) = secret(&mount, json!({ "ttl": "1h" })).await;
        let (lasting, accessor) = secret(&mount, json!({})).await;
        login(&mount, "app", &brief).await.unwrap();
        wait(3600);
        // Under OpenBao it is of use until the next run, up to a minute.
        let refused = login(&mount, "app", &brief).await.unwrap_err();
        assert_eq!(refused.0, Error::invalid("invalid role or secret ID"));
        assert_eq!(keys(&mount, "secret_id/").len(), 2);
        mount.rollback(false).await.unwrap();
        assert_eq!((keys(&mount, "secret_id/").len(), keys(&mount, "accessor/").len()), (1, 1));
        login(&mount, "app", &lasting).await.unwrap();
        assert_eq!(mount.list("role/app/secret-id").await.unwrap().keys(), [&accessor]);
    }
}

#[tokio::test]
async fn a_secret_id_and_its_accessor_do_not_outlive_each_other() {
    for mount in mounts().await {
        role(&mount, json!({})).await;
        let (id, _) = secret(&mount, json!({})).await;
        let accessor = keys(&mount, "accessor/").remove(0);
        let stored = mount.storage().text(&accessor).unwrap();
        // An accessor of nothing is removed, one of something is not.
        mount.storage().set("accessor/stray", json!({ "secret_id_hmac": "none" }).to_string());
        mount.rollback(false).await.unwrap();
        assert_eq!(keys(&mount, "accessor/"), std::slice::from_ref(&accessor));
        login(&mount, "app", &id).await.unwrap();
        // A secret id whose accessor is gone is refused, and removed.
        let other = json!({ "secret_id": "other" });
        mount.write("role/app/custom-secret-id", other.clone()).await.unwrap();
        for key in keys(&mount, "accessor/") {
            if mount.storage().text(&key).unwrap() != stored {
                let request = mount.request(Operation::Read, "", Value::Null);
                request.storage.delete(&key).await.unwrap();
            }
        }
        assert!(login(&mount, "app", "other").await.is_err());
        let refused = mount.write("role/app/secret-id/lookup", other).await.unwrap_err();
        assert_eq!(refused.0, Error::invalid("invalid secret id"));
        mount.rollback(false).await.unwrap();
        assert_eq!(keys(&mount, "secret_id/").len(), 1);
        login(&mount, "app", &id).await.unwrap();
    }
}

#[tokio::test]
async fn tidying_can_be_asked_for() {
    for mount in mounts().await {
        let answer = mount.write("tidy/secret-id", json!({})).await.unwrap();
        assert_eq!(answer["http_status_code"], 202);
        let body = BASE64_STANDARD.decode(answer.str("http_raw_body")).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let text = body["warnings"][0].as_str().unwrap();
        assert!(text.starts_with("Tidy operation successfully started."), "{text}");
        mount.unmount().await;
    }
}
