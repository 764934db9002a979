//! `auth/token/tidy`: begins a tidying, which goes on in the background.

use boltwork_framework::{Reply, Request, Result};
use zeroize::Zeroizing;

use super::Tokens;
use crate::{envelope, tokens::Tidying};

impl Tokens {
    pub(super) async fn tidy(&self, req: Request) -> Result<Reply> {
        match self.active()?.tokens.tidy() {
            Tidying::UnderWay => Ok(Reply::empty().warning("Tidy operation already in progress.")),
            Tidying::Begun => {
                let reply = boltwork_logical::Reply {
                    warnings: vec![
                        "Tidy operation successfully started. Any information from the operation \
                         will be printed to Vault's server logs."
                            .to_owned(),
                    ],
                    ..boltwork_logical::Reply::default()
                };
                Ok(Reply::raw(202, "application/json", accepted(req.id(), &reply)))
            }
        }
    }
}

/// The reply in its envelope: only raw bytes have a status of their own.
fn accepted(id: &str, reply: &boltwork_logical::Reply) -> Zeroizing<Vec<u8>> {
    let mut body = Zeroizing::new(vec![b'{']);
    envelope::write(&mut body, id, reply);
    body.push(b'}');
    body
}
