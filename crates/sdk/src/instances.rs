//! The backends of this process: one for each mount that the server has set up here.

use std::{collections::HashMap, sync::Arc};

use boltwork_logical::{Backend, Storage};
use parking_lot::RwLock;
use tonic::{Status, metadata::MetadataMap};

/// The key under which a host names the backend that a call is for (wire spec 2.4).
const KEY: &str = "multiplex_id";
/// Backends in one process, at most: far above any server's number of mounts.
const MOST: usize = 65_536;

/// One backend and its storage at the server.
#[derive(Clone)]
pub(crate) struct Instance {
    pub backend: Arc<dyn Backend>,
    pub storage: Arc<dyn Storage>,
}

/// The backends by the ids that the host gave them.
pub(crate) struct Instances {
    multiplexed: bool,
    by_id: RwLock<HashMap<String, Instance>>,
}

impl Instances {
    /// None yet. Without multiplexing there is one at most, whatever id a call carries.
    pub fn new(multiplexed: bool) -> Self {
        Self { multiplexed, by_id: RwLock::default() }
    }

    /// The id of a call's backend.
    pub fn id<'a>(&self, metadata: &'a MetadataMap) -> Result<&'a str, Status> {
        if !self.multiplexed {
            return Ok("");
        }
        let mut ids = metadata.get_all(KEY).iter();
        let Some(first) = ids.next() else {
            return Err(Status::unknown(if metadata.is_empty() {
                "missing plugin multiplexing metadata"
            } else {
                "no multiplexing ID found"
            }));
        };
        let more = ids.count();
        if more > 0 {
            let count = more + 1;
            let text = format!("unexpected number of IDs in metadata: ({count})");
            return Err(Status::unknown(text));
        }
        match first.to_str() {
            Ok("") | Err(_) => Err(Status::unknown("empty multiplex ID in metadata")),
            Ok(id) => Ok(id),
        }
    }

    /// A call's backend.
    pub fn find(&self, metadata: &MetadataMap) -> Result<Instance, Status> {
        let id = self.id(metadata)?;
        self.by_id
            .read()
            .get(id)
            .cloned()
            .ok_or_else(|| Status::unknown("no backend instance found"))
    }

    /// Puts a backend in place; returns the one that was there.
    pub fn insert(&self, id: &str, instance: Instance) -> Result<Option<Instance>, Status> {
        let mut by_id = self.by_id.write();
        if by_id.len() >= MOST {
            return Err(Status::resource_exhausted("too many backends in this plugin process"));
        }
        Ok(by_id.insert(id.to_owned(), instance))
    }

    /// Takes a backend out.
    pub fn remove(&self, id: &str) -> Option<Instance> {
        self.by_id.write().remove(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_refused_in_the_protocols_words() {
        let instances = Instances::new(true);
        let texts = |values: &[&'static str], other: bool| {
            let mut metadata = MetadataMap::new();
            for value in values {
                metadata.append(KEY, value.parse().unwrap());
            }
            if other {
                metadata.insert("other", "x".parse().unwrap());
            }
            match instances.find(&metadata) {
                Ok(_) => panic!("there is no instance"),
                Err(status) => (status.code(), status.message().to_owned()),
            }
        };
        for (values, other, text) in [
            (&[][..], false, "missing plugin multiplexing metadata"),
            (&[], true, "no multiplexing ID found"),
            (&["a", "b"], false, "unexpected number of IDs in metadata: (2)"),
            (&[""], false, "empty multiplex ID in metadata"),
            (&["a"], false, "no backend instance found"),
        ] {
            assert_eq!(texts(values, other), (tonic::Code::Unknown, text.to_owned()));
        }
    }

    #[test]
    fn without_multiplexing_an_id_means_nothing() {
        let instances = Instances::new(false);
        let mut metadata = MetadataMap::new();
        metadata.insert(KEY, "abc".parse().unwrap());
        assert_eq!(instances.id(&metadata).unwrap(), "");
    }
}
