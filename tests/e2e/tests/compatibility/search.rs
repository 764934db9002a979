//! What stands in for Elasticsearch: the users and roles of its security API.
//!
//! Left out on purpose: everything else of Elasticsearch, searching first of all.

use crate::databases::Database;
use boltwork_e2e::{Asked, Replied, StandIn};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

const SECURITY: &str = "/_security/";

/// `elastic:the-administrator`, as HTTP's basic authentication has it.
const BASIC: &str = "Basic ZWxhc3RpYzp0aGUtYWRtaW5pc3RyYXRvcg==";

type Objects = Arc<Mutex<BTreeMap<String, Value>>>;

/// A cluster.
pub struct Search {
    objects: Objects,
    server: StandIn,
}

impl Search {
    /// A cluster with nobody in it.
    pub fn start() -> Self {
        let objects = Objects::default();
        let answering = Arc::clone(&objects);
        let server = StandIn::start(move |asked| answer(&answering, asked));
        Self { objects, server }
    }
}

fn answer(objects: &Objects, asked: &Asked) -> Replied {
    let replied = |status, body| Replied { status, body };
    if asked.header("authorization") != Some(BASIC) {
        return replied(401, json!({"error": "who are you?"}));
    }
    let Some(object) = asked.path.strip_prefix(SECURITY) else {
        return replied(400, json!({"error": "no such API"}));
    };
    let mut objects = objects.lock().unwrap_or_else(PoisonError::into_inner);
    match asked.method.as_str() {
        "PUT" | "POST" => {
            objects.insert(object.to_owned(), asked.json());
            replied(200, json!({"created": true}))
        }
        "DELETE" if objects.remove(object).is_some() => replied(200, json!({"found": true})),
        _ => replied(404, json!({})),
    }
}

impl Database for Search {
    fn config(&self) -> Value {
        json!({"url": self.server.url(), "username": "elastic", "password": "the-administrator"})
    }

    fn creation(&self) -> String {
        json!({"elasticsearch_role_definition": {"cluster": ["monitor"]}}).to_string()
    }

    fn lets_in(&self, name: &str, password: &str) -> bool {
        let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let user = objects.get(&format!("user/{name}"));
        let has_role = objects.contains_key(&format!("role/{name}"));
        assert_eq!(user.is_some(), has_role, "a user and its role come and go together");
        user.is_some_and(|user| user["password"] == password && user["roles"] == json!([name]))
    }
}
