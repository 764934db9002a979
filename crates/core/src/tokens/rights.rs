//! What a token may do at this moment: by its own policies, and by those of its entity.

use std::sync::Arc;

use boltwork_logical::Error;
use boltwork_policy::Acl;

use super::{TokenEntry, TokenStore, sanitized_policies};
use crate::identity::Standing;

/// What a token may do.
#[derive(Clone)]
pub struct Rights {
    /// What its policies allow.
    pub acl: Arc<Acl>,
    /// Whom it belongs to; `None` without an entity.
    pub standing: Option<Arc<Standing>>,
    /// Its entity is disabled or gone: it may do nothing at all.
    pub barred: bool,
}

impl TokenStore {
    /// What a token may do.
    pub async fn rights(&self, entry: &TokenEntry) -> Result<Rights, Error> {
        if entry.entity_id.is_empty() {
            let acl = self.policies.acl(&entry.policies, None).await?;
            return Ok(Rights { acl, standing: None, barred: false });
        }
        let standing = self.identity.standing(&entry.entity_id);
        let Some(who) = standing.as_ref().filter(|who| !who.entity.disabled) else {
            return Ok(Rights { acl: Arc::default(), standing, barred: true });
        };
        let acl = match who.policies.is_empty() {
            true => self.policies.acl(&entry.policies, Some(who)).await?,
            false => {
                let names = entry.policies.iter().chain(&who.policies);
                self.policies.acl(&sanitized_policies(names, false), Some(who)).await?
            }
        };
        Ok(Rights { acl, standing, barred: false })
    }

    /// Whether an entity still comes to what it came to.
    pub(super) fn stands(&self, entry: &TokenEntry, standing: Option<&Arc<Standing>>) -> bool {
        match standing {
            None => entry.entity_id.is_empty(),
            Some(known) => self
                .identity
                .standing(&entry.entity_id)
                .is_some_and(|current| Arc::ptr_eq(known, &current)),
        }
    }
}
