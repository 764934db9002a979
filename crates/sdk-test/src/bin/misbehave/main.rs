//! `misbehave`: a plugin that was built to hurt its host. Register it, and see that only its own
//! mount suffers.
//!
//! ```text
//! misbehave MODE [--while=FILE] [--single]
//! ```
//!
//! | mode | |
//! |---|---|
//! | `serve` | a plugin in order; see below for what can be asked of it |
//! | `hang:STAGE`, `exit:STAGE` | never answers, or exits, in one call: `MultiplexingSupport`, `Setup`, `Type`, `SpecialPaths`, `Version`, `Initialize`, `HandleRequest`, `HandleExistenceCheck`, `InvalidateKey`, `Cleanup`; `hang:Shutdown` does not end when it is told to |
//! | `flood-stderr`, `flood-stdout`, `flood-stdio` | writes without end once it serves |
//! | anything else | goes wrong before or at the handshake: see `early.rs` |
//!
//! With `--while=FILE` the fault is there only as long as the file is: it is looked for at each start
//! and at each call, so a plugin can be registered in order and go bad later. `--single` serves one
//! mount for each process. What a request can ask for is in `engine.rs`: any served mode has that.
//!
//! Left out: protocols 3 and 4, and anything that needs another server than ours to be shown.

mod early;
mod engine;
mod faults;
mod floods;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use boltwork_sdk::internal::{Plugin, routes};
use go_plugin::Cookie;
use go_plugin::plugin::{ServeConfig, Version};

use faults::{Fault, Faults};

/// By what servers start backends (wire spec 1.1).
const COOKIE: (&str, &str) = ("VAULT_BACKEND_PLUGIN", "6669da05-b1c8-4f49-97d9-c8e5bed98e20");
/// The plugin protocol with AutoMTLS.
const PROTOCOL: u32 = 5;

/// What the command line says.
struct Orders {
    mode: String,
    /// The fault is there while this file is; always without one.
    switch: Option<PathBuf>,
    single: bool,
}

impl Orders {
    fn read() -> Self {
        let mut orders = Self { mode: String::new(), switch: None, single: false };
        for word in std::env::args().skip(1) {
            match word.strip_prefix("--while=") {
                Some(file) => orders.switch = Some(file.into()),
                None if word == "--single" => orders.single = true,
                None => orders.mode = word,
            }
        }
        orders
    }

    fn is_on(&self) -> bool {
        self.switch.as_ref().is_none_or(|file| file.exists())
    }
}

fn main() -> ExitCode {
    let orders = Orders::read();
    let fault = Fault::parse(&orders.mode);
    if fault.is_none() && orders.is_on() {
        early::run(&orders.mode);
    }
    serve(orders, fault)
}

fn serve(orders: Orders, fault: Option<Fault>) -> ExitCode {
    let cookie = Cookie::new(COOKIE.0, COOKIE.1);
    let Orders { switch, single, .. } = orders;
    let stays = fault == Some(Fault::NeverEnds);
    let faults = Faults::new(fault, switch.clone());
    let version = Version::new(PROTOCOL, move |context| {
        faults.begin(context);
        let plugin = Plugin {
            factory: Arc::new(engine::Hurtful { context: context.clone() }),
            version: String::new(),
            multiplexed: !single,
            metadata_only: false,
        };
        faults.around(routes(plugin, context.broker.clone()))
    });
    let code = go_plugin::plugin::main(ServeConfig::new(cookie, vec![version]));
    if stays && switch.is_none_or(|file| file.exists()) {
        early::wait();
    }
    code
}
