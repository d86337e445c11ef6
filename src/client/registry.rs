//! The clients that are open in this process by name, for hosts that lose their pointers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use super::Client;
use crate::config::Config;
use crate::runtime::{self, PerProcess};
use crate::status::{Error, Status};
use crate::sync::recover;

type Clients = HashMap<String, Weak<Client>>;

/// Lock order: no other lock is taken while it is held, and no client is made or dropped.
static CLIENTS: PerProcess<Mutex<Clients>> = PerProcess::new();

fn clients() -> MutexGuard<'static, Clients> {
    recover(CLIENTS.get_or_make(Mutex::default).lock())
}

/// Returns the client of this name: a new one if there is none or if it was closed, the
/// existing one if its settings are the same.
pub(crate) fn open(name: &str, config: &Config) -> Result<Arc<Client>, Error> {
    runtime::prepare()?;
    let found = existing(&clients(), name);
    if let Some(client) = found.filter(|client| !client.is_closed()) {
        return shared(client, name, config);
    }
    let new = Client::new(config.clone())?.shared();
    let mut clients = clients();
    // Another thread may have opened it in the meantime.
    let found = existing(&clients, name);
    let is_open = found.as_ref().is_some_and(|client| !client.is_closed());
    if !is_open {
        clients.retain(|_, client| client.strong_count() > 0);
        clients.insert(name.to_owned(), Arc::downgrade(&new));
    }
    // If this is the last reference to a client, it ends outside of the lock.
    drop(clients);
    match found {
        Some(client) if is_open => shared(client, name, config),
        _ => Ok(new),
    }
}

fn existing(clients: &Clients, name: &str) -> Option<Arc<Client>> {
    clients.get(name).and_then(Weak::upgrade)
}

fn shared(client: Arc<Client>, name: &str, config: &Config) -> Result<Arc<Client>, Error> {
    if client.config == *config {
        return Ok(client);
    }
    let message =
        format!("a client named {name:?} is open with different settings; close it or use another name");
    Err(Error::new(Status::CONFLICT, message))
}
