//! Initialization: keys are made, the first token is made, and the shares are shown once.
//!
//! All of it is made in memory and stored in one step, and taken back if whoever asked went away
//! before there was an answer: a server whose shares nobody knows would be lost.

use std::sync::Arc;

use boltwork_barrier::{
    Draft,
    seal::{Key, ShamirSeal},
};
use boltwork_logical::{SecretText, Storage};
use tokio::sync::oneshot;

use super::{Core, LifecycleError, seal::gone};
use crate::{
    leases::Leases,
    policies::Policies,
    tokens::{NewToken, TokenStore},
};

/// How to initialize.
#[derive(Default)]
pub struct InitRequest {
    /// Number of shares.
    pub secret_shares: u64,
    /// How many of them unseal.
    pub secret_threshold: u64,
    /// The first root token; `None` to have one made. For development servers.
    pub root_token: Option<SecretText>,
}

impl InitRequest {
    /// The numbers as the seal takes them. What it says of small ones comes before what is said
    /// here of large ones.
    fn numbers(&self) -> Result<(u8, u8), LifecycleError> {
        let number = |n: u64| u8::try_from(n).ok();
        let large = |what| {
            let text = format!("invalid seal configuration: {what} must be less than 256");
            Err(LifecycleError::Invalid(text))
        };
        match (number(self.secret_shares), number(self.secret_threshold)) {
            (Some(shares), Some(threshold)) => Ok((shares, threshold)),
            (None, Some(threshold @ ..2)) => Ok((u8::MAX, threshold)),
            (Some(shares @ ..1), None) => Ok((shares, u8::MAX)),
            (None, _) => large("shares"),
            (_, None) => large("threshold"),
        }
    }
}

/// What initialization gives, once.
pub struct InitResult {
    /// The shares of the unseal key.
    pub shares: Vec<Key>,
    /// The first root token.
    pub root_token: SecretText,
}

impl Core {
    /// Whether the server was initialized, now or in an earlier life.
    ///
    /// # Errors
    /// Storage cannot be read.
    pub async fn is_initialized(&self) -> Result<bool, LifecycleError> {
        self.barrier.is_initialized().await.map_err(Into::into)
    }

    /// Initializes the server, which stays sealed. If that fails, or the caller goes away before it
    /// is done, nothing is stored, and it can be asked for again.
    ///
    /// # Errors
    /// Wrong numbers, an already initialized server, or storage that cannot be written.
    pub async fn initialize(&self, request: InitRequest) -> Result<InitResult, LifecycleError> {
        let me = self.me.upgrade().ok_or_else(gone)?;
        let (tell, told) = oneshot::channel();
        // Carried through even if the client goes away: what is stored may have to be taken back.
        tokio::spawn(async move {
            let _one = me.transition.lock().await;
            let draft = Draft::default();
            let outcome = me.initialize_now(request, &draft).await;
            if let Err(Ok(_)) = tell.send(outcome) {
                me.take_back(&draft).await;
            }
        });
        told.await.unwrap_or_else(|_| Err(gone()))
    }

    /// The caller holds `transition`.
    async fn initialize_now(
        &self,
        request: InitRequest,
        draft: &Draft,
    ) -> Result<InitResult, LifecycleError> {
        self.end_leaving().await;
        if self.is_initialized().await? {
            return Err(LifecycleError::AlreadyInitialized);
        }
        let (shares, threshold) = request.numbers()?;
        let seal = ShamirSeal::new(draft.barrier().clone());
        let made = seal.initialize(shares, threshold).await?;
        draft.barrier().unseal(&made.root_key).await?;
        let root_token = first_token(draft, request.root_token).await?;
        draft.barrier().seal();
        let stored = draft.store_in(&self.barrier).await;
        self.seal.forget_config();
        stored?;
        Ok(InitResult { shares: made.shares, root_token })
    }

    /// Nobody was told the shares: nobody could ever unseal this.
    async fn take_back(&self, draft: &Draft) {
        match draft.take_back_from(&self.barrier).await {
            Ok(()) => tracing::warn!(
                "whoever initialized the server went away before they were told the key shares; the \
                 server is not initialized"
            ),
            Err(error) => tracing::error!(
                %error,
                "whoever initialized the server went away before they were told the key shares, and \
                 that could not be taken back: nobody can unseal this server. Stop it, remove its \
                 storage, and initialize it again"
            ),
        }
        self.seal.forget_config();
    }
}

/// Makes the first token, and the policies that every server has.
async fn first_token(draft: &Draft, id: Option<SecretText>) -> Result<SecretText, LifecycleError> {
    let view = |prefix: &str| -> Result<Arc<dyn Storage>, LifecycleError> {
        Ok(Arc::new(draft.barrier().view(prefix)?))
    };
    let policies = Arc::new(Policies::new(view("sys/policy/")?));
    policies.seed().await?;
    // Nothing is revoked here, so no cubbyhole is touched.
    let leases = Arc::new(Leases::new(view("sys/expire/")?));
    let cubbyholes = view("sys/token/none/")?;
    let tokens = TokenStore::open(
        view("sys/token/")?,
        cubbyholes,
        policies,
        Arc::default(),
        leases,
        draft.barrier().clone(),
    )
    .await?;
    let root = NewToken {
        id,
        policies: vec!["root".to_owned()],
        path: "auth/token/root".to_owned(),
        display_name: "root".to_owned(),
        ..NewToken::default()
    };
    Ok(tokens.create(root).await?.0)
}

impl From<boltwork_barrier::Error> for LifecycleError {
    fn from(error: boltwork_barrier::Error) -> Self {
        use boltwork_barrier::Error as E;
        match error {
            E::AlreadyInitialized => Self::AlreadyInitialized,
            E::NotInitialized => Self::NotInitialized,
            E::WrongKey | E::InvalidShare(_) | E::InvalidConfig(_) => {
                Self::Invalid(error.to_string())
            }
            _ => Self::Internal(error.to_string()),
        }
    }
}

impl From<boltwork_logical::Error> for LifecycleError {
    fn from(error: boltwork_logical::Error) -> Self {
        Self::Internal(error.to_string())
    }
}
