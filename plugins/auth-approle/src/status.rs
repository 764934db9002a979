//! Replies with a status of their own. The plugin protocol lets a backend choose one only together
//! with the whole body, so the body that HTTP clients know is made here.

use boltwork_sdk::{Reply, Request, Result, logical::Error};
use serde_json::{Value, json};

/// A reply with this status, payload and warnings.
pub fn reply<F>(req: &Request<F>, status: u16, data: &Value, warnings: &Value) -> Result<Reply> {
    let body = json!({
        "request_id": req.id(), "lease_id": "", "renewable": false, "lease_duration": 0,
        "data": data, "wrap_info": null, "warnings": warnings, "auth": null,
    });
    let body = serde_json::to_vec(&body)
        .map_err(|_| Error::internal("an answer could not be written as JSON"))?;
    Ok(Reply::raw(status, "application/json", body))
}
