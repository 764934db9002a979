//! Storage entries and storage's errors, which cross as plain text (wire spec 2.9).

use boltwork_logical::{Entry, StorageError};
use zeroize::Zeroizing;

use crate::pb::StorageEntry;

/// Part of the text that servers recognise "not writable here" by, and forward the request for.
pub const READ_ONLY_TEXT: &str = "cannot write to readonly storage";

/// An entry for the wire. The value moves, it is not copied.
pub fn entry_to_wire(mut entry: Entry) -> StorageEntry {
    StorageEntry {
        value: std::mem::take(&mut *entry.value),
        key: entry.key,
        seal_wrap: entry.seal_wrap,
    }
}

/// An entry from the wire. The value moves, it is not copied.
pub fn entry_from_wire(entry: StorageEntry) -> Entry {
    Entry { key: entry.key, value: Zeroizing::new(entry.value), seal_wrap: entry.seal_wrap }
}

/// The text of a failure. Readers tell success by an empty text, so it is never empty.
pub fn storage_error_to_text(error: &StorageError) -> String {
    let text = error.to_string();
    if text.is_empty() { "storage failed without a reason".to_owned() } else { text }
}

/// What a text means, as far as texts mean anything here; an empty one is success.
pub fn storage_error_from_text(text: String) -> Result<(), StorageError> {
    if text.is_empty() {
        return Ok(());
    }
    let during_setup = StorageError::during_setup();
    if text.contains(READ_ONLY_TEXT) || text == during_setup.to_string() {
        return Err(StorageError::ReadOnly(text));
    }
    if text == StorageError::Sealed.to_string() {
        return Err(StorageError::Sealed);
    }
    if text == StorageError::NoTransactions.to_string() {
        return Err(StorageError::NoTransactions);
    }
    Err(StorageError::Failed(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_crosses_and_an_empty_value_is_a_value() {
        for value in [Vec::new(), vec![0, 255, 7]] {
            let mut entry = Entry::new("a/b", value);
            entry.seal_wrap = true;
            assert_eq!(entry_from_wire(entry_to_wire(entry.clone())), entry);
        }
    }

    #[test]
    fn the_texts_with_a_meaning_keep_it() {
        for error in [
            StorageError::Sealed,
            StorageError::during_setup(),
            StorageError::ReadOnly(format!("{READ_ONLY_TEXT}: standby")),
            StorageError::NoTransactions,
            StorageError::Failed("disk on fire".into()),
        ] {
            assert_eq!(storage_error_from_text(storage_error_to_text(&error)), Err(error));
        }
        assert_eq!(storage_error_from_text(String::new()), Ok(()));
    }

    #[test]
    fn a_failure_without_text_is_still_a_failure() {
        let text = storage_error_to_text(&StorageError::Failed(String::new()));
        assert!(storage_error_from_text(text).is_err());
    }
}
