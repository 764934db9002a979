//! What this process holds for its host: a backend for each mount that the server has set up here,
//! or a database for each connection, by the ids that the host gave them.

use std::{collections::HashMap, sync::Arc};

use boltwork_logical::{Backend, Storage};
use parking_lot::RwLock;
use tonic::{Status, metadata::MetadataMap};

/// The key under which a host names the backend that a call is for (wire spec 2.4).
const KEY: &str = "multiplex_id";
/// Instances in one process, at most: far above any server's number of mounts.
const MOST: usize = 65_536;

/// One backend and its storage at the server.
#[derive(Clone)]
pub(crate) struct Instance {
    pub backend: Arc<dyn Backend>,
    pub storage: Arc<dyn Storage>,
}

/// The instances by the ids that the host gave them.
pub(crate) struct Instances<T> {
    multiplexed: bool,
    /// What a call for an unknown one is told; peers compare it.
    missing: &'static str,
    by_id: RwLock<HashMap<String, T>>,
}

impl<T: Clone> Instances<T> {
    /// None yet. Without multiplexing there is one at most, whatever id a call carries.
    pub fn new(multiplexed: bool, missing: &'static str) -> Self {
        Self { multiplexed, missing, by_id: RwLock::default() }
    }

    /// The id of a call's instance.
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

    /// A call's instance.
    pub fn find(&self, metadata: &MetadataMap) -> Result<T, Status> {
        let id = self.id(metadata)?;
        self.by_id.read().get(id).cloned().ok_or_else(|| Status::unknown(self.missing))
    }

    /// A call's instance, made if there is none yet.
    pub fn find_or_make(
        &self,
        metadata: &MetadataMap,
        make: impl FnOnce() -> Result<T, Status>,
    ) -> Result<T, Status> {
        let id = self.id(metadata)?;
        if let Some(found) = self.by_id.read().get(id) {
            return Ok(found.clone());
        }
        // The lock is not held while an author's code runs: of two that were made, one counts.
        let made = make()?;
        let mut by_id = self.by_id.write();
        if by_id.len() >= MOST && !by_id.contains_key(id) {
            return Err(full());
        }
        Ok(by_id.entry(id.to_owned()).or_insert(made).clone())
    }

    /// Puts an instance in place; returns the one that was there.
    pub fn insert(&self, id: &str, instance: T) -> Result<Option<T>, Status> {
        let mut by_id = self.by_id.write();
        if by_id.len() >= MOST {
            return Err(full());
        }
        Ok(by_id.insert(id.to_owned(), instance))
    }

    /// Takes an instance out.
    pub fn remove(&self, id: &str) -> Option<T> {
        self.by_id.write().remove(id)
    }
}

fn full() -> Status {
    Status::resource_exhausted("too many instances in this plugin process")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_refused_in_the_protocols_words() {
        let instances = Instances::<()>::new(true, "no backend instance found");
        let texts = |values: &[&'static str], other: bool| {
            let mut metadata = MetadataMap::new();
            for value in values {
                metadata.append(KEY, value.parse().unwrap());
            }
            if other {
                metadata.insert("other", "x".parse().unwrap());
            }
            match instances.find(&metadata) {
                Ok(()) => panic!("there is no instance"),
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
        let instances = Instances::<()>::new(false, "none");
        let mut metadata = MetadataMap::new();
        metadata.insert(KEY, "abc".parse().unwrap());
        assert_eq!(instances.id(&metadata).unwrap(), "");
    }

    #[test]
    fn what_is_asked_for_twice_is_made_once() {
        let instances = Instances::<u32>::new(true, "none");
        let metadata = |id: &'static str| {
            let mut metadata = MetadataMap::new();
            metadata.insert(KEY, id.parse().unwrap());
            metadata
        };
        assert_eq!(instances.find_or_make(&metadata("a"), || Ok(1)).unwrap(), 1);
        assert_eq!(instances.find_or_make(&metadata("a"), || Ok(2)).unwrap(), 1);
        assert_eq!(instances.find_or_make(&metadata("b"), || Ok(3)).unwrap(), 3);
        assert_eq!(instances.remove("a"), Some(1));
        assert_eq!(instances.find(&metadata("a")).unwrap_err().message(), "none");
    }
}
