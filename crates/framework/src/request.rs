//! A request as a handler sees it.

use std::{collections::BTreeMap, sync::Arc};

use boltwork_logical as logical;
use boltwork_logical::{Auth, Caller, Connection, Data, Headers, MountFacts, Operation, Secret};
use boltwork_logical::{Setup, Storage, SystemView, WrapRequest};

/// A request with its fields decoded. `Request` alone, without a type, is one without fields.
///
/// Handlers of leases and write-ahead entries get what the engine remembered as their fields.
pub struct Request<F = ()> {
    /// The fields: captures of the path first, then what the caller sent.
    pub fields: F,
    /// The mount's own storage; see [`StorageExt`](crate::StorageExt) for JSON in and out.
    pub storage: Arc<dyn Storage>,
    /// The server that the engine is mounted in.
    pub system: Arc<dyn SystemView>,
    setup: Arc<Setup>,
    inner: logical::Request,
}

impl<F> Request<F> {
    /// What is asked: handlers that serve several operations look here.
    pub fn operation(&self) -> Operation {
        self.inner.operation
    }

    /// The request's id, the same in the audit log.
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// The path below the mount.
    pub fn path(&self) -> &str {
        &self.inner.path
    }

    /// The payload as it came: for paths that take [any input](crate::Path::any_input).
    pub fn data(&self) -> &Data {
        &self.inner.data
    }

    /// Who asks.
    pub fn caller(&self) -> &Caller {
        &self.inner.caller
    }

    /// The mount that the request came through.
    pub fn mount(&self) -> &MountFacts {
        &self.inner.mount
    }

    /// The mount's options (`-options version=2`), and `plugin_name`, `plugin_type`,
    /// `plugin_version`.
    pub fn options(&self) -> &BTreeMap<String, String> {
        &self.setup.config
    }

    /// The mount's UUID.
    pub fn backend_uuid(&self) -> &str {
        &self.setup.backend_uuid
    }

    /// The headers that the mount lets through.
    pub fn headers(&self) -> &Headers {
        &self.inner.headers
    }

    /// Where the request came from, if the server says so.
    pub fn connection(&self) -> Option<&Connection> {
        self.inner.connection.as_deref()
    }

    /// The wrapping that the caller asked for.
    pub fn wrap(&self) -> Option<&WrapRequest> {
        self.inner.wrap.as_ref()
    }

    /// The lease to renew or revoke.
    pub fn secret(&self) -> Option<&Secret> {
        self.inner.secret.as_deref()
    }

    /// The login to renew.
    pub fn auth(&self) -> Option<&Auth> {
        self.inner.auth.as_deref()
    }

    /// The request as it crossed the joint.
    pub fn logical(&self) -> &logical::Request {
        &self.inner
    }

    /// The same request with other fields: for handlers that share work.
    pub fn map<G>(self, change: impl FnOnce(F) -> G) -> Request<G> {
        let Self { fields, storage, system, setup, inner } = self;
        Request { fields: change(fields), storage, system, setup, inner }
    }
}

/// A request on its way to a handler: routed, not yet decoded.
pub(crate) struct Call {
    /// The request.
    pub request: logical::Request,
    /// What the engine was given at birth.
    pub setup: Arc<Setup>,
    /// Where the fields come from.
    pub source: Source,
}

/// Where a handler's fields come from.
pub(crate) enum Source {
    /// The path's captures over the payload.
    Request {
        /// Names and ranges in the request's path, in the order of the template.
        captures: Captures,
        /// Every field that the path knows; `None` if it takes any.
        known: Option<Arc<[Box<str>]>>,
    },
    /// Something that the engine remembered, or the framework says.
    Remembered(Data),
}

/// What decoding noticed beside the fields, for warnings.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Names in the payload that the path does not know, sorted.
    pub ignored: Vec<String>,
    /// Names in the payload that the path's captures overrode.
    pub replaced: Vec<String>,
}

/// Captured parts of a request's path: a name, and where in the path its value stands.
pub(crate) type Captures = Vec<(Arc<str>, std::ops::Range<usize>)>;

impl Call {
    /// Hands over to a handler.
    pub fn with<F>(self, fields: F) -> Request<F> {
        Request {
            fields,
            storage: Arc::clone(&self.request.storage),
            system: Arc::clone(&self.setup.system),
            setup: self.setup,
            inner: self.request,
        }
    }
}
