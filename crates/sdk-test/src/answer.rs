//! What a mount answered, in a form that tests can look into.

use std::{fmt, ops::Index};

use boltwork_logical::{Auth, Error, Reply, Secret};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A reply, or none. Looking for something that is not there fails the test.
#[derive(Debug, Clone)]
pub struct Answer {
    reply: Option<Reply>,
    data: Value,
}

/// A refusal or a failure: what the caller would read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(pub Error);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Refused {}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl Answer {
    /// A reply as tests see it; an error response is a refusal.
    pub(crate) fn of(reply: Option<Reply>) -> Result<Self, Refused> {
        if let Some(text) = reply.as_ref().and_then(Reply::error_text) {
            return Err(Refused(Error::Invalid(text)));
        }
        let data = reply.as_ref().map(|reply| reply.data.decode());
        let data = data.transpose().map_err(|error| Refused(error.into()))?;
        Ok(Self { reply, data: data.unwrap_or_default() })
    }

    /// Whether there was no reply: 204 for a write, 404 for a read.
    pub fn is_empty(&self) -> bool {
        self.reply.is_none()
    }

    /// The payload; `null` if there is none.
    pub fn data(&self) -> &Value {
        &self.data
    }

    /// The payload as a type of the test's.
    #[track_caller]
    pub fn decode<T: DeserializeOwned>(&self) -> T {
        serde_json::from_value(self.data.clone()).expect("the payload should have this shape")
    }

    /// A text in the payload.
    #[track_caller]
    pub fn str(&self, field: &str) -> &str {
        let found = self.data.get(field).and_then(Value::as_str);
        found.unwrap_or_else(|| panic!("no text {field:?} in {}", self.data))
    }

    /// A number in the payload.
    #[track_caller]
    pub fn number(&self, field: &str) -> i64 {
        let found = self.data.get(field).and_then(Value::as_i64);
        found.unwrap_or_else(|| panic!("no whole number {field:?} in {}", self.data))
    }

    /// The keys of a list; none if there was no reply.
    #[track_caller]
    pub fn keys(&self) -> Vec<&str> {
        match self.data.get("keys") {
            Some(keys) => keys
                .as_array()
                .and_then(|keys| keys.iter().map(Value::as_str).collect())
                .expect("keys are a list of texts"),
            None => Vec::new(),
        }
    }

    /// What the caller is told beside the payload.
    pub fn warnings(&self) -> &[String] {
        self.reply.as_ref().map_or(&[], |reply| &reply.warnings)
    }

    /// The lease that the payload came with.
    #[track_caller]
    pub fn secret(&self) -> &Secret {
        let secret = self.reply.as_ref().and_then(|reply| reply.secret.as_deref());
        secret.expect("there should be a lease")
    }

    /// The login that succeeded.
    #[track_caller]
    pub fn auth(&self) -> &Auth {
        let auth = self.reply.as_ref().and_then(|reply| reply.auth.as_deref());
        auth.expect("there should be a login")
    }

    /// The whole reply.
    pub fn reply(&self) -> Option<&Reply> {
        self.reply.as_ref()
    }
}

impl Index<&str> for Answer {
    type Output = Value;

    fn index(&self, field: &str) -> &Value {
        &self.data[field]
    }
}
