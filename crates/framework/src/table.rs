//! A table compiled: faults found, templates merged into a tree, special paths derived.

use std::{collections::BTreeMap, sync::Arc};

use boltwork_logical::{BackendKind, Operation, SpecialPaths};

use crate::{
    Engine, Path, Routes,
    fields::FieldDocs,
    request::{Captures, Source},
    routes::TableError,
    template::{Template, Tree},
};

/// A compiled table: shared by all mounts of one factory.
pub(crate) struct Table<E> {
    /// The table as declared, without its paths.
    pub routes: Routes<E>,
    /// The paths, by number.
    pub paths: Vec<Line<E>>,
    /// Secrets engine or auth method.
    pub kind: BackendKind,
    /// Derived from the paths.
    pub special: Arc<SpecialPaths>,
    tree: Tree,
}

/// One compiled path.
pub(crate) struct Line<E> {
    /// As declared.
    pub path: Path<E>,
    /// Its template, read.
    pub template: Template,
    /// Everything any of its handlers has a field for.
    pub docs: FieldDocs,
    names: Vec<Arc<str>>,
    known: Option<Arc<[Box<str>]>>,
}

impl<E: Engine> Table<E> {
    /// Checks a table and makes it ready for use.
    pub fn compile(mut routes: Routes<E>) -> Result<Self, Vec<TableError>> {
        let mut faults = handler_faults(&routes);
        let mut tree = Tree::default();
        let mut lines: Vec<Line<E>> = Vec::new();
        for path in std::mem::take(&mut routes.paths) {
            let line = match Line::compile(path, &mut faults) {
                Ok(line) => line,
                Err(fault) => {
                    faults.push(fault);
                    continue;
                }
            };
            let lists = [Operation::List, Operation::Scan];
            let lists = lists.iter().any(|operation| line.path.operations.contains_key(operation));
            if let Err(other) = tree.insert(&line.template, lines.len(), lists) {
                let first = lines[other].path.template.clone();
                faults.push(TableError::Duplicate { first, second: line.path.template.clone() });
                continue;
            }
            lines.push(line);
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let auth = lines.iter().any(|line| line.path.login);
        let kind = if auth { BackendKind::Auth } else { BackendKind::Secret };
        let kind = routes.kind.unwrap_or(kind);
        let special = Arc::new(special_paths(&routes, &lines));
        Ok(Self { routes, paths: lines, kind, special, tree })
    }

    /// The path that a request is for, and where its fields come from.
    pub fn find(&self, path: &str) -> Option<(&Line<E>, Source)> {
        let (number, places) = self.tree.find(path)?;
        let line = &self.paths[number];
        let captures: Captures = line.names.iter().cloned().zip(places).collect();
        Some((line, Source::Request { captures, known: line.known.clone() }))
    }
}

impl<E: Engine> Line<E> {
    fn compile(path: Path<E>, faults: &mut Vec<TableError>) -> Result<Self, TableError> {
        let named = || path.template.clone();
        let template = Template::parse(&path.template)
            .map_err(|reason| TableError::Template { template: named(), reason })?;
        if path.operations.is_empty() {
            return Err(TableError::NoHandler { template: named() });
        }
        for operation in &path.doubled {
            let operation = operation.as_str();
            faults.push(TableError::DoubleOperation { template: named(), operation });
        }
        let docs = merged(path.operations.values().map(|slot| &slot.docs));
        let open = path.any_input || docs.open;
        for capture in template.captures() {
            if !open && !docs.properties.contains_key(capture) {
                let capture = capture.to_owned();
                faults.push(TableError::UnknownCapture { template: named(), capture });
            }
        }
        let known = (!open).then(|| docs.properties.keys().map(|k| k.as_str().into()).collect());
        let names = template.captures().map(Arc::from).collect();
        Ok(Self { path, template, docs, names, known })
    }
}

/// Faults in what is not a path.
fn handler_faults<E>(routes: &Routes<E>) -> Vec<TableError> {
    let doubled = routes.doubled.iter();
    let doubled = doubled.map(|what| TableError::DoubleHandler { what: what.clone() });
    let endless = routes.leases.iter().filter(|(_, handlers)| handlers.revoke.is_none());
    let endless = endless.map(|(kind, _)| TableError::NoRevocation { kind: kind.clone() });
    doubled.chain(endless).collect()
}

/// The docs of several handlers as one.
fn merged<'a>(all: impl Iterator<Item = &'a FieldDocs>) -> FieldDocs {
    let mut whole = FieldDocs::default();
    for docs in all {
        for (name, schema) in &docs.properties {
            // Two handlers may know one field: the one that explains it is shown.
            let slot = whole.properties.entry(name.clone()).or_insert_with(|| schema.clone());
            if slot.get("description").is_none() {
                slot.clone_from(schema);
            }
        }
        whole.definitions.extend(docs.definitions.clone());
        whole.required.extend(docs.required.iter().cloned());
        whole.open |= docs.open;
    }
    whole
}

/// Special paths, read off the table.
fn special_paths<E>(routes: &Routes<E>, lines: &[Line<E>]) -> SpecialPaths {
    let mut special = SpecialPaths {
        local_storage: routes.local.clone(),
        seal_wrap_storage: routes.seal_wrap.clone(),
        read_ahead: routes.read_ahead.clone(),
        ..SpecialPaths::default()
    };
    for line in lines {
        if line.path.unauthenticated {
            special.unauthenticated.extend(line.template.patterns());
        }
        if line.path.sudo {
            special.root.extend(line.template.prefix_patterns());
        }
    }
    special
}

/// Handlers by name; for the catalogue of paths in help.
pub(crate) type ByTemplate<'a, E> = BTreeMap<&'a str, &'a Line<E>>;

impl<E: Engine> Table<E> {
    /// The paths in alphabetical order.
    pub fn sorted(&self) -> ByTemplate<'_, E> {
        self.paths.iter().map(|line| (line.path.template.as_str(), line)).collect()
    }
}
