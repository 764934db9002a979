//! The broker: how two processes that share one connection make further ones (wire spec 1.8).
//!
//! Who offers a service opens a socket, announces it under a number on the broker's stream, and
//! tells the other side the number in some call of its own. Who wants the service waits for the
//! announcement and connects. Announcement and call may come in either order.
//!
//! Both roles use the same [`Broker`]. Left out: the multiplexed form (wire spec 1.9), in which
//! all of this runs inside one connection; a knock of that form is refused with a log line.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tonic::service::Routes;

use crate::channel::Channel;
use crate::handshake::Network;
use crate::proto::plugin::ConnInfo;
use crate::server::{Serving, Socket};
use crate::transport::answering::Pace;
use crate::{Error, tls::PeerTls};

/// How long a dialler waits for an announcement, and how long an announcement waits for a dialler.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// Announcements and diallers that wait at the same time; a peer that sends more is misbehaving.
const WAITING: usize = 1024;
/// Announcements of ours that the stream has not taken yet.
const OUTGOING: usize = 64;

/// One end of the broker. Cheap to clone.
#[derive(Clone)]
pub struct Broker(Arc<Inner>);

struct Inner {
    last: AtomicU32,
    outgoing: mpsc::Sender<ConnInfo>,
    /// Never held across an await.
    slots: Mutex<HashMap<u32, Slot>>,
    closed: watch::Sender<bool>,
    tls: Option<PeerTls>,
    folder: PathBuf,
}

enum Slot {
    Announced(ConnInfo, Instant),
    Awaited(oneshot::Sender<ConnInfo>),
}

impl Slot {
    fn stale(&self) -> bool {
        match self {
            Self::Announced(_, since) => since.elapsed() > PATIENCE,
            Self::Awaited(dialler) => dialler.is_closed(),
        }
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("folder", &self.0.folder).finish_non_exhaustive()
    }
}

impl Broker {
    /// A broker that binds its sockets in `folder`, and what its stream is to send.
    pub(crate) fn new(tls: Option<PeerTls>, folder: PathBuf) -> (Self, mpsc::Receiver<ConnInfo>) {
        let (outgoing, receiver) = mpsc::channel(OUTGOING);
        let inner = Inner {
            last: AtomicU32::new(0),
            outgoing,
            slots: Mutex::default(),
            closed: watch::Sender::new(false),
            tls,
            folder,
        };
        (Self(Arc::new(inner)), receiver)
    }

    /// Serves the routes that `routes` makes on a connection of their own, until the returned
    /// value is dropped or the broker closes. Tell the peer the [`Accepted::id`].
    ///
    /// The peer must prove the same certificate as on the main connection. What answers a call must
    /// not compute for long before it waits for something: other calls of the peer wait meanwhile.
    pub async fn accept(&self, routes: impl FnOnce(u32) -> Routes) -> Result<Accepted, Error> {
        // Wraps after four thousand million; zero is nobody's number.
        let id = self.0.last.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(1);
        self.accept_as(id, routes(id)).await
    }

    async fn accept_as(&self, id: u32, routes: Routes) -> Result<Accepted, Error> {
        if self.is_closed() {
            return Err(Error::BrokerClosed);
        }
        let socket = Socket::bind(&self.0.folder, &format!("b{id}-{:08x}", rand::random::<u32>()))?;
        let announcement = ConnInfo {
            service_id: id,
            network: Network::Unix.as_str().into(),
            address: utf8(socket.path())?,
            knock: None,
        };
        let serving = socket.serve(self.0.tls.as_ref(), routes, Pace::AtOnce);
        let mut closed = self.0.closed.subscribe();
        tokio::select! {
            sent = self.0.outgoing.send(announcement) => sent.map_err(|_| Error::BrokerClosed)?,
            _ = closed.wait_for(|closed| *closed) => return Err(Error::BrokerClosed),
        }
        // Serving ends with whichever comes first: the owner lets go, or the broker closes.
        let (owner, mut dropped) = watch::channel(());
        tokio::spawn(async move {
            let _serving: Serving = serving;
            tokio::select! {
                _ = dropped.changed() => {}
                _ = closed.wait_for(|closed| *closed) => {}
            }
        });
        Ok(Accepted { id, _owner: owner })
    }

    /// Connects to the service that the peer announced, or will announce within [`PATIENCE`],
    /// under `id`. An id is good for one connection.
    pub async fn dial(&self, id: u32) -> Result<Channel, Error> {
        let announcement = match self.claim(id)? {
            Claim::Here(announcement) => announcement,
            Claim::Wait(receiver) => {
                let mut closed = self.0.closed.subscribe();
                tokio::select! {
                    waited = tokio::time::timeout(PATIENCE, receiver) => match waited {
                        Ok(Ok(announcement)) => announcement,
                        Ok(Err(_)) => return Err(Error::BrokerClosed),
                        Err(_) => return Err(Error::BrokerTimeout(id)),
                    },
                    _ = closed.wait_for(|closed| *closed) => return Err(Error::BrokerClosed),
                }
            }
        };
        let network = match announcement.network.as_str() {
            "unix" => Network::Unix,
            "tcp" => Network::Tcp,
            _ => {
                let ConnInfo { network, address, .. } = announcement;
                return Err(Error::Address { network, address });
            }
        };
        let connecting = Channel::connect(network, &announcement.address, self.0.tls.as_ref());
        tokio::time::timeout(PATIENCE, connecting).await.unwrap_or(Err(Error::BrokerTimeout(id)))
    }

    fn claim(&self, id: u32) -> Result<Claim, Error> {
        if self.is_closed() {
            return Err(Error::BrokerClosed);
        }
        let mut slots = self.slots();
        if slots.get(&id).is_some_and(Slot::stale) {
            slots.remove(&id);
        }
        match slots.entry(id) {
            Entry::Occupied(slot) => match slot.remove() {
                Slot::Announced(announcement, _) => Ok(Claim::Here(announcement)),
                waiting @ Slot::Awaited(_) => {
                    slots.insert(id, waiting);
                    Err(Error::BrokerBusy(id))
                }
            },
            Entry::Vacant(slot) => {
                let (sender, receiver) = oneshot::channel();
                slot.insert(Slot::Awaited(sender));
                Ok(Claim::Wait(receiver))
            }
        }
    }

    /// Takes an announcement of the peer.
    pub(crate) fn deliver(&self, announcement: ConnInfo) {
        let id = announcement.service_id;
        if announcement.knock.is_some() {
            tracing::warn!(id, error = %Error::BrokerMultiplexed, "ignored a broker message");
            return;
        }
        let mut slots = self.slots();
        if slots.len() >= WAITING {
            slots.retain(|_, slot| !slot.stale());
        }
        let full = slots.len() >= WAITING;
        match slots.entry(id) {
            Entry::Occupied(slot) if !slot.get().stale() => match slot.remove() {
                Slot::Awaited(dialler) => {
                    // A dialler that gave up meanwhile will have told its caller so.
                    let _ = dialler.send(announcement);
                }
                // The first announcement counts; its repetition does not prolong it.
                first @ Slot::Announced(..) => {
                    slots.insert(id, first);
                }
            },
            Entry::Vacant(_) if full => {
                tracing::warn!(id, "too many unclaimed broker announcements; dropped one");
            }
            entry => {
                entry.insert_entry(Slot::Announced(announcement, Instant::now()));
            }
        }
    }

    /// Ends everything that was accepted and every wait. Connections that were dialled are their
    /// owners'.
    pub fn close(&self) {
        self.0.closed.send_replace(true);
        self.slots().clear();
    }

    /// Whether [`Broker::close`] was called or the process on the other side has gone.
    pub fn is_closed(&self) -> bool {
        *self.0.closed.borrow()
    }

    pub(crate) async fn closed(&self) {
        let _ = self.0.closed.subscribe().wait_for(|closed| *closed).await;
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<u32, Slot>> {
        // The map is whole after every statement that could panic.
        self.0.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Claim {
    Here(ConnInfo),
    Wait(oneshot::Receiver<ConnInfo>),
}

/// Something that is being served to the peer under a number. Dropping it stops it.
#[derive(Debug)]
pub struct Accepted {
    /// The number to tell the peer.
    pub id: u32,
    _owner: watch::Sender<()>,
}

fn utf8(path: &std::path::Path) -> Result<String, Error> {
    path.to_str().map(str::to_owned).ok_or_else(|| Error::Io {
        what: format!("announcing the socket {}", path.display()),
        source: std::io::Error::other("the path is not UTF-8, which the protocol needs"),
    })
}

#[cfg(test)]
#[path = "broker_tests.rs"]
mod tests;
