//! Storage sent along with a read: what the plugin said that it will ask for (`Paths.read_ahead` in
//! `backend.proto`, Boltwork's own).
//!
//! Most of what a read through an external plugin costs is going to and fro between two processes;
//! this saves one of two trips. The entry is read here after the request has come in, from the same
//! storage and with the same checks as if the plugin had asked. Left out: what changes something
//! (the plugin has to take its locks before it reads), and that there is *no* entry, which a plugin
//! that moves its data could not tell from "not there yet".

use boltwork_logical::{Entry, Operation, Request, SpecialPaths, Storage};

/// Largest value that is sent along: the plugin may have no use for it.
const LARGEST: usize = 256 << 10;

/// The entry to send along with a request, if there is one.
pub(crate) async fn entry(
    request: &Request,
    paths: &SpecialPaths,
    storage: &dyn Storage,
) -> Option<Entry> {
    if request.operation != Operation::Read {
        return None;
    }
    let key = paths.read_ahead_key(&request.path)?;
    // A failure is not told here: the plugin asks for itself, and is told.
    let entry = storage.get(&key).await.ok()??;
    (entry.value.len() <= LARGEST).then_some(entry)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use boltwork_logical::ReadAhead;

    use super::*;
    use crate::memory::MemoryStorage;

    async fn sent(operation: Operation, path: &str, storage: &Arc<MemoryStorage>) -> Option<Entry> {
        let rule = ReadAhead { path: "data/".into(), key: "meta/".into() };
        let paths = SpecialPaths { read_ahead: vec![rule], ..SpecialPaths::default() };
        let request = Request::new(operation, path, Arc::clone(storage) as Arc<dyn Storage>);
        entry(&request, &paths, &**storage).await
    }

    #[tokio::test]
    async fn reads_are_sent_what_the_plugin_said_and_nothing_else_is() {
        let storage = Arc::new(MemoryStorage::default());
        storage.put(Entry::new("meta/a", "1")).await.unwrap();
        storage.put(Entry::new("meta/large", vec![0; LARGEST + 1])).await.unwrap();
        storage.put(Entry::new("a", "2")).await.unwrap();
        let found = sent(Operation::Read, "data/a", &storage).await.unwrap();
        assert_eq!((found.key.as_str(), found.value.as_slice()), ("meta/a", b"1".as_slice()));
        for path in ["a", "data/", "data/missing", "data/large"] {
            assert!(sent(Operation::Read, path, &storage).await.is_none(), "{path}");
        }
        for operation in [Operation::Update, Operation::Patch, Operation::List] {
            assert!(sent(operation, "data/a", &storage).await.is_none(), "{operation:?}");
        }
    }
}
