//! Whether a lease of a path remembers something: asked by a backend that made a thing elsewhere and
//! does not know whether its lease was stored.

use boltwork_logical::Error;
use serde_json::{Map, Value};

use super::Leases;

impl Leases {
    /// Looks through the leases that were given on exactly this path, in full.
    pub async fn remember(&self, path: &str, key: &str, value: &str) -> Result<bool, Error> {
        for name in self.names(path).await? {
            if name.ends_with('/') {
                continue;
            }
            let id = format!("{}/{name}", path.trim_end_matches('/'));
            let Some(entry) = self.get(&id).await? else { continue };
            let unreadable =
                |_| Error::internal(format!("what the lease {id:?} remembers cannot be read"));
            let internal: Map<String, Value> =
                serde_json::from_str(entry.internal.get()).map_err(unreadable)?;
            if internal.get(key).and_then(Value::as_str) == Some(value) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
