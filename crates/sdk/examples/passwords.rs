//! A secrets engine that issues leased random passwords.
use boltwork_sdk::prelude::*;

struct Passwords;

impl Engine for Passwords {
    fn routes() -> Routes<Self> {
        Routes::new([
            path("roles/{name}").help("What a password looks like.").write(Self::write_role),
            path("creds/{name}").help("A new password.").read(Self::issue),
        ])
        .revoke("password", Self::revoke)
    }
}

#[derive(Deserialize, Serialize, JsonSchema)]
struct Role {
    /// Name of the role.
    name: String,
    /// How many characters a password has.
    length: u8,
    /// How long a password is leased; the mount's default if absent.
    ttl: Option<Ttl>,
}

impl Passwords {
    async fn write_role(&self, req: Request<Role>) -> Result<Reply> {
        req.storage.save(format!("role/{}", req.fields.name), &req.fields).await?;
        Ok(Reply::empty())
    }

    async fn issue(&self, req: Request<Named>) -> Result<Reply> {
        let role: Option<Role> = req.storage.load(format!("role/{}", req.fields.name)).await?;
        let role = role.ok_or_else(|| Error::invalid("unknown role"))?;
        let password: String = (0..role.length).map(|_| rand::random_range('!'..='~')).collect();
        let lease = json!({ "name": role.name });
        Ok(Reply::data(json!({ "password": password })).leased("password", role.ttl, lease))
    }

    async fn revoke(&self, req: Request<Named>) -> Result<Reply> {
        tracing::info!(role = req.fields.name, "password revoked");
        Ok(Reply::empty())
    }
}

fn main() -> std::process::ExitCode {
    serve(|| Passwords)
}
