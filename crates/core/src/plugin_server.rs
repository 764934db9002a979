//! The unsealed server as whoever runs plugins may use it.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use boltwork_logical::{BoxFuture, Data, Error, PluginServer, Reply, SecretText};
use tokio::sync::watch;

use crate::{active::Active, wrapping::ToWrap};

/// What plugins are run for. It does not keep the server alive.
pub struct ForPlugins {
    active: Weak<Active>,
    serving: watch::Receiver<bool>,
    api_addr: String,
}

impl ForPlugins {
    pub fn new(active: &Arc<Active>, serving: watch::Receiver<bool>, api_addr: String) -> Self {
        Self { active: Arc::downgrade(active), serving, api_addr }
    }
}

impl PluginServer for ForPlugins {
    fn api_addr(&self) -> &str {
        &self.api_addr
    }

    fn wrap(&self, data: Data, ttl: Duration) -> BoxFuture<'_, Result<SecretText, Error>> {
        Box::pin(async move {
            // A token that is handed out earlier would be refused by a server that is still sealed.
            let mut serving = self.serving.clone();
            serving.wait_for(|yes| *yes).await.map_err(|_| Error::Sealed)?;
            let active = self.active.upgrade().ok_or(Error::Sealed)?;
            let to_wrap =
                ToWrap { ttl, creation_path: "sys/wrapping/wrap", jwt: true, ..ToWrap::default() };
            Ok(active.wrap(&to_wrap, &Reply::data(data)).await?.token)
        })
    }
}
