//! The server's side of the plugin protocol, as small as a test can do with: one plugin, one
//! mount, no supervision.

mod backend;
mod database;
mod storage;
mod system;

use std::sync::Arc;

use boltwork_logical::{Backend, Error, Factory, Setup};
use boltwork_sdk::internal::{Plugin, routes};
use go_plugin::host::Loopback;

pub(crate) use database::open as open_database;

/// The plugin protocol that is spoken.
const PROTOCOL: u32 = 5;

/// Serves a factory as a plugin, and sets one backend of it up.
pub(crate) async fn plug_in(
    factory: Arc<dyn Factory>,
    setup: Setup,
) -> Result<Arc<dyn Backend>, Error> {
    let plugin =
        Plugin { factory, version: "v1.2.3".to_owned(), multiplexed: true, metadata_only: false };
    let home = Loopback::start(PROTOCOL, |context| routes(plugin, context.broker.clone()));
    let home = home.await.map_err(|why| Error::internal(why.to_string()))?;
    Ok(Arc::new(backend::Remote::set_up(home, setup).await?))
}
