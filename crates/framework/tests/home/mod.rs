//! A home for an engine under test: plain storage in memory (without transactions, as under
//! HashiCorp Vault) and a server that knows nothing.

#![allow(dead_code)]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use boltwork_framework::{Engine, into_backend};
use boltwork_logical::*;
use serde_json::{Value, json};

#[derive(Default)]
pub struct Plain(pub Mutex<BTreeMap<String, Entry>>);

impl Storage for Plain {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StorageError>> {
        Box::pin(async move { Ok(self.0.lock().unwrap().get(key).cloned()) })
    }
    fn put(&self, entry: Entry) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async move {
            self.0.lock().unwrap().insert(entry.key.clone(), entry);
            Ok(())
        })
    }
    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), StorageError>> {
        Box::pin(async move {
            self.0.lock().unwrap().remove(key);
            Ok(())
        })
    }
    fn list_page<'a>(
        &'a self,
        prefix: &'a str,
        after: &'a str,
        limit: Option<usize>,
    ) -> BoxFuture<'a, Result<Vec<String>, StorageError>> {
        Box::pin(async move {
            let entries = self.0.lock().unwrap();
            let below = entries.keys().filter_map(|key| key.strip_prefix(prefix));
            let mut names: Vec<String> = below
                .map(|rest| match rest.split_once('/') {
                    Some((folder, _)) => format!("{folder}/"),
                    None => rest.to_owned(),
                })
                .filter(|name| name.as_str() > after)
                .collect();
            names.dedup();
            names.truncate(limit.unwrap_or(usize::MAX));
            Ok(names)
        })
    }
    fn begin(&self, _: bool) -> BoxFuture<'_, Result<Box<dyn Transaction>, StorageError>> {
        Box::pin(async { Err(StorageError::NoTransactions) })
    }
}

struct Server;

impl SystemView for Server {
    fn default_lease_ttl(&self) -> BoxFuture<'_, Duration> {
        Box::pin(async { Duration::from_secs(3600) })
    }
    fn max_lease_ttl(&self) -> BoxFuture<'_, Duration> {
        Box::pin(async { Duration::from_secs(7200) })
    }
    fn plugin_environment(&self) -> BoxFuture<'_, Result<PluginEnvironment, Error>> {
        Box::pin(async { Ok(PluginEnvironment { version: "1.2.3".into(), ..Default::default() }) })
    }
    fn generate_password<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<String, Error>> {
        Box::pin(async { Err(Error::internal("no password policies here")) })
    }
    fn cluster_info(&self) -> BoxFuture<'_, Result<(String, String), Error>> {
        Box::pin(async { Err(Error::internal("no cluster here")) })
    }
    fn wrap_data(&self, _: Data, _: Duration) -> BoxFuture<'_, Result<WrapInfo, Error>> {
        Box::pin(async { Err(Error::internal("no wrapping here")) })
    }
}

pub struct Home {
    pub backend: Arc<dyn Backend>,
    pub storage: Arc<Plain>,
}

pub fn setup(storage: Arc<Plain>) -> Setup {
    Setup {
        storage,
        system: Arc::new(Server),
        config: BTreeMap::new(),
        backend_uuid: "uuid".into(),
        mount_point: "test/".into(),
    }
}

impl Home {
    pub fn of<E: Engine>(engine: E) -> Self {
        let storage = Arc::new(Plain::default());
        let backend = into_backend(engine, setup(storage.clone())).unwrap();
        Self { backend, storage }
    }

    pub fn request(&self, operation: Operation, path: &str, data: Value) -> Request {
        let mut request = Request::new(operation, path, self.storage.clone());
        request.data = Data::json(&data);
        request
    }

    pub async fn ask(
        &self,
        operation: Operation,
        path: &str,
        data: Value,
    ) -> Result<Option<Reply>, Error> {
        let request = self.request(operation, path, data);
        self.backend.handle(request).await.map_err(|failure| failure.error)
    }

    /// The payload of a reply that must be there.
    pub async fn data(&self, operation: Operation, path: &str, data: Value) -> Value {
        let reply = self.ask(operation, path, data).await.unwrap().unwrap();
        reply.data.decode().unwrap()
    }

    /// The text of a refusal.
    pub async fn refusal(&self, operation: Operation, path: &str, data: Value) -> String {
        let reply = self.ask(operation, path, data).await.unwrap().unwrap();
        reply.error_text().unwrap()
    }

    pub async fn read(&self, path: &str) -> Value {
        self.data(Operation::Read, path, json!({})).await
    }
}
