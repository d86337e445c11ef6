//! The namespaces of a sink, by prefix. Together they stay within a number of bytes: where they exceed it, those go
//! that have not been used for the longest time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::namespace::Namespace;
use crate::server::lock;

/// The largest number of namespaces.
const MAX_NAMESPACES: usize = 10_000;
/// About what an empty one takes.
const EMPTY: usize = 2048;

#[derive(Debug)]
struct Entry {
    namespace: Arc<Mutex<Namespace>>,
    /// A larger one is later.
    last_use: u64,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<String, Entry>,
    uses: u64,
    bytes: usize,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Namespaces {
    /// What one of them may use. All together may use twice as much.
    memory: usize,
    table: Mutex<Table>,
}

impl Namespaces {
    pub(crate) fn new(memory: usize) -> Self {
        Self { memory, table: Mutex::default() }
    }

    /// The namespace of a prefix, which is created at its first use.
    pub(crate) fn get(&self, prefix: &str) -> Arc<Mutex<Namespace>> {
        let mut table = lock(&self.table);
        table.uses += 1;
        let uses = table.uses;
        if let Some(entry) = table.entries.get_mut(prefix) {
            entry.last_use = uses;
            return Arc::clone(&entry.namespace);
        }
        let namespace = Arc::new(Mutex::new(Namespace::new(self.memory)));
        let bytes = EMPTY + prefix.len();
        table.bytes += bytes;
        let entry = Entry { namespace: Arc::clone(&namespace), last_use: uses, bytes };
        table.entries.insert(prefix.to_owned(), entry);
        self.forget(&mut table, prefix);
        namespace
    }

    /// The namespace of this prefix uses so many bytes now.
    pub(crate) fn uses(&self, prefix: &str, bytes: usize) {
        let mut table = lock(&self.table);
        let Some(entry) = table.entries.get_mut(prefix) else { return };
        let bytes = EMPTY + prefix.len() + bytes;
        let before = std::mem::replace(&mut entry.bytes, bytes);
        table.bytes = table.bytes - before + bytes;
        self.forget(&mut table, prefix);
    }

    /// Forgets namespaces other than this one until the rest is within the bounds.
    fn forget(&self, table: &mut Table, except: &str) {
        while table.entries.len() > MAX_NAMESPACES || table.bytes > self.memory * 2 {
            let others = table.entries.iter().filter(|(prefix, _)| *prefix != except);
            let Some((oldest, _)) = others.min_by_key(|(_, entry)| entry.last_use) else { return };
            let oldest = oldest.clone();
            if let Some(entry) = table.entries.remove(&oldest) {
                table.bytes -= entry.bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(namespaces: &Namespaces, prefix: &str) -> bool {
        lock(&namespaces.table).entries.contains_key(prefix)
    }

    #[test]
    fn those_go_first_that_were_not_used_for_the_longest_time() {
        let namespaces = Namespaces::new(100_000);
        for prefix in ["/a", "/b", "/c"] {
            namespaces.get(prefix);
            namespaces.uses(prefix, 60_000);
        }
        namespaces.get("/a");
        namespaces.uses("/c", 70_000);
        assert!(has(&namespaces, "/b"), "190,000 bytes and a little fit into 200,000");
        namespaces.uses("/c", 80_000);
        assert!(has(&namespaces, "/a") && !has(&namespaces, "/b") && has(&namespaces, "/c"));
        namespaces.uses("/c", 90_000);
        namespaces.uses("/c", 1_000_000);
        assert!(has(&namespaces, "/c") && !has(&namespaces, "/a"), "one alone has its own bounds");
    }

    #[test]
    fn their_number_is_bounded_too() {
        let namespaces = Namespaces::new(1 << 30);
        let first = namespaces.get("/first");
        for n in 0..MAX_NAMESPACES {
            namespaces.get(&format!("/{n}"));
        }
        assert_eq!(lock(&namespaces.table).entries.len(), MAX_NAMESPACES);
        assert!(!Arc::ptr_eq(&first, &namespaces.get("/first")), "it was forgotten, and is made anew");
    }
}
