//! What exists only while the server is unsealed: one value, made by unsealing and dropped whole by
//! sealing.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};

use boltwork_logical::{Backend, Error, Plugins, Setup};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{
    audit::Audit,
    backends,
    identity::IdentityStore,
    leases::Leases,
    lifecycle::Core,
    metrics::Metrics,
    mounts::{Mounts, ServerFacts, Views},
    passwords::PasswordPolicies,
    plugin_server::ForPlugins,
    policies::Policies,
    tokens::TokenStore,
    wrapping::JwtKey,
};

/// The unsealed server.
pub struct Active {
    /// Mounts and the way to them.
    pub mounts: Arc<Mounts>,
    /// Tokens.
    pub tokens: Arc<TokenStore>,
    /// Entities and groups.
    pub identity: Arc<IdentityStore>,
    /// Leases.
    pub leases: Arc<Leases>,
    /// Audit devices.
    pub audit: Arc<Audit>,
    /// Policies.
    pub policies: Arc<Policies>,
    /// Password policies.
    pub passwords: PasswordPolicies,
    /// What wrapping tokens in JWT format are signed with.
    pub jwt_key: JwtKey,
    /// The plugin catalog and its processes.
    pub plugins: Arc<dyn Plugins>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The whole server, for the system backend: sealing, status.
    pub core: Weak<Core>,
    /// Whether requests are answered: the first thing after this value is made.
    serving: watch::Sender<bool>,
    me: Weak<Self>,
    tasks: Mutex<Vec<tokio::task::JoinHandle<()>>>,
}

impl Active {
    /// Reads what is stored, and starts everything that runs. Does not wait for plugins.
    pub async fn open(
        core: Weak<Core>,
        views: Views,
        plugins: Arc<dyn Plugins>,
        facts: Arc<ServerFacts>,
    ) -> Result<Arc<Self>, Error> {
        // First of all: nothing may happen unwatched.
        let audit = Arc::new(Audit::open(Arc::clone(&views)).await?);
        let api_addr = facts.api_addr.clone();
        let jwt_key = JwtKey::open(&*views("core/wrapping/"), api_addr.clone()).await?;
        let policies = Arc::new(Policies::new(views("sys/policy/")));
        policies.seed().await?;
        let mounts = Arc::new(Mounts::load(Arc::clone(&views), Arc::clone(&plugins), facts).await?);
        let cubbyhole = mounts
            .at("cubbyhole/")
            .ok_or_else(|| Error::internal("the mount table has no cubbyhole"))?;
        let whose = mounts
            .at("identity/")
            .ok_or_else(|| Error::internal("the mount table has no identity"))?;
        let identity = IdentityStore::load(Arc::clone(&whose.storage)).await?;
        let leases = Arc::new(Leases::new(views("sys/expire/")));
        let tokens = TokenStore::open(
            views("sys/token/"),
            Arc::clone(&cubbyhole.storage),
            Arc::clone(&policies),
            Arc::clone(&identity),
            Arc::clone(&leases),
            core.upgrade().ok_or(Error::Sealed)?.barrier().clone(),
        )
        .await?;
        let tokens = Arc::new(tokens);
        let metrics = Arc::clone(core.upgrade().ok_or(Error::Sealed)?.metrics());
        let active = Arc::new_cyclic(|me| Self {
            me: me.clone(),
            mounts,
            tokens,
            identity,
            leases,
            audit,
            policies,
            passwords: PasswordPolicies::new(views("sys/password_policy/")),
            jwt_key,
            plugins,
            metrics,
            core,
            tasks: Mutex::default(),
            serving: watch::Sender::new(false),
        });
        let own = active.own_backends()?;
        active.mounts.belong_to(Arc::downgrade(&active));
        active.leases.belong_to(Arc::downgrade(&active));
        let server = ForPlugins::new(&active, active.serving.subscribe(), api_addr);
        let catalog = views("core/plugin-catalog/");
        active.plugins.open(catalog, Arc::new(server)).await?;
        active.mounts.install(&own);
        active.mounts.start_all();
        active.start_tasks();
        Ok(active)
    }

    /// Starts what goes on by itself. Last of all: what is due at this moment needs the rest of the
    /// server, and mounts that are starting at least.
    fn start_tasks(&self) {
        let (tokens, leases) = (&self.tokens, &self.leases);
        *self.tasks.lock() = vec![
            tokio::spawn(TokenStore::run_expiry(Arc::downgrade(tokens))),
            tokio::spawn(recover(Arc::downgrade(tokens), Arc::downgrade(leases))),
            tokio::spawn(Leases::run(Arc::downgrade(leases))),
            tokio::spawn(Mounts::run_rollbacks(Arc::downgrade(&self.mounts))),
        ];
    }

    fn own_backends(self: &Arc<Self>) -> Result<BTreeMap<&'static str, Arc<dyn Backend>>, Error> {
        let mut made = BTreeMap::new();
        for (point, kind) in [
            ("sys/", "system"),
            ("cubbyhole/", "cubbyhole"),
            ("identity/", "identity"),
            ("auth/token/", "token"),
        ] {
            let mount = self
                .mounts
                .at(point)
                .ok_or_else(|| Error::internal(format!("the mount table has no {point}")))?;
            let (_, setup): (_, Setup) = self.mounts.setup_of(&mount);
            made.insert(kind, backends::create(kind, Arc::downgrade(self), setup)?);
        }
        Ok(made)
    }

    /// From now on requests are answered.
    pub fn serve(&self) {
        self.serving.send_replace(true);
    }

    /// This server, for work that goes on by itself.
    pub fn whole(&self) -> Result<Arc<Self>, Error> {
        self.me.upgrade().ok_or(Error::Sealed)
    }

    /// Ends everything that runs: backends first, then plugin processes.
    pub async fn close(&self) {
        for task in self.tasks.lock().iter() {
            task.abort();
        }
        self.mounts.stop_all().await;
        self.plugins.close().await;
        self.audit.broker.clear();
    }
}

/// Reads all tokens and leases; again after a pause if storage failed meanwhile.
async fn recover(tokens: Weak<TokenStore>, leases: Weak<Leases>) {
    loop {
        let (Some(store), Some(kept)) = (tokens.upgrade(), leases.upgrade()) else { return };
        let read = match kept.recover().await {
            Ok(()) => store.recover().await,
            failed => failed,
        };
        match read {
            Ok(()) | Err(Error::Sealed) => return,
            Err(error) => tracing::error!(
                %error,
                "the stored tokens and leases could not be read through after unsealing; trying again"
            ),
        }
        drop((store, kept));
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
}
