//! A mounted engine: finds the handler, calls it, and puts its answer into the joint's shape.

use std::{panic::AssertUnwindSafe, sync::Arc};

use boltwork_logical as logical;
use boltwork_logical::{
    Backend, BackendKind, BoxFuture, Data, Error, Existence, Failure, Operation, Setup,
    SpecialPaths, Storage,
};
use futures_util::FutureExt;

use crate::{
    Changed, Engine, Result,
    handler::Erased,
    help, lease,
    reply::LeaseWish,
    request::{Call, Notes, Source},
    table::{Line, Table},
    wal::{self, WalEntry},
};

/// An engine with its table and what it was given at birth.
pub(crate) struct Mounted<E> {
    pub engine: E,
    pub table: Arc<Table<E>>,
    pub setup: Arc<Setup>,
    special: Arc<SpecialPaths>,
}

/// Stands for the mount's UUID in what is said of storage keys.
const MOUNT_UUID: &str = "{mount_uuid}";

impl<E: Engine> Mounted<E> {
    /// Mounts an engine.
    pub fn new(engine: E, table: Arc<Table<E>>, setup: Setup) -> Self {
        let mut special = Arc::clone(&table.special);
        if special.read_ahead.iter().any(|rule| rule.key.contains(MOUNT_UUID)) {
            for rule in &mut Arc::make_mut(&mut special).read_ahead {
                rule.key = rule.key.replace(MOUNT_UUID, &setup.backend_uuid);
            }
        }
        Self { engine, table, setup: Arc::new(setup), special }
    }

    /// Routes a request. `Err` for what is the server's business to word.
    async fn answer(&self, request: logical::Request) -> Result<Option<logical::Reply>> {
        match request.operation {
            Operation::Renew if request.auth.is_some() => self.renew_login(request).await,
            Operation::Renew | Operation::Revoke => self.lease(request).await,
            Operation::Rollback => self.rollback(request).await,
            Operation::Help if request.path.is_empty() => {
                help::root(&self.table, &self.setup, &request).await.map(Some)
            }
            _ => self.routed(request).await,
        }
    }

    async fn routed(&self, request: logical::Request) -> Result<Option<logical::Reply>> {
        let found = self.table.find(&request.path);
        let (line, source) = found.ok_or(Error::UnsupportedPath)?;
        let Some(slot) = line.path.operations.get(&request.operation) else {
            return match request.operation {
                Operation::Help => help::path(line, &self.setup, &request).await.map(Some),
                _ => Err(Error::UnsupportedOperation),
            };
        };
        self.call(&slot.call, request, source).await
    }

    /// Calls one handler and finishes its reply.
    async fn call(
        &self,
        handler: &Erased<E>,
        request: logical::Request,
        source: Source,
    ) -> Result<Option<logical::Reply>> {
        let mut notes = Notes::default();
        let call = Call { request, setup: Arc::clone(&self.setup), source };
        let (mut reply, wish) = handler(&self.engine, call, &mut notes).await?.finish()?;
        if let Some(reply) = &mut reply {
            if let Some(wish) = wish {
                self.settle_lease(reply, &wish)?;
            }
            notes.warn(&mut reply.warnings);
        }
        Ok(reply)
    }

    /// A lease is only given if the table can take it back.
    fn settle_lease(&self, reply: &mut logical::Reply, wish: &LeaseWish) -> Result<()> {
        let Some(handlers) = self.table.routes.leases.get(&wish.kind) else {
            return Err(Error::internal(format!(
                "the engine gave a lease of kind {:?}, for which its table has no revocation",
                wish.kind
            )));
        };
        if let Some(secret) = &mut reply.secret {
            secret.lease.renewable = wish.renewable.unwrap_or(handlers.renew.is_some());
        }
        Ok(())
    }

    async fn renew_login(&self, request: logical::Request) -> Result<Option<logical::Reply>> {
        let Some(handler) = &self.table.routes.login_renewal else {
            return Err(Error::invalid("this auth type doesn't support renew"));
        };
        let internal = request.auth.as_ref().map_or_else(Data::null, |auth| auth.internal.clone());
        self.call(handler, request, Source::Remembered(internal)).await
    }

    async fn lease(&self, request: logical::Request) -> Result<Option<logical::Reply>> {
        let Some(secret) = &request.secret else {
            return Err(Error::internal("request has no secret"));
        };
        let internal = secret.internal.clone();
        let unknown = || Error::internal("secret is unsupported by this backend");
        let kind = lease::kind(&internal).ok_or_else(unknown)?;
        let handlers = self.table.routes.leases.get(&kind).ok_or_else(unknown)?;
        let handler = match request.operation {
            Operation::Renew => handlers.renew.as_ref(),
            _ => handlers.revoke.as_ref(),
        };
        let handler = handler.ok_or(Error::UnsupportedOperation)?;
        self.call(handler, request, Source::Remembered(internal)).await
    }

    /// Periodic work, then what crashes left behind. All of it is tried; the first error is told.
    async fn rollback(&self, request: logical::Request) -> Result<Option<logical::Reply>> {
        let routes = &self.table.routes;
        if routes.life.every.is_none() && routes.rollbacks.is_empty() {
            return Err(Error::UnsupportedOperation);
        }
        let mut outcome = Ok(None);
        if let Some(handler) = &routes.life.every {
            let source = Source::Remembered(Data::null());
            outcome = self.call(handler, request.clone(), source).await.map(|_| None);
        }
        if !routes.rollbacks.is_empty() {
            let undone = self.undo_left_behind(request).await;
            outcome = outcome.and_then(|none| undone.map(|()| none));
        }
        outcome
    }

    async fn undo_left_behind(&self, request: logical::Request) -> Result<()> {
        let immediate = request.data.mentions("\"immediate\"");
        let mut outcome = Ok(());
        for id in request.storage.list(wal::PREFIX).await? {
            let key = format!("{}{id}", wal::PREFIX);
            let undone = self.undo(&request, &key, immediate).await;
            outcome = outcome.and(undone);
        }
        outcome
    }

    async fn undo(&self, request: &logical::Request, key: &str, immediate: bool) -> Result<()> {
        let Some(stored) = request.storage.get(key).await? else { return Ok(()) };
        let entry = WalEntry::read(&stored)?;
        let Some(rollback) = self.table.routes.rollbacks.get(&entry.kind) else {
            return Err(Error::internal(format!(
                "the write-ahead entry {key:?} is of kind {:?}, which the engine cannot undo",
                entry.kind
            )));
        };
        if !immediate && !entry.older_than(rollback.min_age) {
            return Ok(());
        }
        self.call(&rollback.call, request.clone(), Source::Remembered(entry.data)).await?;
        Ok(request.storage.delete(key).await?)
    }

    /// Calls a handler of the mount's life, if there is one.
    async fn live(&self, handler: Option<&Erased<E>>, data: Data) -> Result<()> {
        let Some(handler) = handler else { return Ok(()) };
        let storage: Arc<dyn Storage> = Arc::clone(&self.setup.storage);
        let request = logical::Request::new(Operation::Update, "", storage);
        self.call(handler, request, Source::Remembered(data)).await.map(|_| ())
    }

    async fn check(&self, line: &Line<E>, call: Call) -> Result<Existence> {
        let Some(slot) = &line.path.exists else { return Ok(Existence::Unchecked) };
        let exists = (slot.call)(&self.engine, call, &mut Notes::default()).await?;
        Ok(if exists { Existence::Exists } else { Existence::Absent })
    }
}

impl<E: Engine> Backend for Mounted<E> {
    fn kind(&self) -> BackendKind {
        self.table.kind
    }

    fn special_paths(&self) -> Arc<SpecialPaths> {
        Arc::clone(&self.special)
    }

    fn initialize(&self) -> BoxFuture<'_, Result<(), Error>> {
        let handler = self.table.routes.life.initialize.as_ref();
        Box::pin(guarded(self.live(handler, Data::null())))
    }

    fn handle(
        &self,
        request: logical::Request,
    ) -> BoxFuture<'_, Result<Option<logical::Reply>, Failure>> {
        Box::pin(async move {
            match guarded(self.answer(request)).await {
                // In Vault's words this is a reply, not an error: the text reaches the caller as
                // it is, whichever server the engine runs under.
                Err(Error::Invalid(text)) => Ok(Some(crate::Reply::refusal(&text))),
                outcome => Ok(outcome?),
            }
        })
    }

    fn exists<'a>(
        &'a self,
        request: &'a logical::Request,
    ) -> BoxFuture<'a, Result<Existence, Error>> {
        Box::pin(async move {
            let found = self.table.find(&request.path);
            let (line, source) = found.ok_or(Error::UnsupportedPath)?;
            let call = Call { request: request.clone(), setup: Arc::clone(&self.setup), source };
            guarded(self.check(line, call)).await
        })
    }

    fn invalidate<'a>(&'a self, key: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let handler = self.table.routes.life.invalidate.as_ref();
            let data = Data::of(&Changed { key: key.to_owned() }).unwrap_or_default();
            if let Err(error) = guarded(self.live(handler, data)).await {
                tracing::error!(key, %error, "the engine could not take notice of a change");
            }
        })
    }

    fn cleanup(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let handler = self.table.routes.life.cleanup.as_ref();
            if let Err(error) = guarded(self.live(handler, Data::null())).await {
                tracing::error!(%error, "the engine could not clean up");
            }
        })
    }
}

/// A panic of the engine's becomes an error of the one request that met it. The message is not
/// repeated: it may quote a secret; the panic hook has logged where it happened.
async fn guarded<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::internal(
            "the engine panicked while it handled this request; its log says where",
        )),
    }
}

impl Notes {
    /// Vault's two warnings.
    fn warn(&self, warnings: &mut Vec<String>) {
        if !self.ignored.is_empty() {
            warnings.push(format!(
                "Endpoint ignored these unrecognized parameters: [{}]",
                self.ignored.join(" ")
            ));
        }
        if !self.replaced.is_empty() {
            warnings.push(format!(
                "Endpoint replaced the value of these parameters with the values captured from the \
                 endpoint's path: [{}]",
                self.replaced.join(" ")
            ));
        }
    }
}
