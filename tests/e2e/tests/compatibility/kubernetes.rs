//! What stands in for the API server of a Kubernetes cluster: it creates and deletes objects,
//! issues tokens for service accounts, and says of a token whether it is one of its own.
//!
//! Left out on purpose: everything else of Kubernetes, RBAC first of all.

use crate::signed::Issuer;
use boltwork_e2e::{Asked, Replied, StandIn};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The bearer that the cluster lets in.
pub const ADMINISTRATOR: &str = "the-administrator-of-the-cluster";

/// A cluster.
pub struct Cluster {
    state: Arc<State>,
    server: StandIn,
}

struct State {
    issuer: Issuer,
    objects: Mutex<BTreeSet<String>>,
    tokens: Mutex<Vec<String>>,
}

impl Cluster {
    /// A cluster with nothing in it.
    pub fn start() -> Self {
        let state = Arc::new(State {
            issuer: Issuer::new(),
            objects: Mutex::default(),
            tokens: Mutex::default(),
        });
        let answering = Arc::clone(&state);
        let server = StandIn::start(move |asked| answering.answer(asked));
        Self { state, server }
    }

    /// Where its API is.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The key of its service accounts' tokens.
    pub fn public_key(&self) -> &str {
        &self.state.issuer.public
    }

    /// A token of a service account.
    pub fn token(&self, namespace: &str, account: &str) -> String {
        self.state.token(namespace, account, 600)
    }

    /// Takes a token back, as deleting the service account does.
    pub fn revoke(&self, token: &str) {
        lock(&self.state.tokens).retain(|known| known != token);
    }

    /// Whether there is an object, such as `serviceaccounts/NAME`.
    pub fn has(&self, object: &str) -> bool {
        lock(&self.state.objects).iter().any(|path| path.ends_with(object))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn token(&self, namespace: &str, account: &str, seconds: u64) -> String {
        let claims = json!({
            "iss": "kubernetes/serviceaccount",
            "sub": format!("system:serviceaccount:{namespace}:{account}"),
            "kubernetes.io": {
                "namespace": namespace,
                "serviceaccount": {"name": account, "uid": format!("uid-of-{account}")},
            },
        });
        let token = self.issuer.sign(&claims, seconds);
        lock(&self.tokens).push(token.clone());
        token
    }

    fn answer(&self, asked: &Asked) -> Replied {
        let bearer = asked.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        if bearer != Some(ADMINISTRATOR) {
            return status(401, "Unauthorized");
        }
        let path = asked.path.split('?').next().unwrap_or_default();
        match asked.method.as_str() {
            "POST" if path.ends_with("/tokenreviews") => self.review(&asked.json()),
            "POST" if path.ends_with("/token") => self.request_token(path, &asked.body),
            "POST" => self.create(path, &asked.body),
            "DELETE" if lock(&self.objects).remove(path) => Replied {
                status: 200,
                body: json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}),
            },
            _ => status(404, "NotFound"),
        }
    }

    fn review(&self, body: &Value) -> Replied {
        let token = body["spec"]["token"].as_str().unwrap_or_default();
        let known = lock(&self.tokens).iter().any(|known| known == token);
        let status = if known {
            json!({"authenticated": true, "user": {
                "username": "system:serviceaccount:apps:robot", "uid": "uid-of-robot"}})
        } else {
            json!({"authenticated": false})
        };
        let body = json!({
            "kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "status": status});
        Replied { status: 201, body }
    }

    /// `/api/v1/namespaces/NAMESPACE/serviceaccounts/ACCOUNT/token`
    fn request_token(&self, path: &str, body: &[u8]) -> Replied {
        let parts: Vec<&str> = path.split('/').collect();
        let (namespace, account) = (parts[4], parts[6]);
        if !lock(&self.objects).contains(path.trim_end_matches("/token")) {
            return status(404, "NotFound");
        }
        // TokenRequest: the specification is field 2, the seconds to expiry its field 4.
        let Some(Field::Number(seconds)) =
            object(body).and_then(|body| at(body, 2)).and_then(|field| at(field.bytes()?, 4))
        else {
            return status(422, "Invalid");
        };
        let body = json!({
            "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": account, "namespace": namespace},
            "status": {
                "token": self.token(namespace, account, seconds),
                "expirationTimestamp": "2100-01-01T00:00:00Z",
            },
        });
        Replied { status: 201, body }
    }

    fn create(&self, path: &str, body: &[u8]) -> Replied {
        // Every object has its metadata in field 1, and these have the name in field 1.
        let name = object(body)
            .and_then(|body| at(body, 1))
            .and_then(|metadata| at(metadata.bytes()?, 1))
            .and_then(|name| String::from_utf8(name.bytes()?.to_vec()).ok());
        let Some(name) = name else { return status(422, "Invalid") };
        if !lock(&self.objects).insert(format!("{path}/{name}")) {
            return status(409, "AlreadyExists");
        }
        let (kind, version) = if path.ends_with("/rolebindings") {
            ("RoleBinding", "rbac.authorization.k8s.io/v1")
        } else {
            ("ServiceAccount", "v1")
        };
        let metadata = json!({"name": name, "uid": format!("uid-of-{name}")});
        let body = json!({"kind": kind, "apiVersion": version, "metadata": metadata});
        Replied { status: 201, body }
    }
}

/// A field of a protobuf message.
#[derive(Clone, Copy)]
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Number(_) => None,
        }
    }
}

/// The object in a body as Kubernetes' clients send it: four bytes, and a message whose field 2
/// it is.
fn object(body: &[u8]) -> Option<&[u8]> {
    at(body.strip_prefix(b"k8s\0")?, 2)?.bytes()
}

/// The first field of this number.
fn at(mut message: &[u8], wanted: u64) -> Option<Field<'_>> {
    loop {
        let key = varint(&mut message)?;
        let field = match key & 7 {
            0 => Field::Number(varint(&mut message)?),
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                let (bytes, rest) = message.split_at_checked(length)?;
                message = rest;
                Field::Bytes(bytes)
            }
            _ => return None,
        };
        if key >> 3 == wanted {
            return Some(field);
        }
    }
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn status(code: u16, reason: &str) -> Replied {
    Replied {
        status: code,
        body: json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
            "reason": reason, "message": reason}),
    }
}
