//! What a plugin is set up with that is only asked what it is: a mount that does not exist, on a
//! server that knows little.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use boltwork_logical::{
    BoxFuture, Data, Entry, Error, PluginEnvironment, Setup, Storage, StorageError, SystemView,
    Transaction, WrapInfo,
};

/// A setup with nothing behind it. In metadata mode writes are taken and lost (wire spec 2.7);
/// otherwise they are refused as during any setup.
pub(crate) fn setup(version: &str, config: BTreeMap<String, String>, metadata: bool) -> Setup {
    Setup {
        storage: Arc::new(NoStorage { forgiving: metadata }),
        system: Arc::new(NoServer { version: version.to_owned() }),
        config,
        backend_uuid: String::new(),
        mount_point: String::new(),
    }
}

/// Storage of no mount: nothing in it, nothing gets in.
struct NoStorage {
    /// What is written is lost without a word, as plugins in metadata mode are used to.
    forgiving: bool,
}

impl NoStorage {
    fn written(&self) -> Result<(), StorageError> {
        if self.forgiving { Ok(()) } else { Err(StorageError::during_setup()) }
    }
}

fn answered<'a, T: Send + 'a>(
    answer: Result<T, StorageError>,
) -> BoxFuture<'a, Result<T, StorageError>> {
    Box::pin(std::future::ready(answer))
}

impl Storage for NoStorage {
    fn get<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StorageError>> {
        answered(Ok(None))
    }
    fn put(&self, _: Entry) -> BoxFuture<'_, Result<(), StorageError>> {
        answered(self.written())
    }
    fn delete<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), StorageError>> {
        answered(self.written())
    }
    fn list_page<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: Option<usize>,
    ) -> BoxFuture<'a, Result<Vec<String>, StorageError>> {
        answered(Ok(Vec::new()))
    }
    fn begin(&self, _: bool) -> BoxFuture<'_, Result<Box<dyn Transaction>, StorageError>> {
        answered(Err(StorageError::NoTransactions))
    }
}

/// The server as a plugin sees it that is not mounted.
struct NoServer {
    version: String,
}

const LEASE: Duration = Duration::from_secs(32 * 24 * 3600);

fn unmounted<'a, T: Send + 'a>() -> BoxFuture<'a, Result<T, Error>> {
    let text = "the plugin is not mounted yet: it is only being asked what it is";
    Box::pin(std::future::ready(Err(Error::internal(text))))
}

impl SystemView for NoServer {
    fn default_lease_ttl(&self) -> BoxFuture<'_, Duration> {
        Box::pin(std::future::ready(LEASE))
    }
    fn max_lease_ttl(&self) -> BoxFuture<'_, Duration> {
        Box::pin(std::future::ready(LEASE))
    }
    fn plugin_environment(&self) -> BoxFuture<'_, Result<PluginEnvironment, Error>> {
        let version = self.version.clone();
        let environment = PluginEnvironment { version, ..PluginEnvironment::default() };
        Box::pin(std::future::ready(Ok(environment)))
    }
    fn generate_password<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<String, Error>> {
        unmounted()
    }
    fn cluster_info(&self) -> BoxFuture<'_, Result<(String, String), Error>> {
        unmounted()
    }
    fn wrap_data(&self, _: Data, _: Duration) -> BoxFuture<'_, Result<WrapInfo, Error>> {
        unmounted()
    }
}
