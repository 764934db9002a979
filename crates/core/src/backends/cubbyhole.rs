//! `cubbyhole/`: what a token keeps for itself, gone when the token is.

use boltwork_framework::{Engine, Reply, Request, Result, Routes, path};
use boltwork_logical::{Entry, Error};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::session::Session;

/// The engine. Every key stands below the digest of the token that wrote it.
pub struct Cubbyhole;

/// Any path below the caller's own.
#[derive(Deserialize, JsonSchema)]
struct Place {
    /// Specifies the path of the secret.
    #[serde(default)]
    path: String,
}

impl Engine for Cubbyhole {
    fn routes() -> Routes<Self> {
        Routes::new([path("{path...}")
            .any_input()
            .help("Secrets that only the token that wrote them can read; they end with the token.")
            .read(Self::read)
            .write(Self::write)
            .delete(Self::delete)
            .list(Self::list)
            .exists(Self::exists)])
        .help("A private place for every token, gone when the token is.")
    }
}

impl Cubbyhole {
    fn key(req: &Request<Place>) -> Result<String> {
        let session = Session::of(req.caller().session.as_ref())?;
        if session.entry.is_batch() {
            return Err(Error::invalid(
                "cubbyhole operations are only supported by 'service' type tokens",
            ));
        }
        Ok(format!("{}/{}", session.digest, req.fields.path))
    }

    async fn exists(&self, req: Request<Place>) -> Result<bool> {
        // Existence is asked before the caller is handed over; it decides nothing here.
        let Ok(key) = Self::key(&req) else { return Ok(true) };
        Ok(req.storage.get(&key).await?.is_some())
    }

    async fn read(&self, req: Request<Place>) -> Result<Reply> {
        let Some(entry) = req.storage.get(&Self::key(&req)?).await? else {
            return Ok(Reply::not_found());
        };
        let data = boltwork_logical::Data::parse(entry.value.to_vec())
            .map_err(|_| Error::internal("the stored entry is not valid JSON"))?;
        Ok(Reply::text_of(data))
    }

    async fn write(&self, req: Request<Place>) -> Result<Reply> {
        if req.data().fields()?.is_empty() {
            return Err(Error::invalid("missing data fields"));
        }
        let key = Self::key(&req)?;
        req.storage.put(Entry::new(key, req.data().as_bytes())).await?;
        Ok(Reply::empty())
    }

    async fn delete(&self, req: Request<Place>) -> Result<Reply> {
        req.storage.delete(&Self::key(&req)?).await?;
        Ok(Reply::empty())
    }

    async fn list(&self, req: Request<Place>) -> Result<Reply> {
        let mut prefix = Self::key(&req)?;
        if !prefix.ends_with('/') {
            prefix.push('/');
        }
        let keys = req.storage.list(&prefix).await?;
        Ok(if keys.is_empty() { Reply::not_found() } else { Reply::keys(&keys) })
    }
}
