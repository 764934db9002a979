//! Plugins that the server's configuration declares (wire spec 5.13): the catalog is brought in line
//! with it after each unsealing.
//!
//! What was registered through the API is never touched. What cannot be registered is told and
//! stays as it is: nothing here stops the server. Left out: reading the configuration.

use std::collections::HashSet;

use boltwork_logical::{Error, PluginEntry, PluginId, PluginKind, Registration};

use crate::PluginHost;
use crate::catalog::{Checked, check};
use crate::integrity::locate;

/// A plugin that the configuration declares.
#[derive(Clone)]
pub struct Declared {
    /// File and line, for messages.
    pub place: String,
    /// Type, unchecked; empty where it could not be read.
    pub kind: String,
    /// Name; empty where it could not be read.
    pub name: String,
    /// What to register, with type, name and version; or what is wrong with the stanza.
    pub registration: Result<Registration, String>,
}

/// What of the catalog is to stay.
#[derive(Default)]
struct Kept {
    ids: HashSet<PluginId>,
    /// Every version: which one is meant cannot be read.
    names: HashSet<(String, String)>,
    /// Everything: which plugin is meant cannot be read.
    all: bool,
}

impl Kept {
    fn keeps(&self, entry: &PluginEntry) -> bool {
        let name = (entry.id.kind.to_string(), entry.id.name.clone());
        self.all || self.ids.contains(&entry.id) || self.names.contains(&name)
    }

    fn note(&mut self, one: &Declared) {
        if PluginKind::parse(&one.kind).is_err() || one.name.is_empty() {
            self.all = true;
        } else {
            self.names.insert((one.kind.clone(), one.name.clone()));
        }
    }
}

impl PluginHost {
    /// Registers and removes; goes on after a failure. Returns a sentence for each.
    pub(crate) async fn apply_declared(&self, declared: &[Declared]) -> Vec<String> {
        let (mut kept, mut problems) = (Kept::default(), Vec::new());
        for (index, one) in declared.iter().enumerate() {
            if let Err(error) = self.declare(one, &mut kept).await {
                let Declared { place, kind, name, .. } = one;
                problems.push(format!(
                    "[plugin {index} (name: {name} / type: {kind})]: {error} ({place})"
                ));
            }
        }
        if let Err(error) = self.forget_undeclared(&kept, &mut problems).await {
            problems.push(format!(
                "plugins that are declared no more could not be looked for: {error}"
            ));
        }
        problems
    }

    async fn declare(&self, one: &Declared, kept: &mut Kept) -> Result<(), Error> {
        let checked = match self.checked(one) {
            Ok(checked) => checked,
            Err(error) => {
                kept.note(one);
                return Err(error);
            }
        };
        let (kind, name, version) = (checked.kind, checked.name.clone(), checked.version.clone());
        let Some(kind) = kind else {
            kept.note(one);
            return Err(Error::invalid(format!("{:?} is not a supported plugin type", one.kind)));
        };
        let id = PluginId { kind, name, version };
        if !kept.ids.insert(id.clone()) {
            return Err(Error::invalid(
                "it is declared twice in this version; the first stanza counts",
            ));
        }
        match self.catalog.external(&id).await? {
            Some(entry) if !entry.declarative => {
                return Err(Error::invalid(
                    "conflicts with existing non-declarative plugin; do not specify existing \
                     plugins in the server configuration",
                ));
            }
            Some(entry) if is_same(&entry, &checked) => return Ok(()),
            _ => {}
        }
        locate(self.starter.rules.directory.as_deref(), &checked.command)?;
        for warning in self.try_registration(checked).await? {
            tracing::warn!(plugin = id.name, "{warning}");
        }
        tracing::info!(plugin = id.name, version = id.version, "registered as declared");
        Ok(())
    }

    fn checked(&self, one: &Declared) -> Result<Checked, Error> {
        let registration = one.registration.clone().map_err(Error::invalid)?;
        let rules = &self.starter.rules;
        let checked = check(registration, |command| rules.check_command(command))?;
        if checked.version.is_empty() {
            return Err(Error::invalid("version cannot be empty"));
        }
        Ok(Checked { declarative: true, ..checked })
    }

    /// Removes what was declared once and is no more. One that is pinned stays, and is told.
    async fn forget_undeclared(
        &self,
        kept: &Kept,
        problems: &mut Vec<String>,
    ) -> Result<(), Error> {
        for entry in self.catalog.list().await? {
            if !entry.declarative || kept.keeps(&entry) {
                continue;
            }
            let PluginId { kind, name, version } = &entry.id;
            match self.catalog.remove(&entry.id).await {
                Ok(()) => tracing::info!(plugin = name, version, "removed: declared no more"),
                Err(error) => problems.push(format!(
                    "{kind} plugin {name:?}, version {version}, is declared no more, but could not \
                     be removed: {error}"
                )),
            }
        }
        Ok(())
    }
}

fn is_same(entry: &PluginEntry, checked: &Checked) -> bool {
    entry.command == checked.command
        && entry.args == checked.args
        && entry.env == checked.env
        && entry.sha256 == checked.sha256
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use boltwork_logical::{Entry, Plugins, Storage};
    use serde_json::json;

    use super::*;
    use crate::PluginHostConfig;
    use crate::memory::{MemoryStorage, no_server};

    struct Server {
        host: Arc<PluginHost>,
        catalog: Arc<MemoryStorage>,
        folder: std::path::PathBuf,
    }

    impl Drop for Server {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }

    async fn server(declared: Option<Vec<Declared>>) -> Server {
        let folder = std::env::temp_dir().join(format!("pd{:08x}", rand::random::<u32>()));
        std::fs::create_dir_all(folder.join("plugins")).unwrap();
        let mut config = PluginHostConfig::new("1.18.3", folder.join("run"));
        config.plugin_directory = Some(folder.join("plugins"));
        config.declared = declared;
        let host = PluginHost::new(config).unwrap();
        let catalog = Arc::new(MemoryStorage::default());
        Server { host, catalog, folder }
    }

    async fn stored(server: &Server, name: &str, declarative: bool) {
        let entry = json!({"name": name, "type": 3, "version": "v1.0.0", "command": name,
            "args": [], "env": [], "sha256": "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=",
            "builtin": false, "declarative": declarative});
        let key = format!("secret/{name}/v1.0.0");
        server.catalog.put(Entry::new(key, entry.to_string())).await.unwrap();
    }

    fn declared(name: &str) -> Declared {
        let registration = Registration {
            kind: "secret".into(),
            name: name.into(),
            version: "v1.0.0".into(),
            sha256: "ab".repeat(32),
            command: name.into(),
            ..Registration::default()
        };
        Declared {
            place: "a.hcl:1:1".into(),
            kind: "secret".into(),
            name: name.into(),
            registration: Ok(registration),
        }
    }

    async fn names(server: &Server) -> Vec<String> {
        let listed = server.host.list().await.unwrap();
        listed.into_iter().map(|entry| entry.id.name).collect()
    }

    #[tokio::test]
    async fn what_is_declared_no_more_goes_and_what_was_not_declared_stays() {
        let server = server(None).await;
        server.host.open(server.catalog.clone(), no_server()).await.unwrap();
        for (name, declarative) in
            [("kept", true), ("dropped", true), ("pinned", true), ("own", false)]
        {
            stored(&server, name, declarative).await;
        }
        let pin =
            PluginId { kind: PluginKind::Secret, name: "pinned".into(), version: "v1.0.0".into() };
        server.host.pin(&pin).await.unwrap();
        // Its program is not there: it could not be registered again, and need not be.
        let problems = server.host.apply_declared(&[declared("kept")]).await;
        assert_eq!(names(&server).await, ["kept", "own", "pinned"]);
        let [problem] = problems.as_slice() else { panic!("{problems:?}") };
        assert!(
            problem.contains("\"pinned\"") && problem.contains("cannot delete a pinned version")
        );
    }

    #[tokio::test]
    async fn a_plugin_of_the_api_is_not_taken_over() {
        let server = server(None).await;
        server.host.open(server.catalog.clone(), no_server()).await.unwrap();
        stored(&server, "own", false).await;
        let problems = server.host.apply_declared(&[declared("own")]).await;
        assert_eq!(
            problems,
            [
                "[plugin 0 (name: own / type: secret)]: conflicts with existing non-declarative plugin; \
              do not specify existing plugins in the server configuration (a.hcl:1:1)"
            ]
        );
        assert!(!server.host.list().await.unwrap()[0].declarative);
    }

    #[tokio::test]
    async fn a_stanza_that_is_wrong_is_told_and_removes_nothing_that_it_may_mean() {
        let server = server(None).await;
        server.host.open(server.catalog.clone(), no_server()).await.unwrap();
        for name in ["a", "b", "c"] {
            stored(&server, name, true).await;
        }
        let wrong = Declared { registration: Err("command: a number".into()), ..declared("a") };
        let gone = Declared {
            registration: declared("b")
                .registration
                .map(|good| Registration { sha256: "cd".repeat(32), ..good }),
            ..declared("b")
        };
        let problems =
            server.host.apply_declared(&[wrong, gone, declared("c"), declared("c")]).await;
        let [wrong, gone, twice] = problems.as_slice() else { panic!("{problems:?}") };
        assert!(wrong.contains("(name: a / type: secret)]: command: a number"), "{wrong}");
        assert!(gone.contains("no such file or directory"), "{gone}");
        assert!(twice.contains("[plugin 3 ") && twice.contains("twice"), "{twice}");
        assert_eq!(names(&server).await, ["a", "b", "c"]);
        let nameless = Declared { name: String::new(), ..declared("a") };
        let nameless = Declared { registration: Err("a third label".into()), ..nameless };
        server.host.apply_declared(&[nameless]).await;
        assert_eq!(names(&server).await, ["a", "b", "c"]);
    }

    #[tokio::test]
    async fn unsealing_applies_what_is_declared_and_waits_for_nothing() {
        let server = server(Some(vec![declared("missing")])).await;
        stored(&server, "old", true).await;
        server.host.open(server.catalog.clone(), no_server()).await.unwrap();
        let limit = std::time::Duration::from_secs(20);
        let emptied = async {
            while !names(&server).await.is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(limit, emptied).await.expect("the old one is removed");
    }
}
