//! Both roles in one process, over real sockets with real certificates, and no child: for tests of
//! services that must not care which side of a process boundary they are on.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;

use super::folder::Folder;
use crate::broker::Broker;
use crate::channel::Channel;
use crate::handshake::Network;
use crate::plugin::Context;
use crate::proto::plugin::grpc_broker_client::GrpcBrokerClient;
use crate::server::{Serving, Socket};
use crate::services::{Output, Standard, listen};
use crate::tls::Identity;
use crate::transport::answering::Pace;
use crate::{Error, MAX_MESSAGE};

/// A plugin that is served by the process that calls it. Ends when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Loopback(Arc<Ends>);

#[derive(Debug)]
struct Ends {
    channel: Channel,
    host: Broker,
    plugin: Broker,
    _serving: Serving,
    _folder: Folder,
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.host.close();
        self.plugin.close();
    }
}

impl Loopback {
    /// Serves what `routes` makes, and connects to it as a host would. `version` is what the
    /// handshake would have agreed upon.
    pub async fn start(
        version: u32,
        routes: impl FnOnce(&Context) -> Routes,
    ) -> Result<Self, Error> {
        let (ours, theirs) = (Identity::generate()?, Identity::generate()?);
        let pinned = |identity: &Identity| identity.certificate().cloned().into_iter().collect();
        let (host_tls, plugin_tls) =
            (ours.with_peer(pinned(&theirs))?, theirs.with_peer(pinned(&ours))?);
        let folder = Folder::create(&std::env::temp_dir())?;

        let sockets = folder.path().to_owned();
        let (plugin, announcements) = Broker::new(Some(plugin_tls.clone()), sockets.clone());
        let (output, pieces) = Output::new();
        let context = Context { broker: plugin.clone(), output, version };
        let stop = watch::Sender::new(false);
        let standard = Standard { broker: plugin.clone(), announcements, output: pieces, stop };
        let routes = standard.add_to(routes(&context));
        let socket = Socket::bind(folder.path(), "plugin")?;
        let path = socket.path().to_string_lossy().into_owned();
        let serving = socket.serve(Some(&plugin_tls), routes, Pace::Apart);

        let channel = Channel::connect(Network::Unix, &path, Some(&host_tls)).await?;
        let (host, announcements) = Broker::new(Some(host_tls), sockets);
        let mut client =
            GrpcBrokerClient::new(channel.clone()).max_decoding_message_size(MAX_MESSAGE);
        let stream = client.start_stream(ReceiverStream::new(announcements)).await;
        let stream =
            stream.map_err(|why| Error::Connect { address: path, why: why.to_string() })?;
        tokio::spawn(listen(host.clone(), stream.into_inner()));
        Ok(Self(Arc::new(Ends { channel, host, plugin, _serving: serving, _folder: folder })))
    }

    /// The host's connection to the plugin.
    pub fn channel(&self) -> Channel {
        self.0.channel.clone()
    }

    /// The host's broker.
    pub fn broker(&self) -> &Broker {
        &self.0.host
    }
}
