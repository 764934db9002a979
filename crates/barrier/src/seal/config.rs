//! The seal's configuration and its JSON form: HashiCorp's fields and OpenBao's. Leaves out PGP encryption of shares.

use serde::{Deserialize, Serialize};

use crate::{Error, paths};

/// How the unseal key is split. Stored in the clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealConfig {
    /// The kind of seal: `shamir`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Into how many shares.
    pub secret_shares: u8,
    /// How many of them are needed.
    pub secret_threshold: u8,
    /// Public keys for which shares were encrypted; kept when read, not used.
    #[serde(default)]
    pub pgp_keys: Option<Vec<String>>,
    /// Not used by this seal; kept for the form's sake.
    #[serde(default)]
    pub nonce: String,
    /// Not used by this seal; kept for the form's sake.
    #[serde(default)]
    pub backup: bool,
    /// HashiCorp's mark that the root key is stored encrypted under the unseal key. OpenBao ignores it.
    #[serde(default)]
    pub stored_shares: u8,
}

impl SealConfig {
    const KIND: &'static str = "shamir";

    /// A Shamir seal with this many shares.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`], in the words that clients know.
    pub fn new(secret_shares: u8, secret_threshold: u8) -> Result<Self, Error> {
        let config = Self {
            kind: Self::KIND.into(),
            secret_shares,
            secret_threshold,
            pgp_keys: None,
            nonce: String::new(),
            backup: false,
            stored_shares: 1,
        };
        config.validate()?;
        Ok(config)
    }

    fn validate(&self) -> Result<(), Error> {
        let (shares, threshold) = (self.secret_shares, self.secret_threshold);
        let wrong = if shares < 1 {
            "shares must be at least one"
        } else if threshold < 1 {
            "threshold must be at least one"
        } else if shares > 1 && threshold < 2 {
            "threshold must be greater than one for multiple shares"
        } else if threshold > shares {
            "threshold cannot be larger than shares"
        } else {
            return Ok(());
        };
        Err(Error::InvalidConfig(wrong.into()))
    }

    pub(super) fn to_json(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(self)
            .map_err(|_| Error::Crypto("a seal configuration cannot be encoded"))
    }

    pub(super) fn from_json(json: &[u8]) -> Result<Self, Error> {
        let damaged = |reason: String| Error::damaged(paths::SEAL_CONFIG, reason);
        let mut config: Self = serde_json::from_slice(json)
            .map_err(|e| damaged(format!("it is no seal configuration: {e}")))?;
        if config.kind.is_empty() {
            config.kind = Self::KIND.into();
        }
        if config.kind != Self::KIND {
            return Err(damaged(format!("the seal type {:?} is not supported", config.kind)));
        }
        config.validate()?;
        Ok(config)
    }
}
