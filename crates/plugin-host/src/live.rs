//! One backend in a running process: its calls, and the services that it calls back.
//!
//! Left out: what to do when the process is gone (`instance`).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use boltwork_logical::{BackendKind, Request, Setup, SpecialPaths, Storage};
use boltwork_wire::logical::Empty as NoVersion;
use boltwork_wire::logical::plugin_version_client::PluginVersionClient;
use boltwork_wire::pb::backend_client::BackendClient;
use boltwork_wire::pb::{Empty, InitializeArgs, InvalidateKeyArgs, SetupArgs};
use boltwork_wire::{entry_to_wire, kind_from_wire, paths_from_wire, pb, request_to_wire};
use go_plugin::broker::Accepted;
use go_plugin::host::LONGEST_FROM_PLUGIN;
use go_plugin::{Channel, MAX_MESSAGE};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Code, Status};

use crate::HostError;
use crate::ahead;
use crate::callbacks::Callbacks;
use crate::gate::SetupGate;
use crate::process::{Member, Process};

/// The metadata key that tells backends of one process apart (wire spec 2.4).
pub(crate) const MULTIPLEX_ID: &str = "multiplex_id";
/// How long a plugin may clean up.
const CLEANUP: Duration = Duration::from_secs(2);
/// How long a plugin may take to hear that a key has changed.
const INVALIDATE: Duration = Duration::from_secs(5);

/// A backend that was set up.
pub(crate) struct Live {
    client: BackendClient<Channel>,
    multiplex_id: MetadataValue<Ascii>,
    callbacks: Callbacks,
    /// The mount's, as the plugin may use it.
    storage: Arc<dyn Storage>,
    /// Dropping it ends the services.
    accepted: Accepted,
    member: Member,
    /// What the plugin says that it is.
    pub facts: Facts,
    /// Whether the death of its process was counted; locked while it is.
    pub buried: Mutex<bool>,
}

/// What a plugin says that it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// Secrets engine or auth method; nothing if it could not be asked.
    pub kind: Option<BackendKind>,
    /// Special paths.
    pub paths: Arc<SpecialPaths>,
    /// Its version; empty if it has none.
    pub version: String,
}

/// A call that did not come back.
#[derive(Debug)]
pub(crate) enum Lost {
    /// The process never got it.
    Unsent,
    /// The process ended with it; nobody knows how far it came.
    Sent,
    /// The process is well, and this is what it (or the connection) said.
    Answered(Box<Status>),
}

impl Live {
    /// Sets a backend up in a process that was joined for it. On failure the process is left.
    pub async fn begin(member: Member, setup: &Setup, limit: Duration) -> Result<Self, HostError> {
        let process = Arc::clone(member.process());
        process.places.hold(Self::begin_now(member, setup, limit)).await
    }

    async fn begin_now(member: Member, setup: &Setup, limit: Duration) -> Result<Self, HostError> {
        let gate = SetupGate::of(member.process().order.protocol);
        let mut live = Self::prepare(member, setup, &gate).await?;
        let begun = tokio::time::timeout(limit, live.set_up(setup)).await;
        match begun {
            Ok(Ok(())) => {
                gate.open();
                Ok(live)
            }
            Ok(Err(error)) => {
                live.leave().await;
                Err(error)
            }
            Err(_) => {
                live.leave().await;
                Err(HostError::Timeout { during: "Setup", seconds: limit.as_secs() })
            }
        }
    }

    async fn prepare(member: Member, setup: &Setup, gate: &SetupGate) -> Result<Self, HostError> {
        let process = member.process();
        let name = process.order.entry.id.name.as_str();
        let storage = gate.guard(setup.storage.clone());
        let callbacks = Callbacks::new(storage.clone(), setup.system.clone(), name);
        let accepted = process.client.broker().accept(|_| callbacks.routes()).await;
        let client = BackendClient::new(process.client.channel())
            .max_decoding_message_size(LONGEST_FROM_PLUGIN)
            .max_encoding_message_size(MAX_MESSAGE);
        let facts = Facts::default();
        match accepted {
            Ok(accepted) => {
                let multiplex_id = multiplex_id();
                let buried = Mutex::default();
                Ok(Self {
                    client,
                    multiplex_id,
                    callbacks,
                    storage,
                    accepted,
                    member,
                    facts,
                    buried,
                })
            }
            Err(why) => {
                member.leave().await;
                Err(why.into())
            }
        }
    }

    async fn set_up(&mut self, setup: &Setup) -> Result<(), HostError> {
        let args = SetupArgs {
            broker_id: self.accepted.id,
            config: setup.config.clone().into_iter().collect(),
            backend_uuid: setup.backend_uuid.clone(),
        };
        let reply = self.client.setup(self.request(args)).await;
        let reply = match reply {
            Ok(reply) => reply.into_inner(),
            Err(status) if status.code() == Code::Unimplemented => {
                return Err(HostError::Unserved { service: "pb.Backend" });
            }
            Err(status) => return Err(self.process().failed("Setup", status).await),
        };
        if !reply.err.is_empty() {
            return Err(HostError::Refused(reply.err));
        }
        self.facts = self.ask().await?;
        Ok(())
    }

    /// Asks what it is, all at once. A plugin that does not answer says "unknown", as in Vault.
    async fn ask(&self) -> Result<Facts, HostError> {
        let (mut first, mut second) = (self.client.clone(), self.client.clone());
        let (kind, paths, version) = tokio::join!(
            first.r#type(self.request(Empty {})),
            second.special_paths(self.request(Empty {})),
            self.ask_version(),
        );
        let kind = match kind {
            Ok(reply) => Some(kind_from_wire(reply.into_inner().r#type)),
            Err(status) if self.process().is_lost(&status).await => {
                return Err(self.process().failed("Type", status).await);
            }
            Err(_) => None,
        };
        let paths = match paths {
            Ok(reply) => reply.into_inner().paths.map(paths_from_wire).unwrap_or_default(),
            // Without them a path that needs `sudo` would need none: not to be passed over.
            Err(status) => return Err(self.process().failed("SpecialPaths", status).await),
        };
        Ok(Facts { kind, paths: Arc::new(paths), version: version? })
    }

    async fn ask_version(&self) -> Result<String, HostError> {
        ask_version(self.process(), self.request(NoVersion {})).await
    }

    /// The process.
    pub fn process(&self) -> &Arc<Process> {
        self.member.process()
    }

    fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.metadata_mut().insert(MULTIPLEX_ID, self.multiplex_id.clone());
        request
    }

    /// Passes a request on.
    pub async fn handle(&self, request: &Request) -> Result<pb::HandleRequestReply, Lost> {
        self.sendable()?;
        let ahead = ahead::entry(request, &self.facts.paths, &*self.storage).await;
        let (request, ahead) = (Some(request_to_wire(request)), ahead.map(entry_to_wire));
        let args = pb::HandleRequestArgs { storage_id: 0, request, ahead };
        // Cloning a client clones handles; nothing is opened.
        let answer = self.client.clone().handle_request(self.request(args)).await;
        self.answered(answer).await
    }

    /// Passes an existence check on.
    pub async fn exists(
        &self,
        request: pb::Request,
    ) -> Result<pb::HandleExistenceCheckReply, Lost> {
        self.sendable()?;
        let args = pb::HandleExistenceCheckArgs { storage_id: 0, request: Some(request) };
        let answer = self.client.clone().handle_existence_check(self.request(args)).await;
        self.answered(answer).await
    }

    /// Initialises the backend, for so long and no longer. A plugin without that is ready as it is.
    pub async fn initialize(&self, limit: Duration) -> Result<pb::InitializeReply, Lost> {
        self.sendable()?;
        let mut client = self.client.clone();
        let answer = client.initialize(self.request(InitializeArgs {}));
        let answer = tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| {
            let why = HostError::Timeout { during: "Initialize", seconds: limit.as_secs() };
            Err(Status::deadline_exceeded(why.to_string()))
        });
        match answer {
            Err(status) if status.code() == Code::Unimplemented => {
                Ok(pb::InitializeReply::default())
            }
            answer => self.answered(answer).await,
        }
    }

    /// Tells the backend that a key has changed. Nothing can be done if it does not hear.
    pub async fn invalidate(&self, key: &str) {
        let args = InvalidateKeyArgs { key: key.to_owned() };
        let mut client = self.client.clone();
        let told = client.invalidate_key(self.request(args));
        if !matches!(tokio::time::timeout(INVALIDATE, told).await, Ok(Ok(_))) {
            let plugin = self.process().order.entry.id.name.as_str();
            tracing::debug!(plugin, "a plugin did not hear that a key has changed");
        }
    }

    fn sendable(&self) -> Result<(), Lost> {
        if self.process().is_gone() { Err(Lost::Unsent) } else { Ok(()) }
    }

    async fn answered<T>(&self, answer: Result<tonic::Response<T>, Status>) -> Result<T, Lost> {
        match answer {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) if self.process().is_lost(&status).await => Err(Lost::Sent),
            Err(status) => Err(Lost::Answered(Box::new(status))),
        }
    }

    /// Asks the backend to clean up, for a bounded time, and ends it.
    pub async fn clean_up(&self) {
        let mut client = self.client.clone();
        let cleaned = client.cleanup(self.request(Empty {}));
        if tokio::time::timeout(CLEANUP, cleaned).await.is_err() {
            let plugin = self.process().order.entry.id.name.as_str();
            tracing::warn!(plugin, "a plugin did not clean up within {CLEANUP:?}");
        }
        self.callbacks.end();
    }

    /// Ends the callbacks, and the process if nobody else is in it.
    pub async fn leave(self) {
        let Self { callbacks, accepted, member, .. } = self;
        callbacks.end();
        drop(accepted);
        member.leave().await;
    }

    /// Forgets what the backend had open here: its process is gone.
    pub fn forget(&self) {
        self.callbacks.end();
    }
}

/// The version that a process reports of itself, or nothing.
pub(crate) async fn ask_version(
    process: &Process,
    request: tonic::Request<NoVersion>,
) -> Result<String, HostError> {
    let mut client = PluginVersionClient::new(process.client.channel());
    match client.version(request).await {
        Ok(reply) => Ok(reply.into_inner().plugin_version),
        Err(status) if process.is_lost(&status).await => {
            Err(process.failed("Version", status).await)
        }
        Err(_) => Ok(String::new()),
    }
}

/// A request that carries an id which no backend has.
pub(crate) fn throw_away<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert(MULTIPLEX_ID, multiplex_id());
    request
}

/// Ten letters and digits, as other hosts make them.
pub(crate) fn multiplex_id() -> MetadataValue<Ascii> {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let id: [u8; 10] = std::array::from_fn(|_| LETTERS[rand::random_range(0..LETTERS.len())]);
    MetadataValue::try_from(id.as_slice()).expect("letters and digits are a metadata value")
}
