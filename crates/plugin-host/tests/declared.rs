//! Plugins that the configuration declares, with one that runs.
#![allow(clippy::unwrap_used)]

mod support;

use boltwork_logical::{Plugins, Registration};
use boltwork_plugin_host::{Declared, PluginHost, PluginHostConfig};
use support::{Server, secret, tool, wait_for};

fn declared(registration: Registration) -> Declared {
    Declared {
        place: "a.hcl:1:1".into(),
        kind: registration.kind.clone(),
        name: registration.name.clone(),
        registration: Ok(registration),
    }
}

/// The same folder and catalog under a host with other stanzas, as after a restart.
async fn restarted(server: &mut Server, stanzas: Vec<Declared>) {
    server.host.close().await;
    let mut config = PluginHostConfig::new("1.18.3", server.folder.join("run"));
    config.plugin_directory = Some(server.folder.join("plugins"));
    config.declared = Some(stanzas);
    server.host = PluginHost::new(config).unwrap();
    server.host.open(server.catalog.clone(), support::no_server()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_plugin_is_registered_beside_a_bad_one_changed_and_removed() {
    let Some(program) = tool("mock-plugin") else { return };
    let mut server = Server::new().await;
    let mut good = server.install(&program, "mock");
    good.version = "v0.0.0+mock".into();
    let bad = server.script("bad", "#!/bin/sh\nexit 1\n");
    let bad = Registration { version: "v1.0.0".into(), ..bad };
    let id = secret("mock", "v0.0.0+mock");
    let entry = async |server: &Server| server.host.get(&id).await.unwrap();

    restarted(&mut server, vec![declared(bad.clone()), declared(good.clone())]).await;
    support::eventually("it is registered", async || entry(&server).await.is_some()).await;
    assert!(entry(&server).await.unwrap().declarative);
    assert!(server.host.get(&secret("bad", "v1.0.0")).await.unwrap().is_none());

    good.env = vec!["DECLARED=anew".into()];
    restarted(&mut server, vec![declared(good)]).await;
    let is_new = async || entry(&server).await.is_some_and(|it| it.env == ["DECLARED=anew"]);
    support::eventually("it is registered as it is declared now", is_new).await;

    restarted(&mut server, Vec::new()).await;
    support::eventually("it is removed", async || entry(&server).await.is_none()).await;
    server.host.close().await;
    server.expect_nothing_left().await;
    wait_for("no child is left", || support::children().is_empty()).await;
}
