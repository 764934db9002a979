//! Asks every device, and lets nothing pass that none of them took. Leaves out how devices are made and stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use boltwork_logical::{BoxFuture, Operation};
use parking_lot::Mutex;

use crate::{Error, Record, RequestView};

/// Writes records somewhere.
pub trait Device: Send + Sync {
    /// Records a request before it is run. When this returns the line has left this process.
    fn log_request<'a>(&'a self, record: &'a Record<'a>) -> BoxFuture<'a, Result<(), Error>>;

    /// Records an answer before it is sent.
    fn log_response<'a>(&'a self, record: &'a Record<'a>) -> BoxFuture<'a, Result<(), Error>>;

    /// The digest that this device writes for a string, for operators who search for one.
    fn digest(&self, text: &str) -> String;

    /// Opens its files and connections anew, after they were moved away (SIGHUP).
    fn reopen(&self) -> BoxFuture<'_, Result<(), Error>>;
}

struct Enabled {
    path: String,
    device: Arc<dyn Device>,
}

/// All devices that are enabled.
pub struct Broker {
    devices: ArcSwap<Vec<Enabled>>,
    idle: AtomicBool,
    change: Mutex<()>,
}

impl Default for Broker {
    fn default() -> Self {
        Self {
            devices: ArcSwap::from_pointee(Vec::new()),
            idle: AtomicBool::new(true),
            change: Mutex::new(()),
        }
    }
}

impl Broker {
    /// A broker without devices.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is no device at all, so that no record need be made.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.idle.load(Ordering::Acquire)
    }

    /// Enables a device under its path (`file/`), in place of one that had that path.
    pub fn register(&self, path: &str, device: Arc<dyn Device>) {
        self.change(|devices| {
            devices.retain(|enabled| enabled.path != path);
            devices.push(Enabled { path: path.to_owned(), device });
        });
    }

    /// Disables a device; whether there was one.
    pub fn deregister(&self, path: &str) -> bool {
        let mut found = false;
        self.change(|devices| {
            let before = devices.len();
            devices.retain(|enabled| enabled.path != path);
            found = devices.len() < before;
        });
        found
    }

    /// Disables all, on seal.
    pub fn clear(&self) {
        self.change(Vec::clear);
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Enabled>)) {
        let _one_at_a_time = self.change.lock();
        let mut devices: Vec<Enabled> = self
            .devices
            .load()
            .iter()
            .map(|one| Enabled { path: one.path.clone(), device: one.device.clone() })
            .collect();
        change(&mut devices);
        // A request that still sees the old answer is as if it had come a moment earlier.
        let idle = devices.is_empty();
        self.devices.store(Arc::new(devices));
        self.idle.store(idle, Ordering::Release);
    }

    /// Records a request with every device.
    ///
    /// # Errors
    /// [`Error::NoneAccepted`] when there are devices and none of them took it: the request must not be run.
    pub async fn log_request(&self, record: &Record<'_>) -> Result<(), Error> {
        let devices = self.devices.load_full();
        let mut accepted = devices.is_empty();
        for one in devices.iter() {
            accepted |= noted(one, record, one.device.log_request(record).await);
        }
        if accepted { Ok(()) } else { Err(Error::NoneAccepted("request")) }
    }

    /// Records an answer with every device.
    ///
    /// # Errors
    /// [`Error::NoneAccepted`] when there are devices and none of them took it: the answer must not be sent.
    pub async fn log_response(&self, record: &Record<'_>) -> Result<(), Error> {
        let devices = self.devices.load_full();
        let mut accepted = devices.is_empty();
        for one in devices.iter() {
            accepted |= noted(one, record, one.device.log_response(record).await);
        }
        if accepted { Ok(()) } else { Err(Error::NoneAccepted("response")) }
    }

    /// The digest that the device at `path` writes for a string; `None` if there is no such device.
    #[must_use]
    pub fn digest(&self, path: &str, text: &str) -> Option<String> {
        let devices = self.devices.load();
        devices.iter().find(|one| one.path == path).map(|one| one.device.digest(text))
    }

    /// Lets every device open its files anew. Failures are logged: the device tries again at its next record.
    pub async fn reopen(&self) {
        for one in self.devices.load_full().iter() {
            if let Err(error) = one.device.reopen().await {
                tracing::error!(device = one.path, %error, "cannot reopen audit device");
            }
        }
    }

    /// Writes a record that means nothing, so that a device that cannot write is refused when it is enabled and not
    /// at the first request.
    ///
    /// # Errors
    /// Whatever the device says.
    pub async fn probe(device: &dyn Device, request_id: &str) -> Result<(), Error> {
        let request = RequestView {
            id: request_id,
            operation: Some(Operation::Update),
            path: "sys/audit/test",
            ..RequestView::default()
        };
        device.log_request(&Record { request, ..Record::default() }).await
    }
}

fn noted(one: &Enabled, record: &Record<'_>, outcome: Result<(), Error>) -> bool {
    if let Err(error) = &outcome {
        let id = record.request.id;
        tracing::error!(device = one.path, request = id, %error, "audit device failed");
    }
    outcome.is_ok()
}
