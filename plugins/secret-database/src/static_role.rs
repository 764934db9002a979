//! Static roles as they are stored: a user that exists already, and its credential, which the engine
//! changes. The form is that of Vault's engine, with one thing more: the credential that is about to
//! replace the present one.

use std::time::{Duration, SystemTime};

use boltwork_sdk::{
    Result, StorageExt,
    logical::{Error, SecretText, Storage},
};
use serde::{Deserialize, Deserializer, Serialize};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::credentials::Made;
use crate::role::{CredentialKind, RoleStatements, from_nanos, to_nanos};
use crate::schedule::Schedule;
use crate::settings::Settings;

/// Where static roles are kept. Names are unique over both kinds of roles.
pub const PREFIX: &str = "static-role/";

/// A static role.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StaticRole {
    /// Name of the connection.
    pub db_name: String,
    pub statements: RoleStatements,
    pub credential_type: CredentialKind,
    pub credential_config: Option<Settings>,
    pub static_account: Account,
}

/// The user and its credential.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    pub username: String,
    pub password: Zeroizing<String>,
    /// PEM, in base64 once more, as Go stores bytes.
    #[serde(deserialize_with = "null_is_empty")]
    pub private_key: Zeroizing<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub last_vault_rotation: OffsetDateTime,
    #[serde(serialize_with = "to_nanos", deserialize_with = "from_nanos")]
    pub rotation_period: Duration,
    /// Five fields of cron; empty if the period decides.
    pub rotation_schedule: String,
    /// How long after its scheduled time a rotation may still begin; zero for any time.
    #[serde(serialize_with = "to_nanos", deserialize_with = "from_nanos")]
    pub rotation_window: Duration,
    /// The credential that the database was, or is about to be, asked to take. Stored first: if
    /// anything fails after that, the next attempt asks for the same one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
}

/// A credential on its way into the database.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Pending {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Zeroizing<String>>,
    /// Public key, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// Private key, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<Zeroizing<String>>,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            username: String::new(),
            password: Zeroizing::default(),
            private_key: Zeroizing::default(),
            last_vault_rotation: never(),
            rotation_period: Duration::ZERO,
            rotation_schedule: String::new(),
            rotation_window: Duration::ZERO,
            pending: None,
        }
    }
}

/// Go writes no bytes as `null`.
fn null_is_empty<'de, D: Deserializer<'de>>(from: D) -> Result<Zeroizing<String>, D::Error> {
    Ok(Option::<Zeroizing<String>>::deserialize(from)?.unwrap_or_default())
}

/// Go's zero time.
fn never() -> OffsetDateTime {
    time::macros::datetime!(0001-01-01 00:00:00 UTC)
}

impl Pending {
    /// A credential that was just made.
    pub fn of(made: &Made) -> Self {
        let kept = |secret: &SecretText| Some(Zeroizing::new(secret.expose().to_owned()));
        match made {
            Made::Password(password) => Self { password: kept(password), ..Self::default() },
            Made::RsaKey { public, private } => Self {
                public_key: Some(String::from_utf8_lossy(public).into_owned()),
                private_key: kept(private),
                ..Self::default()
            },
            // Not made for users that exist already.
            Made::Certificate(_) => Self::default(),
        }
    }

    /// The credential, if it is one of this kind.
    pub fn made(&self, kind: CredentialKind) -> Option<Made> {
        match kind {
            CredentialKind::Password => {
                let password = self.password.as_ref()?;
                Some(Made::Password(SecretText::new(password.as_str())))
            }
            CredentialKind::RsaPrivateKey => Some(Made::RsaKey {
                public: self.public_key.clone()?.into_bytes(),
                private: SecretText::new(self.private_key.as_ref()?.as_str()),
            }),
            CredentialKind::ClientCertificate => None,
        }
    }
}

impl StaticRole {
    /// The role of this name.
    pub async fn load(storage: &dyn Storage, name: &str) -> Result<Option<Self>> {
        storage.load(format!("{PREFIX}{name}")).await
    }

    pub async fn save(&self, storage: &dyn Storage, name: &str) -> Result<()> {
        storage.save(format!("{PREFIX}{name}"), self).await
    }
}

impl Account {
    /// Whether it was ever rotated.
    pub fn was_rotated(&self) -> bool {
        self.last_vault_rotation != never()
    }

    /// When the next rotation is due; none if never again.
    pub fn next(&self) -> Result<Option<OffsetDateTime>> {
        self.next_after(self.last_vault_rotation)
    }

    /// The same if the last one had been then.
    fn next_after(&self, last: OffsetDateTime) -> Result<Option<OffsetDateTime>> {
        if self.rotation_schedule.is_empty() {
            return Ok(last.checked_add(self.rotation_period.try_into().unwrap_or_default()));
        }
        let schedule = Schedule::parse(&self.rotation_schedule).map_err(|error| {
            Error::internal(format!("the stored rotation_schedule cannot be read: {error}"))
        })?;
        Ok(schedule.after(last))
    }

    /// When to rotate, seen from now. A scheduled time whose window is over has passed; the next one
    /// counts.
    pub fn due(&self, now: SystemTime) -> Result<Option<SystemTime>> {
        let now = OffsetDateTime::from(now);
        let mut due = self.next()?;
        if !self.rotation_schedule.is_empty()
            && !self.rotation_window.is_zero()
            && let Some(at) = due
            && at + self.rotation_window < now
        {
            // Somewhere between is a time whose window is still open, or the next is ahead.
            due = self.next_after(now - self.rotation_window)?;
        }
        Ok(due.map(SystemTime::from))
    }

    /// Whole seconds until the next rotation; zero if it is due.
    pub fn ttl(&self, now: SystemTime) -> Result<u64> {
        let Some(due) = self.due(now)? else { return Ok(0) };
        Ok(due.duration_since(now).unwrap_or_default().as_secs_f64().round() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn scheduled(window: u64) -> Account {
        Account {
            rotation_schedule: "0 6 * * *".into(),
            rotation_window: Duration::from_secs(window),
            last_vault_rotation: datetime!(2026-03-01 06:00:00 UTC),
            ..Account::default()
        }
    }

    #[test]
    fn a_missed_window_waits_for_the_next_scheduled_time() {
        let due = |window, now: OffsetDateTime| {
            scheduled(window).due(now.into()).unwrap().map(OffsetDateTime::from).unwrap()
        };
        let late = datetime!(2026-03-02 09:00:00 UTC);
        // Without a window it is done as soon as possible.
        assert_eq!(due(0, late), datetime!(2026-03-02 06:00:00 UTC));
        assert_eq!(due(4 * 3600, late), datetime!(2026-03-02 06:00:00 UTC));
        assert_eq!(due(3600, late), datetime!(2026-03-03 06:00:00 UTC));
        // Days later, inside the window of a later day.
        let later = datetime!(2026-03-05 06:30:00 UTC);
        assert_eq!(due(3600, later), datetime!(2026-03-05 06:00:00 UTC));
    }

    #[test]
    fn an_account_that_openbao_stored_is_read() {
        let text = r#"{"username":"app","password":"p","private_key":null,
            "last_vault_rotation":"2026-01-02T03:04:05.678Z","rotation_period":3600000000000,
            "revoke_user_on_delete":false}"#;
        let account: Account = serde_json::from_str(text).unwrap();
        assert_eq!(account.rotation_period, Duration::from_secs(3600));
        assert!(account.was_rotated() && account.pending.is_none());
        let now = datetime!(2026-01-02 03:04:05.678 UTC) + Duration::from_secs(600);
        assert_eq!(account.ttl(now.into()).unwrap(), 3000);
    }
}
