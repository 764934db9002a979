//! The one handler shape, and how it is stored in a table.
//!
//! A bound on `AsyncFn` cannot say that the returned future is `Send`; a trait with one method and
//! one blanket implementation can. Only this file knows the trick.

use std::{future::Future, sync::Arc};

use boltwork_logical::BoxFuture;

use crate::{
    Engine, Fields, Reply, Request, Result, decode,
    request::{Call, Notes},
};

/// `async fn(&self, Request<F>) -> Result<O>`, written as a plain method and named by its path
/// (`Self::read_role`). Never implemented by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler of the engine `{E}`",
    label = "expected `async fn(&self, Request<F>) -> Result<Reply>`"
)]
pub trait Handler<'a, E, F, O = Reply>: Send + Sync + 'static {
    /// What the method returns before it is awaited.
    type Future: Future<Output = Result<O>> + Send + 'a;

    /// Calls the method.
    fn call(&self, engine: &'a E, request: Request<F>) -> Self::Future;
}

impl<'a, E, F, O, H, Fut> Handler<'a, E, F, O> for H
where
    E: 'a,
    H: Fn(&'a E, Request<F>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<O>> + Send + 'a,
{
    type Future = Fut;

    fn call(&self, engine: &'a E, request: Request<F>) -> Fut {
        self(engine, request)
    }
}

/// A handler whose fields' type has been forgotten: decodes, then calls.
pub(crate) type Erased<E, O = Reply> =
    Arc<dyn for<'a> Fn(&'a E, Call, &mut Notes) -> BoxFuture<'a, Result<O>> + Send + Sync>;

/// Forgets the type of the fields. Decoding happens before the future is made: a handler never
/// starts with input that it did not ask for.
pub(crate) fn erase<E, F, O, H>(handler: H) -> Erased<E, O>
where
    E: Engine,
    F: Fields,
    O: Send + 'static,
    H: for<'a> Handler<'a, E, F, O>,
{
    Arc::new(move |engine, call, notes| match decode::fields::<F>(&call, notes) {
        Ok(fields) => Box::pin(handler.call(engine, call.with(fields))),
        Err(error) => {
            let text = format!("Field validation failed: {error}");
            Box::pin(std::future::ready(Err(boltwork_logical::Error::Invalid(text))))
        }
    })
}
