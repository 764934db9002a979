//! `auth/token/tidy`: begins a tidying, which goes on in the background.

use boltwork_framework::{Reply, Request, Result};

use super::Tokens;
use crate::{backends::tidying, tokens::Tidying};

impl Tokens {
    pub(super) async fn tidy(&self, req: Request) -> Result<Reply> {
        Ok(match self.active()?.tokens.tidy() {
            Tidying::UnderWay => Reply::empty().warning("Tidy operation already in progress."),
            Tidying::Begun => tidying(req.id()),
        })
    }
}
