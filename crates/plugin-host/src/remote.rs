//! A plugin's backend as the core sees it: each method a call, each answer read. Left out: what
//! happens when the process is gone (`instance`).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use boltwork_logical::{
    Backend, BackendKind, BoxFuture, Error, Existence, Failure, Reply, Request, SpecialPaths,
};
use boltwork_wire::{
    answer_from_wire, existence_from_wire, initialized_from_wire, request_to_wire,
};

use crate::instance::{Instance, State};
use crate::live::Live;

/// The backend as the core has it. The core holds nothing else, so when it lets go, all ends.
pub(crate) struct Remote(pub Arc<Instance>);

impl Drop for Remote {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl Backend for Remote {
    fn kind(&self) -> BackendKind {
        self.0.kind
    }

    fn special_paths(&self) -> Arc<SpecialPaths> {
        self.0.paths.load_full()
    }

    fn initialize(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async {
            if matches!(&*self.0.state(), State::Asleep) {
                // Initialised when it is started.
                self.0.initialized.store(true, Ordering::Relaxed);
                return Ok(());
            }
            let live = Instance::live(&self.0).await?;
            let reply = live.initialize(self.0.start_limit()).await;
            let reply = reply.map_err(|lost| self.0.lost(&live, lost))?;
            self.0.initialized.store(true, Ordering::Relaxed);
            initialized_from_wire(reply)
        })
    }

    fn handle(&self, request: Request) -> BoxFuture<'_, Result<Option<Reply>, Failure>> {
        Box::pin(async move {
            let repeatable = !request.operation.is_write();
            let request = &request;
            let call = |live: Arc<Live>| async move { live.handle(request).await };
            answer_from_wire(Instance::call(&self.0, repeatable, call).await?)
        })
    }

    fn exists<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Existence, Error>> {
        Box::pin(async move {
            let call = |live: Arc<Live>| async move { live.exists(request_to_wire(request)).await };
            existence_from_wire(Instance::call(&self.0, true, call).await?)
        })
    }

    fn invalidate<'a>(&'a self, key: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let State::Live(live) = &*self.0.state() {
                live.invalidate(key).await;
            }
        })
    }

    fn cleanup(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.0.end())
    }
}
