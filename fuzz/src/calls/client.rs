//! Clients of one sequence: shared by its threads, freed by the last that has one.

use std::ffi::CString;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use phc::capi::client::{phc_client, phc_client_close, phc_client_free, phc_client_new, phc_client_open};
use phc::capi::client::{phc_set_error_callback, phc_set_log_callback};
use phc::capi::config::{phc_config, phc_config_free, phc_config_new, phc_config_set};
use phc::capi::outgoing::phc_set_before_send_callback;
use phc::capi::stats::{phc_stats, phc_stats_get, phc_stats_json};
use phc::capi::status::PHC_OK;
use serde_json::Value;

use crate::server;

/// A port that is taken, so that nobody else listens there, and closed.
static NOBODY: LazyLock<u16> = LazyLock::new(|| {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
});

const OVERFLOW: [&str; 3] = ["drop_newest", "drop_oldest", "block"];
const CODECS: [&str; 5] = ["none", "none", "gzip", "zstd", "deflate"];

/// One handle.
pub struct Handle {
    pub client: *mut phc_client,
    /// Captures that answered PHC_OK, callbacks' own included.
    pub captured: Arc<AtomicU64>,
    /// Whether other handles may lead to the same client.
    named: bool,
}

// SAFETY: calls on a client are safe from any thread.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

/// The handles of a sequence, and the settings they are made with.
pub struct Slots {
    slots: [Mutex<Option<Arc<Handle>>>; 3],
    config: usize,
}

impl Slots {
    /// None is open yet.
    pub fn new(settings: &[u8], script: &[u8]) -> Self {
        let byte = |i: usize| usize::from(settings.get(i).copied().unwrap_or(0));
        let port = if byte(0) & 3 == 1 { *NOBODY } else { server::start(script) };
        let pairs = [
            ("host", format!("http://127.0.0.1:{port}")),
            ("test_mode", (byte(0) & 3 == 2).to_string()),
            ("reports", ["losses", "all"][byte(0) >> 2 & 1].to_owned()),
            ("overflow", OVERFLOW[byte(1) % 3].to_owned()),
            ("block_timeout_ms", "2".to_owned()),
            ("queue_max_events", (byte(1) / 3 + 1).to_string()),
            ("flush_at", (byte(2) % 16 + 1).to_string()),
            ("max_batch_events", (byte(2) / 16 + 1).to_string()),
            ("flush_interval_ms", "5".to_owned()),
            ("max_retries", (byte(3) % 4).to_string()),
            ("max_in_flight", (byte(3) / 4 % 4 + 1).to_string()),
            ("compression", CODECS[byte(4) % CODECS.len()].to_owned()),
            ("queue_max_bytes", (1024 + byte(4) * 64).to_string()),
            ("retry_initial_ms", "1".to_owned()),
            ("retry_max_ms", "4".to_owned()),
            ("retry_after_max_ms", "3".to_owned()),
            ("request_timeout_ms", "40".to_owned()),
            ("connect_timeout_ms", "40".to_owned()),
            ("shutdown_timeout_ms", "10".to_owned()),
        ];
        // SAFETY: the texts live as long as the calls.
        let config = unsafe { phc_config_new(c"phc_key".as_ptr()) };
        for (key, value) in pairs {
            let (key, value) = (CString::new(key).expect("no NUL"), CString::new(value).expect("no NUL"));
            // SAFETY: as above.
            assert_eq!(
                unsafe { phc_config_set(config, key.as_ptr(), value.as_ptr()) },
                PHC_OK,
                "{key:?} {value:?}"
            );
        }
        Slots { slots: Default::default(), config: config as usize }
    }

    fn slot(&self, number: u8) -> MutexGuard<'_, Option<Arc<Handle>>> {
        self.slots[usize::from(number) % self.slots.len()].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The handle in this slot.
    pub fn get(&self, number: u8) -> Option<Arc<Handle>> {
        self.slot(number).clone()
    }

    /// Empties the slot: its handle is freed when no call uses it any more.
    pub fn clear(&self, number: u8) {
        let handle = self.slot(number).take();
        drop(handle);
    }

    /// Puts a new client, or the one of this name, into the slot.
    pub fn open(&self, number: u8, name: Option<u8>) {
        let config = self.config as *const phc_config;
        let mut client = std::ptr::null_mut();
        match name {
            // SAFETY: the config lives as long as the slots; the texts as the call.
            None => client = unsafe { phc_client_new(config, std::ptr::null_mut(), 0) },
            Some(name) => {
                let name = CString::new(format!("name {}", name % 2)).expect("no NUL");
                // SAFETY: as above.
                assert_eq!(unsafe { phc_client_open(name.as_ptr(), config, &raw mut client) }, PHC_OK);
            }
        }
        assert!(!client.is_null());
        let handle = Arc::new(Handle { client, captured: Arc::default(), named: name.is_some() });
        let before = self.slot(number).replace(handle);
        drop(before);
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        (0..3).for_each(|number| self.clear(number));
        // SAFETY: it was made by phc_config_new and is not used again.
        unsafe { phc_config_free(self.config as *mut phc_config) };
    }
}

impl Handle {
    /// The counters, which must add up at every instant.
    pub fn stats(&self) -> phc_stats {
        let mut stats = phc_stats::default();
        // SAFETY: the client is live, the struct as long as is said.
        assert_eq!(unsafe { phc_stats_get(self.client, &raw mut stats, size_of::<phc_stats>()) }, PHC_OK);
        assert_eq!(stats.captured, stats.delivered + stats.lost + stats.pending_events);
        assert!(stats.maybe_delivered <= stats.lost && stats.retries <= stats.requests);
        stats
    }

    /// The counters as JSON.
    pub fn stats_json(&self) -> Value {
        let mut buffer = vec![0_u8; 4096];
        // SAFETY: the client is live, the buffer as long as is said.
        let length = unsafe { phc_stats_json(self.client, buffer.as_mut_ptr().cast(), buffer.len()) };
        assert!(length < buffer.len());
        let stats: Value = serde_json::from_slice(&buffer[..length]).expect("JSON");
        let sum = |key: &str| {
            stats[key].as_object().expect("an object").values().filter_map(Value::as_u64).sum::<u64>()
        };
        let number = |key: &str| stats[key].as_u64().expect("a number");
        assert_eq!(
            number("captured"),
            number("delivered") + sum("lost") + number("pending_events"),
            "{stats}"
        );
        stats
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if !self.named {
            // SAFETY: this is the last handle to a live client; what is NULL is
            // allowed to be. With no callback left, nothing captures any more.
            let status = unsafe {
                assert_eq!(
                    phc_set_before_send_callback(self.client, None, std::ptr::null_mut(), None),
                    PHC_OK
                );
                assert_eq!(phc_set_error_callback(self.client, None, std::ptr::null_mut(), None), PHC_OK);
                assert_eq!(phc_set_log_callback(self.client, None, std::ptr::null_mut(), None), PHC_OK);
                phc_client_close(self.client, 1)
            };
            assert!(matches!(status, 0 | 7), "close answered {status}");
            let stats = self.stats();
            assert_eq!((stats.captured, stats.pending_events), (self.captured.load(Ordering::SeqCst), 0));
            assert_eq!(stats.pending_bytes, 0);
        }
        self.stats_json();
        // SAFETY: the last handle is never used again.
        unsafe { phc_client_free(self.client) };
    }
}
