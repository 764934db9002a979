//! A mount that tests talk to.

use std::sync::Arc;

use boltwork_logical::{
    Backend, Caller, Data, Existence, MountFacts, Operation, Request, SpecialPaths,
};
use serde_json::Value;

use crate::{Answer, MemoryStorage, Refused};

/// Where an engine lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// Compiled in.
    InProcess,
    /// Behind the plugin protocol.
    OverTheWire,
}

/// A mounted engine.
pub struct Mount {
    home: Home,
    backend: Arc<dyn Backend>,
    storage: MemoryStorage,
    facts: Arc<MountFacts>,
    caller: Caller,
}

impl Mount {
    pub(crate) fn new(
        home: Home,
        backend: Arc<dyn Backend>,
        storage: MemoryStorage,
        point: &str,
    ) -> Self {
        let facts = MountFacts {
            point: point.to_owned(),
            kind: "test".to_owned(),
            accessor: "test_01234567".to_owned(),
        };
        let caller = Caller { display_name: "tester".into(), ..Caller::default() };
        Self { home, backend, storage, facts: Arc::new(facts), caller }
    }

    /// Which of the two it is: for messages of failing tests.
    pub fn home(&self) -> Home {
        self.home
    }

    /// The storage, to look into or to make fail.
    pub fn storage(&self) -> &MemoryStorage {
        &self.storage
    }

    /// The backend itself.
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.backend
    }

    /// What the engine says of its paths.
    pub fn special_paths(&self) -> Arc<SpecialPaths> {
        self.backend.special_paths()
    }

    /// Who asks from now on.
    pub fn set_caller(&mut self, caller: Caller) {
        self.caller = caller;
    }

    /// A request for this mount, to be changed before it is [sent](Self::send).
    pub fn request(&self, operation: Operation, path: &str, data: Value) -> Request {
        let mut request = Request::new(operation, path, Arc::new(self.storage.clone()));
        request.id = "test-request".into();
        request.data = Data::json(&data);
        request.mount = Arc::clone(&self.facts);
        request.caller = self.caller.clone();
        request
    }

    /// Sends a request as it is.
    pub async fn send(&self, request: Request) -> Result<Answer, Refused> {
        let reply = self.backend.handle(request).await.map_err(|failure| Refused(failure.error))?;
        Answer::of(reply)
    }

    async fn ask(&self, operation: Operation, path: &str, data: Value) -> Result<Answer, Refused> {
        self.send(self.request(operation, path, data)).await
    }

    /// Reads.
    pub async fn read(&self, path: &str) -> Result<Answer, Refused> {
        self.ask(Operation::Read, path, Value::Null).await
    }

    /// Reads with parameters, as a query gives them.
    pub async fn read_with(&self, path: &str, data: Value) -> Result<Answer, Refused> {
        self.ask(Operation::Read, path, data).await
    }

    /// Writes: a create or an update, as the existence check says.
    pub async fn write(&self, path: &str, data: Value) -> Result<Answer, Refused> {
        let mut request = self.request(Operation::Create, path, data);
        if self.backend.exists(&request).await? != Existence::Absent {
            request.operation = Operation::Update;
        }
        self.send(request).await
    }

    /// Changes a part.
    pub async fn patch(&self, path: &str, data: Value) -> Result<Answer, Refused> {
        self.ask(Operation::Patch, path, data).await
    }

    /// Deletes.
    pub async fn delete(&self, path: &str) -> Result<Answer, Refused> {
        self.ask(Operation::Delete, path, Value::Null).await
    }

    /// Lists; the slash at the end is added, as the server does.
    pub async fn list(&self, path: &str) -> Result<Answer, Refused> {
        let slash = if path.is_empty() || path.ends_with('/') { "" } else { "/" };
        self.ask(Operation::List, &format!("{path}{slash}"), Value::Null).await
    }

    /// The help page of a path; of the engine if it is empty.
    pub async fn help(&self, path: &str) -> Result<Answer, Refused> {
        self.ask(Operation::Help, path, Value::Null).await
    }

    /// Logs in: a write without a token.
    pub async fn login(&self, path: &str, data: Value) -> Result<Answer, Refused> {
        let mut request = self.request(Operation::Update, path, data);
        request.caller = Caller { unauthenticated: true, ..Caller::default() };
        self.send(request).await
    }

    /// Renews the lease or the login that an answer came with.
    pub async fn renew(&self, answer: &Answer) -> Result<Answer, Refused> {
        self.lease(Operation::Renew, answer).await
    }

    /// Revokes the lease that an answer came with.
    pub async fn revoke(&self, answer: &Answer) -> Result<Answer, Refused> {
        self.lease(Operation::Revoke, answer).await
    }

    async fn lease(&self, operation: Operation, answer: &Answer) -> Result<Answer, Refused> {
        let mut request = self.request(operation, "", Value::Null);
        request.secret = answer.reply().and_then(|reply| reply.secret.clone());
        request.auth = answer.reply().and_then(|reply| reply.auth.clone());
        self.send(request).await
    }

    /// What the server sends about once a minute; `immediate` undoes even young write-ahead
    /// entries.
    pub async fn rollback(&self, immediate: bool) -> Result<Answer, Refused> {
        let data = if immediate { serde_json::json!({ "immediate": true }) } else { Value::Null };
        self.ask(Operation::Rollback, "", data).await
    }

    /// Tells the engine that storage changed behind its back.
    pub async fn invalidate(&self, key: &str) {
        self.backend.invalidate(key).await;
    }

    /// Unmounts.
    pub async fn unmount(self) {
        self.backend.cleanup().await;
    }
}
