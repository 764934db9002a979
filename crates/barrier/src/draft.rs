//! A barrier that is made in memory and then stored in one step, so that an initialisation with all that belongs to it
//! is there as a whole or not at all.
//!
//! Leaves out what is written into it: that is its user's affair.

use std::sync::Arc;

use boltwork_storage::{Batch, Check, Memory, Physical, Write};

use crate::{Barrier, Error, paths};

/// A barrier in memory, on its way into storage.
pub struct Draft {
    memory: Arc<Memory>,
    barrier: Barrier,
}

impl Default for Draft {
    fn default() -> Self {
        let memory = Arc::new(Memory::new());
        Self { barrier: Barrier::new(memory.clone()), memory }
    }
}

impl Draft {
    /// The barrier: to be initialised, unsealed and written to like any other.
    #[must_use]
    pub fn barrier(&self) -> &Barrier {
        &self.barrier
    }

    /// Stores everything where `target` has its entries, in one step.
    ///
    /// If storage fails it is asked once more: a failed answer does not mean that nothing was written.
    ///
    /// # Errors
    /// [`Error::AlreadyInitialized`] when there is a keyring; [`Error::NotInitialized`] when the draft has none;
    /// [`Error::Storage`].
    pub async fn store_in(&self, target: &Barrier) -> Result<(), Error> {
        let mut writes = vec![Write::Delete { key: paths::ROOT_KEY_OPENBAO.into() }];
        for key in self.keys().await? {
            if let Some(value) = self.memory.get(&key).await? {
                writes.push(Write::Put { key, value });
            }
        }
        let keyring = self.keyring().await?;
        let absent = Check::Value { key: paths::KEYRING.into(), expected: None };
        match target.physical().apply(Batch { checks: vec![absent], writes }).await {
            Ok(()) => Ok(()),
            Err(boltwork_storage::Error::Conflict) => Err(Error::AlreadyInitialized),
            Err(error) => match target.physical().get(paths::KEYRING).await {
                Ok(Some(stored)) if stored == keyring => Ok(()),
                _ => Err(error.into()),
            },
        }
    }

    /// Takes back what was stored, if the keyring there is still this one.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it is not; [`Error::Storage`].
    pub async fn take_back_from(&self, target: &Barrier) -> Result<(), Error> {
        let expected = Some(self.keyring().await?);
        let ours = Check::Value { key: paths::KEYRING.into(), expected };
        let writes = self.keys().await?.into_iter().map(|key| Write::Delete { key }).collect();
        Ok(target.physical().apply(Batch { checks: vec![ours], writes }).await?)
    }

    async fn keyring(&self) -> Result<Vec<u8>, Error> {
        self.memory.get(paths::KEYRING).await?.ok_or(Error::NotInitialized)
    }

    async fn keys(&self) -> Result<Vec<String>, Error> {
        let (mut found, mut folders) = (Vec::new(), vec![String::new()]);
        while let Some(folder) = folders.pop() {
            for child in self.memory.list(&folder, "", None).await? {
                let path = format!("{folder}{child}");
                match path.ends_with('/') {
                    true => folders.push(path),
                    false => found.push(path),
                }
            }
        }
        Ok(found)
    }
}
