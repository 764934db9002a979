//! What `path-help` shows beside the fields.

pub const ENGINE: &str = "\
Lets machines log in. A role says what tokens its logins give. A login names the role by its role id,
and proves that it may by a secret id, made under role/<role_name>/secret-id; a role may also, or only,
demand that logins come from certain addresses.";

pub const ROLES: &str = "\
Lists the names of the roles. With `after` and `limit` the list comes in pages.";

pub const ROLE: &str = "\
A role stands for a machine, a service, or a set of them. It must keep strangers out somehow: by secret
ids (bind_secret_id), by the addresses of logins (secret_id_bound_cidrs), or by those of the tokens
(token_bound_cidrs). A change leaves alone what it does not name; secret ids keep the limits that they
were made with. Deleting a role destroys its secret ids, and its tokens can no longer be renewed.";

pub const ROLE_ID: &str = "\
The role id is a UUID unless another text is written here. It is no secret, but need not be known to
everybody either. No two roles have the same.";

pub const LOCAL: &str = "\
Decided when the role is created, by local_secret_ids: secret ids that stay in this cluster are not
replicated, and are of no use in any other.";

pub const SECRET_ID: &str = "\
A secret id is shown once, in the reply to the write that makes it; wrap that reply to hand it on unseen.
Only a digest is kept. Its limits are the role's, or narrower ones given here. The accessor, which
is shown with it and listed here, can look it up and destroy it, and not log in.";

pub const CUSTOM: &str = "\
For secret ids that come from elsewhere. Otherwise let one be made under secret-id: it will be harder
to guess.";

pub const LOOKUP: &str = "\
Shows the limits of a secret id, how many uses are left, and when it was made and ends. Without such a
secret id there is no answer.";

pub const DESTROY: &str = "\
Destroys a secret id, so that no further login with it succeeds. Tokens given before live on.";

pub const LOGIN: &str = "\
Needs no token. role_id says which role; secret_id is needed unless the role says otherwise. Where uses
are counted, a login that succeeds spends one, and one that fails spends none.";

pub const TIDY: &str = "\
Expired secret ids are refused at once, and removed from storage once a minute. A write here does the
latter now, in the background.";
