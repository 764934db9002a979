//! The envelope that nearly every answer of the API comes in.
//!
//! Its contents are wiped when it is dropped. It has no `Debug`: it is made of secrets.

use zeroize::Zeroize;

use crate::error::Error;
use crate::json::Json;

/// An answer's envelope.
#[derive(Clone, Default)]
pub struct Secret {
    /// Id of the request this answers.
    pub request_id: String,
    /// Id of the lease, empty if there is none.
    pub lease_id: String,
    /// Seconds the lease lasts.
    pub lease_duration: i64,
    /// Whether the lease can be renewed.
    pub renewable: bool,
    /// The payload, sorted by key; `None` if absent or `null`.
    pub data: Option<Json>,
    /// What the caller ought to know although the call succeeded.
    pub warnings: Vec<String>,
    /// The token, if the call was a login or made one.
    pub auth: Option<Auth>,
    /// The wrapping token, if the answer was wrapped.
    pub wrap_info: Option<WrapInfo>,
}

/// A token that was given out.
#[derive(Clone)]
pub struct Auth(Json);

/// A wrapping token that was given out.
#[derive(Clone)]
pub struct WrapInfo(Json);

/// Order and default of each member of `auth`, as Vault's tools print them.
const AUTH_FIELDS: [(&str, Json); 11] = [
    ("client_token", Json::String(String::new())),
    ("accessor", Json::String(String::new())),
    ("policies", Json::Null),
    ("token_policies", Json::Null),
    ("identity_policies", Json::Null),
    ("metadata", Json::Null),
    ("orphan", Json::Bool(false)),
    ("entity_id", Json::String(String::new())),
    ("lease_duration", Json::Null),
    ("renewable", Json::Bool(false)),
    ("mfa_requirement", Json::Null),
];

/// The same for `wrap_info`.
const WRAP_FIELDS: [(&str, Json); 6] = [
    ("token", Json::String(String::new())),
    ("accessor", Json::String(String::new())),
    ("ttl", Json::Null),
    ("creation_time", Json::String(String::new())),
    ("creation_path", Json::String(String::new())),
    ("wrapped_accessor", Json::String(String::new())),
];

fn ordered(raw: &Json, fields: &[(&str, Json)]) -> Json {
    Json::record(fields.iter().map(|(name, default)| {
        let value = match raw.get(name) {
            Some(value) if !value.is_null() => value.clone(),
            _ if matches!(*name, "lease_duration" | "ttl") => Json::number(0),
            _ => default.clone(),
        };
        (*name, value)
    }))
}

impl Auth {
    /// The token itself.
    pub fn client_token(&self) -> &str {
        self.0.text("client_token")
    }

    /// All members, in the order Vault's tools print them.
    pub fn fields(&self) -> &Json {
        &self.0
    }
}

impl WrapInfo {
    /// The wrapping token itself.
    pub fn token(&self) -> &str {
        self.0.text("token")
    }

    /// All members, in the order Vault's tools print them.
    pub fn fields(&self) -> &Json {
        &self.0
    }
}

impl Secret {
    /// An envelope around a token that was looked up rather than given out.
    pub fn with_auth(auth: &Json) -> Self {
        let mut secret = Self::default();
        secret.auth = Some(Auth(ordered(auth, &AUTH_FIELDS)));
        secret
    }

    /// Reads an answer's body. An empty body is no secret; a body that is not an envelope becomes
    /// the `data` of one, as Vault's own client has it.
    ///
    /// # Errors
    /// The body is not a JSON object, or holds `errors` beside something else.
    pub fn parse(body: &[u8]) -> Result<Option<Self>, Error> {
        if body.is_empty() {
            return Ok(None);
        }
        let mut raw = Json::parse(body).map_err(Error::Decode)?;
        if raw.as_object().is_none() {
            raw.zeroize();
            return Err(Error::Decode("it is JSON, but not an object".into()));
        }
        let secret = Self::from_envelope(&raw);
        if !secret.is_blank() {
            raw.zeroize();
            return Ok(Some(secret));
        }
        match raw.get("errors") {
            Some(_) if raw.as_object().is_some_and(|fields| fields.len() == 1) => Ok(None),
            Some(errors) => {
                let texts: Vec<&str> =
                    errors.as_array().unwrap_or_default().iter().filter_map(Json::as_str).collect();
                Err(Error::Decode(texts.join(" ")))
            }
            None if raw.as_object().is_some_and(<[_]>::is_empty) => Ok(Some(Self::default())),
            None => {
                let mut secret = Self::default();
                secret.data = Some(raw);
                Ok(Some(secret))
            }
        }
    }

    fn from_envelope(raw: &Json) -> Self {
        let object = |key| raw.get(key).filter(|v| v.as_object().is_some());
        let warnings = raw.get("warnings").and_then(Json::as_array).unwrap_or_default();
        Self {
            request_id: raw.text("request_id").to_owned(),
            lease_id: raw.text("lease_id").to_owned(),
            lease_duration: raw.int("lease_duration"),
            renewable: raw.flag("renewable"),
            data: object("data").cloned(),
            warnings: warnings.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
            auth: object("auth").map(|a| Auth(ordered(a, &AUTH_FIELDS))),
            wrap_info: object("wrap_info").map(|w| WrapInfo(ordered(w, &WRAP_FIELDS))),
        }
    }

    fn is_blank(&self) -> bool {
        self.request_id.is_empty()
            && self.lease_id.is_empty()
            && self.lease_duration == 0
            && !self.renewable
            && self.data.is_none()
            && self.warnings.is_empty()
            && self.auth.is_none()
            && self.wrap_info.is_none()
    }

    /// Whether it says anything at all: a 404 that does is an answer, not an absence.
    pub fn has_content(&self) -> bool {
        !self.warnings.is_empty()
            || self.data.as_ref().and_then(Json::as_object).is_some_and(|d| !d.is_empty())
    }

    /// A member of the payload.
    pub fn field(&self, key: &str) -> Option<&Json> {
        self.data.as_ref()?.get(key)
    }

    /// The envelope as JSON, in the order Vault's tools print it.
    pub fn to_json(&self) -> Json {
        let warnings = match self.warnings.as_slice() {
            [] => Json::Null,
            some => Json::strings(some.iter().cloned()),
        };
        let mut fields = vec![
            ("request_id", Json::from(self.request_id.as_str())),
            ("lease_id", Json::from(self.lease_id.as_str())),
            ("lease_duration", Json::number(self.lease_duration)),
            ("renewable", Json::Bool(self.renewable)),
            ("data", self.data.clone().unwrap_or(Json::Null)),
            ("warnings", warnings),
        ];
        if let Some(auth) = &self.auth {
            fields.push(("auth", auth.0.clone()));
        }
        if let Some(wrap) = &self.wrap_info {
            fields.push(("wrap_info", wrap.0.clone()));
        }
        Json::record(fields)
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        if let Some(data) = &mut self.data {
            data.zeroize();
        }
        if let Some(auth) = &mut self.auth {
            auth.0.zeroize();
        }
        if let Some(wrap) = &mut self.wrap_info {
            wrap.0.zeroize();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_prints_in_vaults_order() {
        let body = br#"{"auth":null,"data":{"b":1,"a":"x"},"lease_duration":60,"lease_id":"",
            "renewable":false,"request_id":"r","warnings":null,"wrap_info":null}"#;
        let secret = Secret::parse(body).expect("valid").expect("present");
        assert_eq!(
            secret.to_json().compact(),
            r#"{"request_id":"r","lease_id":"","lease_duration":60,"renewable":false,"data":{"a":"x","b":1},"warnings":null}"#
        );
    }

    #[test]
    fn an_answer_that_is_no_envelope_becomes_the_data_of_one() {
        let secret = Secret::parse(br#"{"sealed":false}"#).expect("valid").expect("present");
        assert_eq!(secret.field("sealed"), Some(&Json::Bool(false)));
    }

    #[test]
    fn nothing_and_an_error_list_alone_are_no_secret() {
        assert!(Secret::parse(b"").expect("valid").is_none());
        assert!(Secret::parse(br#"{"errors":[]}"#).expect("valid").is_none());
    }
}
