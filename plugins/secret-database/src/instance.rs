//! One open connection: calls with an end, and errors without the connection's secrets.

use std::{future::Future, sync::Arc, time::Duration};

use boltwork_sdk::logical::{
    Credential, Data, Database, DatabaseError, Error, MadeUser, NewUser, OpenedDatabase,
    SecretText, UserChange,
};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use zeroize::Zeroizing;

use crate::details::Details;

/// How long a database may take for one call. A plugin that hangs must not hold up whoever waits
/// for the connection, nor keep work going for ever after its caller has left.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long closing may take before nobody waits for it any more.
const CLOSING: Duration = Duration::from_secs(5);

/// A call that failed.
pub struct Failed {
    /// What to say.
    pub error: Error,
    /// Whether the database surely did not do it. A plugin that died, and one that was waited for in
    /// vain, may have got it done.
    pub undone: bool,
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        failed.error
    }
}

/// An open connection.
pub struct Instance {
    database: Arc<dyn Database>,
    /// What runs behind it.
    pub running_version: String,
    secrets: Vec<Zeroizing<String>>,
    /// Calls hold it shared; who changes the connection's own credentials, alone.
    gate: RwLock<()>,
}

impl Instance {
    /// Hands a configuration over. Answers with what is to be kept of it; on failure the connection
    /// is closed.
    pub async fn initialize(
        opened: OpenedDatabase,
        details: &Details,
        verify: bool,
    ) -> Result<(Arc<Self>, Details), Error> {
        let instance = Arc::new(Self {
            database: opened.database,
            running_version: opened.running_version,
            secrets: details.secrets(),
            gate: RwLock::default(),
        });
        let kept = async {
            let call = instance.database.initialize(details.data()?, verify);
            Details::of(&instance.call("initialize", call).await?)
        };
        match kept.await {
            Ok(kept) => Ok((instance, kept)),
            Err(error) => {
                instance.close().await;
                Err(error)
            }
        }
    }

    /// Whether it can be used further.
    pub fn is_current(&self) -> bool {
        self.database.is_current()
    }

    /// Whether the plugin makes passwords itself.
    pub fn makes_passwords(&self) -> bool {
        self.database.makes_passwords()
    }

    /// While this is held the connection's credentials do not change.
    pub async fn shared(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read().await
    }

    /// While this is held nobody else uses the connection.
    pub async fn alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write().await
    }

    /// A password of the plugin's own making.
    pub async fn make_password(&self) -> Result<SecretText, Error> {
        Ok(self.call("generate a password", self.database.make_password()).await?)
    }

    /// Makes a user.
    pub async fn new_user(&self, user: NewUser) -> Result<MadeUser, Failed> {
        let secret = text_of(&user.credential);
        let call = self.database.new_user(user);
        self.call_with("create a user", secret.as_ref().map(|text| text.as_str()), call).await
    }

    /// Changes a user.
    pub async fn update_user(&self, change: UserChange) -> Result<(), Failed> {
        let secret = change.credential.as_ref().and_then(|(credential, _)| text_of(credential));
        let call = self.database.update_user(change);
        self.call_with("update a user", secret.as_ref().map(|text| text.as_str()), call).await
    }

    /// Removes a user, who may be gone already.
    pub async fn delete_user(&self, name: &str, statements: &[String]) -> Result<(), Error> {
        Ok(self.call("delete a user", self.database.delete_user(name, statements)).await?)
    }

    /// Has the plugin rotate the connection's own credentials; none if it cannot do that itself.
    pub async fn rotate_root(&self, statements: &[String]) -> Result<Option<Data>, Error> {
        let rotated = async {
            match self.database.rotate_root(statements).await {
                Ok(kept) => Ok(Some(kept)),
                Err(DatabaseError::Unsupported(_)) => Ok(None),
                Err(error) => Err(error),
            }
        };
        Ok(self.call("rotate the root credentials", rotated).await?)
    }

    /// Closes it, for a bounded time.
    pub async fn close(&self) {
        if tokio::time::timeout(CLOSING, self.database.close()).await.is_err() {
            tracing::warn!("a database plugin did not close its connection within {CLOSING:?}");
        }
    }

    async fn call<T>(
        &self,
        what: &str,
        work: impl Future<Output = Result<T, DatabaseError>>,
    ) -> Result<T, Failed> {
        self.call_with(what, None, work).await
    }

    /// A call that takes a secret of its own along.
    async fn call_with<T>(
        &self,
        what: &str,
        secret: Option<&str>,
        work: impl Future<Output = Result<T, DatabaseError>>,
    ) -> Result<T, Failed> {
        let error = match tokio::time::timeout(PATIENCE, work).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) => error,
            Err(_) => {
                let error = Error::unavailable(format!(
                    "the database did not {what} within {} seconds; whether it still does is not \
                     known",
                    PATIENCE.as_secs()
                ));
                return Err(Failed { error, undone: false });
            }
        };
        let undone = error != DatabaseError::Shutdown;
        let error = match self.clean(error, secret) {
            DatabaseError::Invalid(text) => Error::Invalid(text),
            other => Error::Internal(other.to_string()),
        };
        Err(Failed { error, undone })
    }

    /// Databases like to repeat what they were sent.
    fn clean(&self, error: DatabaseError, secret: Option<&str>) -> DatabaseError {
        let clean = |mut text: String| {
            let own = self.secrets.iter().map(|secret| secret.as_str());
            for secret in secret.into_iter().chain(own) {
                text = text.replace(secret, "[password]");
            }
            text
        };
        match error {
            DatabaseError::Failed(text) => DatabaseError::Failed(clean(text)),
            DatabaseError::Invalid(text) => DatabaseError::Invalid(clean(text)),
            other => other,
        }
    }
}

/// The secret text of a credential; none if it has none, or an empty one.
fn text_of(credential: &Credential) -> Option<Zeroizing<String>> {
    match credential {
        Credential::Password(text) if !text.is_empty() => {
            Some(Zeroizing::new(text.expose().to_owned()))
        }
        _ => None,
    }
}
