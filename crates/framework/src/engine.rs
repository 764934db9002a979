//! The one trait that an author implements.

use crate::Routes;

/// A secrets engine or an auth method: a type with state, and a table of what it answers.
///
/// One value serves one mount. Handlers run concurrently, so state that changes needs a lock or an
/// atomic; what must outlive the process belongs in `Request::storage`.
pub trait Engine: Send + Sync + Sized + 'static {
    /// The table. Asked once when the backend is made; must not depend on state.
    fn routes() -> Routes<Self>;
}
