//! The nouns of a secrets server: requests, replies, backends, storage.
