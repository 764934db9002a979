//! A connection's place in a plugin's process, whatever the version of the protocol: calls that
//! come to an end, and leaving.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use boltwork_logical::DatabaseError;
use tonic::{Code, Response, Status};

use crate::HostError;
use crate::error::rpc_text;
use crate::process::{Member, Process};

/// Longest call that works with the database: as long as a request may last in Vault.
pub(super) const CALL: Duration = Duration::from_secs(90);
/// Longest call that only asks or says something.
pub(super) const SHORT_CALL: Duration = Duration::from_secs(1);
/// Largest answer in bytes. Configurations and user names are small, whatever a plugin sends.
pub(super) const LARGEST_ANSWER: usize = 16 << 20;

/// A place in a process. Dropping it leaves the process.
pub(super) struct Seat {
    process: Arc<Process>,
    member: Mutex<Option<Member>>,
}

impl Seat {
    /// The place of a member.
    pub fn new(member: Member) -> Self {
        Self { process: member.process().clone(), member: Mutex::new(Some(member)) }
    }

    /// The process.
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// Makes sure that the process serves what is called: `asked` is its answer to `Type`.
    pub async fn serves<T>(
        &self,
        service: &'static str,
        limit: Duration,
        asked: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<(), HostError> {
        match tokio::time::timeout(limit, asked).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(status)) if status.code() == Code::Unimplemented => {
                Err(HostError::Unserved { service })
            }
            Ok(Err(status)) => Err(self.process.failed("Type", status).await),
            Err(_) => Err(HostError::Timeout { during: "Type", seconds: limit.as_secs() }),
        }
    }

    /// What came of a call: the process's end, or its answer.
    pub async fn call<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<Result<T, Status>, DatabaseError> {
        if self.process.is_gone() {
            return Err(DatabaseError::Shutdown);
        }
        let late = || Err(Status::deadline_exceeded("context deadline exceeded"));
        match tokio::time::timeout(limit, call).await.unwrap_or_else(|_| late()) {
            Ok(answer) => Ok(Ok(answer.into_inner())),
            Err(status) if self.process.is_lost(&status).await => Err(DatabaseError::Shutdown),
            Err(status) => Ok(Err(status)),
        }
    }

    /// Leaves the process, and waits for its end if nobody else is in it.
    pub async fn leave(&self) {
        let member = self.member.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(member) = member {
            member.leave().await;
        }
    }
}

/// A failed call, in the words of Go's library.
pub(super) fn failed(status: &Status) -> DatabaseError {
    DatabaseError::Failed(rpc_text(status))
}
