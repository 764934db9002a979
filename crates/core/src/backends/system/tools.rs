//! `sys/tools/`: random bytes and digests, for whoever has no tool at hand.

use aws_lc_rs::digest::{Algorithm, SHA224, SHA256, SHA384, SHA512, digest};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use boltwork_framework::{Base64, Reply, Request, Result};
use boltwork_logical::Error;
use rand::TryRngCore;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::System;

/// Most random bytes at once; Vault's limit.
const MAX_RANDOM: u64 = 128 * 1024;

/// How many random bytes.
#[derive(Deserialize, JsonSchema)]
pub(super) struct RandomFields {
    /// The number of bytes to generate, in the path.
    #[serde(default)]
    urlbytes: Option<u64>,
    /// The number of bytes to generate. Defaults to 32 (256 bits).
    #[serde(default)]
    bytes: Option<u64>,
    /// Encoding format to use. Can be "hex" or "base64". Defaults to "base64".
    #[serde(default)]
    format: String,
}

/// What to digest, and how.
#[derive(Deserialize, JsonSchema)]
pub(super) struct HashFields {
    /// The base64-encoded input data.
    #[serde(default)]
    input: Base64,
    /// Algorithm to use: sha2-224, sha2-256, sha2-384 or sha2-512. Defaults to "sha2-256".
    #[serde(default)]
    algorithm: String,
    /// Algorithm to use, in the path.
    #[serde(default)]
    urlalgorithm: String,
    /// Encoding format to use. Can be "hex" or "base64". Defaults to "hex".
    #[serde(default)]
    format: String,
}

impl System {
    pub(super) async fn random(&self, req: Request<RandomFields>) -> Result<Reply> {
        let fields = req.fields;
        let wanted = fields.urlbytes.or(fields.bytes).unwrap_or(32);
        if wanted == 0 {
            return Err(Error::invalid("\"bytes\" cannot be less than 1"));
        }
        if wanted > MAX_RANDOM {
            return Err(Error::invalid(format!("\"bytes\" should be less than {MAX_RANDOM}")));
        }
        let length = usize::try_from(wanted).map_err(|_| Error::invalid("too many bytes"))?;
        let mut bytes = Zeroizing::new(vec![0; length]);
        rand::rngs::OsRng
            .try_fill_bytes(&mut bytes)
            .map_err(|_| Error::internal("the operating system gave no random bytes"))?;
        Ok(Reply::data(json!({ "random_bytes": encode(&fields.format, "base64", &bytes)? })))
    }

    pub(super) async fn hash(&self, req: Request<HashFields>) -> Result<Reply> {
        let fields = req.fields;
        let name = match fields.urlalgorithm.is_empty() {
            true => fields.algorithm,
            false => fields.urlalgorithm,
        };
        let algorithm: &'static Algorithm = match name.as_str() {
            "" | "sha2-256" => &SHA256,
            "sha2-224" => &SHA224,
            "sha2-384" => &SHA384,
            "sha2-512" => &SHA512,
            other => return Err(Error::invalid(format!("unsupported algorithm {other:?}"))),
        };
        let sum = digest(algorithm, &fields.input);
        Ok(Reply::data(json!({ "sum": encode(&fields.format, "hex", sum.as_ref())? })))
    }
}

fn encode(format: &str, default: &str, bytes: &[u8]) -> Result<String> {
    match if format.is_empty() { default } else { format } {
        "hex" => Ok(hex::encode(bytes)),
        "base64" => Ok(BASE64_STANDARD.encode(bytes)),
        other => Err(Error::invalid(format!(
            "unsupported encoding format {other:?}; must be \"hex\" or \"base64\""
        ))),
    }
}
