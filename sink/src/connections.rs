//! Keeps the number of connections, and the memory that bodies take while they are received and sent, within
//! bounds: where there is too much of one, the connection that is responsible ends, and the others go on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::server::lock;

/// Bounds of the whole sink.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionLimits {
    /// Over it, the connection ends that has been without a request for the longest time.
    pub(crate) connections: usize,
    /// Over it, the connection ends that holds the most.
    pub(crate) body_bytes: usize,
}

#[derive(Debug)]
struct Entry {
    /// Connections that have not sent the head of a request yet are the first to end.
    has_sent_request: bool,
    /// A larger one is later.
    last_use: u64,
    body_bytes: usize,
    end: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<u64, Entry>,
    uses: u64,
    body_bytes: usize,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Connections {
    limits: ConnectionLimits,
    table: Mutex<Table>,
}

/// A connection as long as it is open.
pub(crate) struct OpenConnection {
    connections: Arc<Connections>,
    number: u64,
    /// Notified when it is to end.
    pub(crate) end: Arc<Notify>,
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.connections.remove(self.number);
    }
}

impl Connections {
    pub(crate) fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self { limits, table: Mutex::default() })
    }

    /// Takes in a new connection.
    pub(crate) fn open(self: &Arc<Self>, number: u64) -> OpenConnection {
        let end = Arc::new(Notify::new());
        let mut table = lock(&self.table);
        table.uses += 1;
        let entry =
            Entry { has_sent_request: false, last_use: table.uses, body_bytes: 0, end: Arc::clone(&end) };
        table.entries.insert(number, entry);
        while table.entries.len() > self.limits.connections {
            // Not the new one itself: it is to get its turn.
            let newest = table.uses;
            table.end_one(|entry| (entry.last_use == newest, entry.has_sent_request, entry.last_use));
        }
        drop(table);
        OpenConnection { connections: Arc::clone(self), number, end }
    }

    /// Ends the connection that has been without a request for the longest time: there are no more descriptors.
    pub(crate) fn make_space(&self) {
        lock(&self.table).end_one(|entry| (entry.has_sent_request, entry.last_use));
    }

    /// The head of a request arrived on this connection.
    pub(crate) fn request_began(&self, number: u64) {
        let mut table = lock(&self.table);
        table.uses += 1;
        let uses = table.uses;
        if let Some(entry) = table.entries.get_mut(&number) {
            (entry.has_sent_request, entry.last_use) = (true, uses);
        }
    }

    /// The bodies of this connection take so many bytes now.
    pub(crate) fn holds(&self, number: u64, bytes: usize) {
        let mut table = lock(&self.table);
        let Some(entry) = table.entries.get_mut(&number) else { return };
        let before = std::mem::replace(&mut entry.body_bytes, bytes);
        table.body_bytes = table.body_bytes - before + bytes;
        while table.body_bytes > self.limits.body_bytes {
            table.end_one(|entry| std::cmp::Reverse(entry.body_bytes));
        }
    }

    fn remove(&self, number: u64) {
        lock(&self.table).remove(number);
    }
}

impl Table {
    /// Ends the connection that is first in this order.
    fn end_one<K: Ord>(&mut self, order: impl Fn(&Entry) -> K) {
        let first = self.entries.iter().min_by_key(|(_, entry)| order(entry)).map(|(number, _)| *number);
        if let Some(entry) = first.and_then(|number| self.remove(number)) {
            entry.end.notify_one();
        }
    }

    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.entries.remove(&number)?;
        self.body_bytes -= entry.body_bytes;
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ended(connection: &OpenConnection) -> bool {
        use futures_util::FutureExt;
        connection.end.notified().now_or_never().is_some()
    }

    #[test]
    fn the_connection_that_is_idle_for_the_longest_time_ends() {
        let connections = Connections::new(ConnectionLimits { connections: 3, body_bytes: 100 });
        let open: Vec<_> = (1..=3).map(|number| connections.open(number)).collect();
        connections.request_began(1);
        connections.request_began(3);
        let fourth = connections.open(4);
        assert_eq!(open.iter().map(is_ended).collect::<Vec<_>>(), [false, true, false], "it sent nothing");
        connections.request_began(4);
        connections.request_began(1);
        let _fifth = connections.open(5);
        let _sixth = connections.open(6);
        assert!(!is_ended(&open[0]) && !is_ended(&fourth), "what sent nothing goes first");
        assert!(is_ended(&open[2]), "unless that is the new one");
        drop(open);
        assert_eq!(lock(&connections.table).entries.len(), 2);
    }

    #[test]
    fn the_connection_that_holds_the_most_ends() {
        let connections = Connections::new(ConnectionLimits { connections: 10, body_bytes: 100 });
        let open: Vec<_> = (1..=3).map(|number| connections.open(number)).collect();
        connections.holds(1, 10);
        connections.holds(2, 60);
        connections.holds(3, 30);
        assert!(!open.iter().any(is_ended));
        connections.holds(1, 11);
        assert_eq!(open.iter().map(is_ended).collect::<Vec<_>>(), [false, true, false]);
        connections.holds(2, 1000);
        assert!(!is_ended(&open[0]) && !is_ended(&open[2]), "one that has ended counts no more");
        connections.holds(3, 0);
        assert_eq!(lock(&connections.table).body_bytes, 11);
    }
}
