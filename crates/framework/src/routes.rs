//! The table: everything that an engine does, declared in one place.

use std::{collections::BTreeMap, time::Duration};

use boltwork_logical::{BackendKind, ReadAhead};

use crate::{
    Engine, Fields, Handler, Path,
    handler::{Erased, erase},
    table::Table,
};

/// Age from which a write-ahead entry counts as left behind by a crash, unless said otherwise.
const ROLLBACK_AGE: Duration = Duration::from_secs(10 * 60);

/// What an engine answers: its paths, its leases, its life.
pub struct Routes<E> {
    pub(crate) paths: Vec<Path<E>>,
    pub(crate) help: String,
    pub(crate) kind: Option<BackendKind>,
    pub(crate) version: String,
    pub(crate) leases: BTreeMap<String, LeaseHandlers<E>>,
    pub(crate) login_renewal: Option<Erased<E>>,
    pub(crate) life: Life<E>,
    pub(crate) rollbacks: BTreeMap<String, Rollback<E>>,
    pub(crate) local: Vec<String>,
    pub(crate) seal_wrap: Vec<String>,
    pub(crate) read_ahead: Vec<ReadAhead>,
    pub(crate) doubled: Vec<String>,
}

/// What happens to a kind of lease.
pub(crate) struct LeaseHandlers<E> {
    pub renew: Option<Erased<E>>,
    pub revoke: Option<Erased<E>>,
}

/// Handlers of the mount's life.
pub(crate) struct Life<E> {
    pub initialize: Option<Erased<E>>,
    pub every: Option<Erased<E>>,
    pub invalidate: Option<Erased<E>>,
    pub cleanup: Option<Erased<E>>,
}

/// What undoes one kind of write-ahead entry.
pub(crate) struct Rollback<E> {
    pub call: Erased<E>,
    pub min_age: Duration,
}

/// A fault of a table. Found when the backend is made; tests find it with [`Routes::check`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// A template that cannot be read.
    #[error("path {template:?}: {reason}")]
    Template {
        /// The template.
        template: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Two templates match the same paths.
    #[error("paths {first:?} and {second:?} match the same requests")]
    Duplicate {
        /// The first.
        first: String,
        /// The second.
        second: String,
    },
    /// One template answers an operation twice.
    #[error("path {template:?} has two handlers for {operation}")]
    DoubleOperation {
        /// The template.
        template: String,
        /// The operation.
        operation: &'static str,
    },
    /// A template without a handler.
    #[error("path {template:?} answers nothing")]
    NoHandler {
        /// The template.
        template: String,
    },
    /// A handler lacks a field for a capture, or the other way round.
    #[error("path {template:?}: no handler has a field {capture:?} for the capture of that name")]
    UnknownCapture {
        /// The template.
        template: String,
        /// The capture.
        capture: String,
    },
    /// A lease or write-ahead kind, or a moment of life, was given two handlers.
    #[error("{what} has two handlers")]
    DoubleHandler {
        /// Which.
        what: String,
    },
    /// Leases of this kind could never be taken back.
    #[error("leases of kind {kind:?} can be renewed but not revoked")]
    NoRevocation {
        /// The kind.
        kind: String,
    },
}

impl<E: Engine> Routes<E> {
    /// A table of these paths; their order does not matter.
    pub fn new(paths: impl IntoIterator<Item = Path<E>>) -> Self {
        Self {
            paths: paths.into_iter().collect(),
            help: String::new(),
            kind: None,
            version: String::new(),
            leases: BTreeMap::new(),
            login_renewal: None,
            life: Life { initialize: None, every: None, invalidate: None, cleanup: None },
            rollbacks: BTreeMap::new(),
            local: Vec::new(),
            seal_wrap: Vec::new(),
            read_ahead: Vec::new(),
            doubled: Vec::new(),
        }
    }

    /// More paths: tables may be put together from parts.
    pub fn with(mut self, paths: impl IntoIterator<Item = Path<E>>) -> Self {
        self.paths.extend(paths);
        self
    }

    /// What the engine is for: the head of its help page.
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = text.into();
        self
    }

    /// Secrets engine or auth method. Not needed: an engine with a login is an auth method.
    pub fn kind(mut self, kind: BackendKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// The version that the plugin reports of itself, with its `v`: `v1.2.3`.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// The version as declared; empty if none was.
    pub fn reported_version(&self) -> &str {
        &self.version
    }

    /// Takes back leases of this kind. The handler's fields are what was remembered in
    /// [`Reply::leased`](crate::Reply::leased). It may be called again after a failure.
    pub fn revoke<F: Fields, H: for<'a> Handler<'a, E, F>>(
        mut self,
        kind: impl Into<String>,
        handler: H,
    ) -> Self {
        let kind = kind.into();
        let slot = &mut self.lease(&kind).revoke;
        if slot.replace(erase(handler)).is_some() {
            self.doubled.push(format!("revocation of {kind:?}"));
        }
        self
    }

    /// Extends leases of this kind; without it they cannot be renewed. Answer with
    /// [`Reply::renewed`](crate::Reply::renewed).
    pub fn renew<F: Fields, H: for<'a> Handler<'a, E, F>>(
        mut self,
        kind: impl Into<String>,
        handler: H,
    ) -> Self {
        let kind = kind.into();
        let slot = &mut self.lease(&kind).renew;
        if slot.replace(erase(handler)).is_some() {
            self.doubled.push(format!("renewal of {kind:?}"));
        }
        self
    }

    fn lease(&mut self, kind: &str) -> &mut LeaseHandlers<E> {
        self.leases
            .entry(kind.to_owned())
            .or_insert_with(|| LeaseHandlers { renew: None, revoke: None })
    }

    /// Extends logins. The handler's fields are the login's `internal` data.
    pub fn renew_login<F: Fields, H: for<'a> Handler<'a, E, F>>(mut self, handler: H) -> Self {
        if self.login_renewal.replace(erase(handler)).is_some() {
            self.doubled.push("renewal of logins".to_owned());
        }
        self
    }

    /// Undoes write-ahead entries of this kind that are older than ten minutes. The handler's
    /// fields are what was remembered in [`Wal::begin_work`](crate::Wal::begin_work); when it succeeds, the
    /// entry is removed.
    pub fn rollback<F: Fields, H: for<'a> Handler<'a, E, F>>(
        self,
        kind: impl Into<String>,
        handler: H,
    ) -> Self {
        self.rollback_after(kind, ROLLBACK_AGE, handler)
    }

    /// The same with another age, which must be longer than the work that the entry guards.
    pub fn rollback_after<F: Fields, H: for<'a> Handler<'a, E, F>>(
        mut self,
        kind: impl Into<String>,
        min_age: Duration,
        handler: H,
    ) -> Self {
        let kind = kind.into();
        let rollback = Rollback { call: erase(handler), min_age };
        if self.rollbacks.insert(kind.clone(), rollback).is_some() {
            self.doubled.push(format!("rollback of {kind:?}"));
        }
        self
    }

    /// Called about once a minute while the server is active.
    pub fn every<F: Fields, H: for<'a> Handler<'a, E, F>>(mut self, handler: H) -> Self {
        let doubled = self.life.every.replace(erase(handler)).is_some();
        self.doubled(doubled, "periodic work")
    }

    /// Called once when the mount is in place and storage may be written. An error keeps the mount
    /// from being made.
    pub fn initialize<F: Fields, H: for<'a> Handler<'a, E, F>>(mut self, handler: H) -> Self {
        let doubled = self.life.initialize.replace(erase(handler)).is_some();
        self.doubled(doubled, "initialization")
    }

    /// Called when storage changed behind the engine's back; fields: [`Changed`](crate::Changed).
    pub fn invalidate<F: Fields, H: for<'a> Handler<'a, E, F>>(mut self, handler: H) -> Self {
        let doubled = self.life.invalidate.replace(erase(handler)).is_some();
        self.doubled(doubled, "invalidation")
    }

    /// Called before the engine goes away: unmount, reload, seal.
    pub fn cleanup<F: Fields, H: for<'a> Handler<'a, E, F>>(mut self, handler: H) -> Self {
        let doubled = self.life.cleanup.replace(erase(handler)).is_some();
        self.doubled(doubled, "cleanup")
    }

    fn doubled(mut self, doubled: bool, what: &str) -> Self {
        if doubled {
            self.doubled.push(what.to_owned());
        }
        self
    }

    /// Storage prefixes that are not replicated.
    pub fn local<P: Into<String>>(mut self, prefixes: impl IntoIterator<Item = P>) -> Self {
        self.local.extend(prefixes.into_iter().map(Into::into));
        self
    }

    /// Storage prefixes that the seal encrypts once more.
    pub fn seal_wrap<P: Into<String>>(mut self, prefixes: impl IntoIterator<Item = P>) -> Self {
        self.seal_wrap.extend(prefixes.into_iter().map(Into::into));
        self
    }

    /// Says what reads ask storage for: a read of `path` + REST asks for `key` + REST, with
    /// [`Storage::get_ahead`](boltwork_logical::Storage::get_ahead). `{mount_uuid}` in `key` is the
    /// mount's UUID. Boltwork then sends the entry along with the request, and the read costs no
    /// call to the server; other servers do not know of this, and the entry is fetched. Sixteen
    /// rules at most; of several that fit, the one with the longest `path` counts.
    pub fn read_ahead(mut self, path: impl Into<String>, key: impl Into<String>) -> Self {
        self.read_ahead.push(ReadAhead { path: path.into(), key: key.into() });
        self
    }

    /// Looks for faults: templates that cannot be read or match the same requests, captures that
    /// no handler has a field for, handlers given twice. For an author's tests; a backend with a
    /// faulty table is never made.
    pub fn check(self) -> Result<(), Vec<TableError>> {
        Table::compile(self).map(|_| ())
    }
}
