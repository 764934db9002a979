//! Auth methods of other people.
//!
//! Left out on purpose: methods whose other side cannot be had here, such as those of clouds.

use crate::kubernetes::{ADMINISTRATOR, Cluster};
use crate::life::{Foreign, Scenario, lead};
use crate::signed::Issuer;
use boltwork_e2e::Api;
use serde_json::{Value, json};

/// Logs in and asserts that the token that comes of it is good, has the policy `reader`, and
/// belongs to whom it should.
fn logs_in(api: &Api, at: &str, body: &Value, whose: (&str, &str)) {
    let answer = api.without_token().write(&format!("{at}/login"), body).ok().json();
    let token = answer["auth"]["client_token"].as_str().expect("a login gives a token");
    let seen = api.with_token(token).read("auth/token/lookup-self").ok().data();
    assert_eq!(seen["policies"], json!(["default", "reader"]), "{at}");
    assert_eq!(seen["path"], format!("{at}/login"));
    assert_eq!(seen["meta"][whose.0], whose.1, "{at}");
    api.with_token(token).read("sys/mounts").status(403);
}

struct Jwt(Issuer);

impl Jwt {
    fn login(&self, audience: &str) -> Value {
        let claims = json!({"sub": "somebody", "aud": audience, "team": "red"});
        json!({"role": "people", "jwt": self.0.sign(&claims, 300)})
    }
}

impl Scenario for Jwt {
    fn configure(&self, api: &Api, at: &str) {
        api.write(&format!("{at}/config"), &json!({"jwt_validation_pubkeys": [self.0.public]}))
            .ok();
        let role = json!({
            "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["boltwork"],
            "claim_mappings": {"team": "team"}, "token_policies": ["reader"],
        });
        api.write(&format!("{at}/role/people"), &role).ok();
    }

    fn works(&self, api: &Api, at: &str) {
        logs_in(api, at, &self.login("boltwork"), ("team", "red"));
        let public = api.without_token();
        public.write(&format!("{at}/login"), &self.login("another")).refused(&["audience"]);
        let claims = json!({"sub": "somebody", "aud": "boltwork", "team": "red"});
        let forged = json!({"role": "people", "jwt": Issuer::new().sign(&claims, 300)});
        public.write(&format!("{at}/login"), &forged).refused(&["signature"]);
    }
}

#[test]
fn vault_plugin_auth_jwt() {
    let foreign = Foreign {
        plugin: "vault-plugin-auth-jwt@v0.26.1",
        kind: "auth",
        scenario: "a login with a signed JWT; another audience and a forged signature are refused",
        env: &[],
    };
    lead(&foreign, &Jwt(Issuer::new()));
}

struct Kubernetes(Cluster);

impl Scenario for Kubernetes {
    fn configure(&self, api: &Api, at: &str) {
        let config = json!({
            "kubernetes_host": self.0.url(), "token_reviewer_jwt": ADMINISTRATOR,
            "pem_keys": [self.0.public_key()], "disable_local_ca_jwt": true,
        });
        api.write(&format!("{at}/config"), &config).ok();
        let role = json!({
            "bound_service_account_names": ["robot"],
            "bound_service_account_namespaces": ["apps"], "token_policies": ["reader"],
        });
        api.write(&format!("{at}/role/robots"), &role).ok();
    }

    fn works(&self, api: &Api, at: &str) {
        let body = |token: &str| json!({"role": "robots", "jwt": token});
        let token = self.0.token("apps", "robot");
        logs_in(api, at, &body(&token), ("service_account_name", "robot"));
        self.0.revoke(&token);
        let public = api.without_token();
        public.write(&format!("{at}/login"), &body(&token)).status(403);
        let other = self.0.token("apps", "human");
        public.write(&format!("{at}/login"), &body(&other)).refused(&["not authorized"]);
    }
}

#[test]
fn vault_plugin_auth_kubernetes() {
    let foreign = Foreign {
        plugin: "vault-plugin-auth-kubernetes@v0.23.1",
        kind: "auth",
        scenario: "a login with a service account's token, reviewed by a stand-in of the cluster",
        env: &[],
    };
    lead(&foreign, &Kubernetes(Cluster::start()));
}
