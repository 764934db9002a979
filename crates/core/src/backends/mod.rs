//! The backends inside the core: they need what no plugin may have (the keys, the caller's token,
//! the mount tables), so they are mounted like any other but are not plugins.

mod cubbyhole;
mod identity;
mod system;
mod token;

use std::sync::{Arc, Weak};

use boltwork_framework::{Reply, into_backend};
use boltwork_logical::{Backend, Error, Setup};

use crate::{active::Active, envelope};

/// Makes the core's own backend of this kind.
pub fn create(kind: &str, active: Weak<Active>, setup: Setup) -> Result<Arc<dyn Backend>, Error> {
    match kind {
        "system" => into_backend(system::System::new(active), setup),
        "cubbyhole" => into_backend(cubbyhole::Cubbyhole, setup),
        "identity" => into_backend(identity::Identity::new(active), setup),
        "token" => into_backend(token::Tokens::new(active), setup),
        other => Err(Error::internal(format!("the core has no backend {other:?}"))),
    }
}

/// The unsealed server, unless it is being sealed at this moment.
fn alive(active: &Weak<Active>) -> Result<Arc<Active>, Error> {
    active.upgrade().ok_or(Error::Sealed)
}

/// What is answered when a tidying was begun that goes on by itself: 202, which only raw bytes can
/// have, so the envelope is written here.
fn tidying(request_id: &str) -> Reply {
    let reply = boltwork_logical::Reply {
        warnings: vec![
            "Tidy operation successfully started. Any information from the operation will be \
             printed to Vault's server logs."
                .to_owned(),
        ],
        ..boltwork_logical::Reply::default()
    };
    let mut body = vec![b'{'];
    envelope::write(&mut body, request_id, &reply);
    body.push(b'}');
    Reply::raw(202, "application/json", body)
}

/// A text in the wrapping that Vault gives some of its errors; scripts look for the words inside.
pub(crate) fn one_error(text: &str) -> String {
    format!("1 error occurred:\n\t* {text}\n\n")
}
