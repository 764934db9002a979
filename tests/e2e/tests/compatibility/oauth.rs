//! Puppet's engine for OAuth 2.0, and the token endpoint of an authorization server that it talks to
//! (RFC 6749, sections 4.1.3, 4.4 and 6).
//!
//! Left out on purpose: browsers, devices, and the providers that the engine knows by name.

use crate::life::{Foreign, Scenario, lead};
use boltwork_e2e::{Api, Asked, Replied, StandIn};
use serde_json::json;
use std::sync::{Arc, Mutex, PoisonError};

/// `boltwork:the-secret`, as HTTP's basic authentication has it.
const BASIC: &str = "Basic Ym9sdHdvcms6dGhlLXNlY3JldA==";
/// What a user's consent came to.
const CODE: &str = "the-code";

/// Who got a token, and by what: `GRANT NUMBER`, in their order.
type Issued = Arc<Mutex<Vec<String>>>;

/// An authorization server.
struct Authorizer {
    server: StandIn,
    issued: Issued,
}

impl Authorizer {
    fn start() -> Self {
        let issued = Issued::default();
        let answering = Arc::clone(&issued);
        let server = StandIn::start(move |asked| answer(&answering, asked));
        Self { server, issued }
    }

    fn has_issued(&self, token: &str) -> bool {
        self.issued.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|it| it == token)
    }
}

/// What a code is exchanged for is good for a moment only, so that the first read has to refresh it.
fn answer(issued: &Issued, asked: &Asked) -> Replied {
    let refused = |error: &str| Replied { status: 400, body: json!({ "error": error }) };
    if asked.header("authorization") != Some(BASIC) {
        return Replied { status: 401, body: json!({"error": "invalid_client"}) };
    }
    let form = String::from_utf8_lossy(&asked.body);
    let field = |name: &str| {
        form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap_or("")
    };
    let mut issued = issued.lock().unwrap_or_else(PoisonError::into_inner);
    let number = issued.len();
    let (seconds, refresh) = match (field("grant_type"), field("code"), field("refresh_token")) {
        ("client_credentials", ..) => (3600, None),
        ("authorization_code", CODE, _) => (2, Some("for-good")),
        ("refresh_token", _, "for-good") => (3600, Some("for-good")),
        ("authorization_code" | "refresh_token", ..) => return refused("invalid_grant"),
        _ => return refused("unsupported_grant_type"),
    };
    let token = format!("{}-{number}", field("grant_type"));
    issued.push(token.clone());
    let mut body = json!({"access_token": token, "token_type": "Bearer", "expires_in": seconds});
    if let Some(refresh) = refresh {
        body["refresh_token"] = json!(refresh);
    }
    Replied { status: 200, body }
}

impl Scenario for Authorizer {
    fn configure(&self, api: &Api, at: &str) {
        let server = json!({
            "provider": "custom",
            "provider_options": {
                "token_url": format!("{}/token", self.server.url()), "auth_style": "in_header",
            },
            "client_id": "boltwork", "client_secret": "the-secret",
        });
        api.write(&format!("{at}/servers/acme"), &server).ok();
        api.write(&format!("{at}/self/machine"), &json!({"server": "acme", "scopes": ["read"]}))
            .ok();
        api.write(&format!("{at}/creds/person"), &json!({"server": "acme", "code": CODE})).ok();
    }

    fn works(&self, api: &Api, at: &str) {
        let machine = api.read(&format!("{at}/self/machine")).ok();
        let token = machine.string("access_token");
        assert!(token.starts_with("client_credentials-") && self.has_issued(&token), "{token}");
        assert_eq!(machine.string("type"), "Bearer");
        // Kept by the engine until it expires.
        assert_eq!(api.read(&format!("{at}/self/machine")).ok().string("access_token"), token);

        let token = api.read(&format!("{at}/creds/person")).ok().string("access_token");
        assert!(token.starts_with("refresh_token-") && self.has_issued(&token), "{token}");
        let wrong = json!({"server": "acme", "code": "another"});
        api.write(&format!("{at}/creds/nobody"), &wrong).refused(&["invalid_grant"]);
        api.read(&format!("{at}/creds/nobody")).status(404);
        let server = api.read(&format!("{at}/servers/acme")).ok().json().to_string();
        assert!(!server.contains("the-secret"), "{server}");
    }
}

#[test]
fn vault_plugin_secrets_oauthapp() {
    let foreign = Foreign {
        plugin: "vault-plugin-secrets-oauthapp@v3.0.0",
        kind: "secret",
        scenario: "a machine's and a user's tokens from a stand-in of an authorization server, \
                   refreshed when they expire",
        env: &[],
    };
    lead(&foreign, &Authorizer::start());
}
