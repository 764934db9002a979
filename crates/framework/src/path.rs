//! One line of the table: a path template and what answers on it.

use std::collections::BTreeMap;

use boltwork_logical::Operation;

use crate::{
    Engine, Fields, Handler,
    fields::FieldDocs,
    handler::{Erased, erase},
};

/// A path template with its handlers. Made with [`path()`].
pub struct Path<E> {
    pub(crate) template: String,
    pub(crate) help: String,
    pub(crate) details: String,
    pub(crate) operations: BTreeMap<Operation, Slot<E>>,
    pub(crate) exists: Option<Slot<E, bool>>,
    pub(crate) unauthenticated: bool,
    pub(crate) login: bool,
    pub(crate) sudo: bool,
    pub(crate) any_input: bool,
    /// Operations that were given two handlers; a fault of the table.
    pub(crate) doubled: Vec<Operation>,
}

/// A handler and what it wants to know.
pub(crate) struct Slot<E, O = crate::Reply> {
    pub call: Erased<E, O>,
    pub docs: FieldDocs,
}

/// Starts a line of the table.
///
/// A template is literal segments and captures, separated by `/`:
///
/// * `{name}` is one segment, never empty;
/// * `{name?}`, only at the end, is one segment or none;
/// * `{name...}`, only at the end, is everything left, slashes included: it may be empty, but the
///   slash before it must be there.
///
/// A literal beats a capture, and a capture beats a rest, whatever their order in the table. A slash
/// at the end of a request's path is ignored (lists have one), except by a rest, which keeps it.
pub fn path<E: Engine>(template: impl Into<String>) -> Path<E> {
    Path {
        template: template.into(),
        help: String::new(),
        details: String::new(),
        operations: BTreeMap::new(),
        exists: None,
        unauthenticated: false,
        login: false,
        sudo: false,
        any_input: false,
        doubled: Vec::new(),
    }
}

impl<E: Engine> Path<E> {
    /// One line for the list of paths.
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = text.into();
        self
    }

    /// As much explanation as wanted, shown when this path is asked for.
    pub fn details(mut self, text: impl Into<String>) -> Self {
        self.details = text.into();
        self
    }

    /// Answers GET.
    pub fn read<F: Fields, H: for<'a> Handler<'a, E, F>>(self, handler: H) -> Self {
        self.on(&[Operation::Read], handler)
    }

    /// Answers POST and PUT, whether something is there already or not.
    pub fn write<F: Fields, H: for<'a> Handler<'a, E, F>>(self, handler: H) -> Self {
        self.on(&[Operation::Create, Operation::Update], handler)
    }

    /// Answers a write where nothing is yet; needs [`exists`](Self::exists) to be told apart.
    pub fn create<F: Fields, H: for<'a> Handler<'a, E, F>>(self, handler: H) -> Self {
        self.on(&[Operation::Create], handler)
    }

    /// Answers a write over what is there, and every write where there is no existence check.
    pub fn update<F: Fields, H: for<'a> Handler<'a, E, F>>(self, handler: H) -> Self {
        self.on(&[Operation::Update], handler)
    }

    /// Answers PATCH.
    pub fn patch<F: Fields, H: for<'a> Handler<'a, E, F>>(self, handler: H) -> Self {
        self.on(&[Operation::Patch], handler)
    }

    /// Answers DELETE.
    pub fn delete<F: Fields, H: for<'a> Handler<'a, E, F>>(self, handler: H) -> Self {
        self.on(&[Operation::Delete], handler)
    }

    /// Answers LIST.
    pub fn list<F: Fields, H: for<'a> Handler<'a, E, F>>(self, handler: H) -> Self {
        self.on(&[Operation::List], handler)
    }

    /// Answers SCAN, the recursive list (OpenBao).
    pub fn scan<F: Fields, H: for<'a> Handler<'a, E, F>>(self, handler: H) -> Self {
        self.on(&[Operation::Scan], handler)
    }

    /// Answers HEAD.
    pub fn head<F: Fields, H: for<'a> Handler<'a, E, F>>(self, handler: H) -> Self {
        self.on(&[Operation::Header], handler)
    }

    /// Answers the question which alias a login would have.
    pub fn alias_lookahead<F: Fields, H: for<'a> Handler<'a, E, F>>(self, handler: H) -> Self {
        self.on(&[Operation::AliasLookahead], handler)
    }

    /// Answers the question which role a login would use.
    pub fn resolve_role<F: Fields, H: for<'a> Handler<'a, E, F>>(self, handler: H) -> Self {
        self.on(&[Operation::ResolveRole], handler)
    }

    /// Answers a login: a write that needs no token. Makes the engine an auth method.
    pub fn login<F: Fields, H: for<'a> Handler<'a, E, F>>(mut self, handler: H) -> Self {
        self.login = true;
        self.unauthenticated().on(&[Operation::Create, Operation::Update], handler)
    }

    /// Answers any operation, for what the methods above do not cover.
    pub fn on<F: Fields, H: for<'a> Handler<'a, E, F>>(
        mut self,
        operations: &[Operation],
        handler: H,
    ) -> Self {
        let call = erase(handler);
        let docs = FieldDocs::of::<F>();
        for &operation in operations {
            let slot = Slot { call: call.clone(), docs: docs.clone() };
            if self.operations.insert(operation, slot).is_some() {
                self.doubled.push(operation);
            }
        }
        self
    }

    /// Tells whether what a write is about exists: the server asks before it decides between
    /// create and update. Without it every write is an update, as in Vault.
    pub fn exists<F: Fields, H: for<'a> Handler<'a, E, F, bool>>(mut self, handler: H) -> Self {
        self.exists = Some(Slot { call: erase(handler), docs: FieldDocs::of::<F>() });
        self
    }

    /// No token is needed.
    pub fn unauthenticated(mut self) -> Self {
        self.unauthenticated = true;
        self
    }

    /// The token needs `sudo`.
    pub fn sudo(mut self) -> Self {
        self.sudo = true;
        self
    }

    /// Takes fields of any name (read them with [`Request::data`](crate::Request::data)): no
    /// warning about unrecognized ones.
    pub fn any_input(mut self) -> Self {
        self.any_input = true;
        self
    }
}
