//! Which connections are open, by the names that operators gave them.
//!
//! A connection is opened when it is first needed, and again when its plugin's process has ended or
//! was reloaded: not within the request that met that, but with the next one.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use boltwork_sdk::logical::{Error, SystemView};

use crate::config::Config;
use crate::instance::Instance;

/// The open connections of a mount.
#[derive(Default)]
pub struct Connections {
    places: Mutex<HashMap<String, Arc<Place>>>,
    /// Nothing is opened any more.
    over: AtomicBool,
}

/// The place of one connection; locked while it is opened, so that nobody opens it twice.
#[derive(Default)]
struct Place(tokio::sync::Mutex<Option<Arc<Instance>>>);

impl Connections {
    fn place(&self, name: &str) -> Arc<Place> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(places.entry(name.to_owned()).or_default())
    }

    /// The connection of this name, opened if it is not.
    pub async fn open(
        &self,
        name: &str,
        config: &Config,
        system: &dyn SystemView,
    ) -> Result<Arc<Instance>, Error> {
        let place = self.place(name);
        let mut held = place.0.lock().await;
        if self.over.load(Ordering::SeqCst) {
            return Err(Error::unavailable("the mount of the connection is going away"));
        }
        if let Some(instance) = held.as_ref() {
            if instance.is_current() {
                return Ok(Arc::clone(instance));
            }
            let over = held.take();
            close_aside(over);
        }
        let opened = system.open_database(&config.plugin_name, &config.plugin_version).await;
        let opened = opened.map_err(|error| match error {
            Error::Invalid(text) | Error::Internal(text) | Error::User(text) => {
                Error::Internal(format!("unable to create database instance: {text}"))
            }
            other => other,
        })?;
        let (instance, _) = Instance::initialize(opened, &config.connection_details, true).await?;
        *held = Some(Arc::clone(&instance));
        Ok(instance)
    }

    /// Puts an open connection in the place of the one there is, which is closed.
    pub async fn replace(&self, name: &str, instance: Arc<Instance>) {
        let place = self.place(name);
        let old = place.0.lock().await.replace(instance);
        close_aside(old);
    }

    /// Closes a connection; no error if it is not open. Its place stays: somebody may be waiting
    /// for it in order to open it.
    pub async fn clear(&self, name: &str) {
        let place = {
            let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            places.get(name).cloned()
        };
        if let Some(place) = place {
            let old = place.0.lock().await.take();
            close_aside(old);
        }
    }

    /// Closes all of them, and waits for it.
    pub async fn clear_all(&self) {
        self.over.store(true, Ordering::SeqCst);
        let taken: Vec<Arc<Place>> = {
            let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            places.drain().map(|(_, place)| place).collect()
        };
        let mut closing = tokio::task::JoinSet::new();
        for place in taken {
            closing.spawn(async move {
                if let Some(instance) = place.0.lock().await.take() {
                    instance.close().await;
                }
            });
        }
        while closing.join_next().await.is_some() {}
    }

    /// The version that runs behind an open connection.
    pub async fn running_version(&self, name: &str) -> Option<String> {
        let place = {
            let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            places.get(name).cloned()
        };
        // One that is being opened is not open.
        let place = place?;
        let held = place.0.try_lock().ok()?;
        held.as_ref().map(|instance| instance.running_version.clone())
    }
}

/// Closes without holding anybody up, once the requests that are inside have left.
fn close_aside(instance: Option<Arc<Instance>>) {
    if let Some(instance) = instance {
        tokio::spawn(async move {
            // Every call has an end, and so has this wait.
            drop(instance.alone().await);
            instance.close().await;
        });
    }
}
