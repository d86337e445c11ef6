//! The clients of one sequence. Its threads share them; the last thread that has one frees
//! it.

use std::ffi::{CStr, CString};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use phc::capi::before_send::phc_set_before_send_callback;
use phc::capi::callbacks::{phc_set_delivery_callback, phc_set_error_callback, phc_set_log_callback};
use phc::capi::client::{phc_client, phc_client_close, phc_client_free, phc_client_new, phc_client_open};
use phc::capi::config::{phc_config, phc_config_free, phc_config_get, phc_config_new, phc_config_set};
use phc::capi::report::phc_loss_name;
use phc::capi::stats::{PHC_STATUS_SLOTS, phc_stats, phc_stats_get, phc_stats_json};
use phc::capi::status::{
    PHC_BEFORE_SEND, PHC_INTERNAL, PHC_LOST_EVENTS, PHC_OK, PHC_REENTRANT, phc_status, phc_status_name,
};
use serde_json::Value;

use super::server;

/// A port that is taken and does not listen, so that a connection to it is refused.
static CLOSED_PORT: LazyLock<u16> = LazyLock::new(|| {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
});

const OVERFLOW: [&str; 3] = ["drop_newest", "drop_oldest", "block"];
const CODECS: [&str; 5] = ["none", "none", "gzip", "zstd", "deflate"];
const LOG_LEVELS: [&str; 4] = ["info", "error", "warning", "debug"];

/// Which reports the settings ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reports {
    Losses,
    Warnings,
    All,
}

/// What the captures and closes of one client have returned, those inside of its callbacks
/// included.
pub struct Counts {
    /// Captures by status.
    captures: [AtomicU64; PHC_STATUS_SLOTS],
    /// Closes that returned `PHC_LOST_EVENTS`.
    lossy_closes: AtomicU64,
    /// The settings of the client.
    pub reports: Reports,
    pub log_level: i32,
}

impl Counts {
    /// Counts a capture, and returns its status. One that is refused by the place of the
    /// call changes nothing: it is not even counted.
    pub fn capture(&self, status: phc_status) -> phc_status {
        assert_ne!(status, PHC_INTERNAL);
        let slot = usize::try_from(status).expect("a status");
        self.captures[slot].fetch_add(u64::from(status != PHC_REENTRANT), Ordering::SeqCst);
        status
    }

    /// Counts an event that a binding has discarded.
    pub fn discard(&self) {
        self.capture(PHC_BEFORE_SEND);
    }

    /// Counts a close outside of callbacks.
    pub fn close(&self, status: phc_status) {
        assert!(matches!(status, PHC_OK | PHC_LOST_EVENTS), "close returned {status}");
        self.lossy_closes.fetch_add(u64::from(status == PHC_LOST_EVENTS), Ordering::SeqCst);
    }
}

/// One handle.
pub struct Handle {
    pub client: *mut phc_client,
    pub counts: Arc<Counts>,
    /// No other handle has the same number, before or after.
    pub number: u64,
    /// Whether other handles may lead to the same client.
    is_named: bool,
}

// SAFETY: calls on a client are safe from any thread.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

/// The handles of a sequence, and the settings that they are made with.
pub struct Slots {
    handles: [Mutex<Option<Arc<Handle>>>; 3],
    config: usize,
    reports: Reports,
    log_level: i32,
}

impl Slots {
    /// Empty slots.
    pub fn new(settings: &[u8], script: &[u8]) -> Self {
        let byte = |i: usize| usize::from(settings.get(i).copied().unwrap_or(0));
        let port = if byte(0) & 3 == 1 { *CLOSED_PORT } else { server::start(script) };
        let reports = [Reports::Losses, Reports::All, Reports::Warnings, Reports::All][byte(0) >> 2 & 3];
        let log_level = LOG_LEVELS[byte(0) >> 4 & 3];
        let api_key = if byte(0) >> 6 == 3 { c"" } else { c"phc_key" };
        let pairs = [
            ("host", format!("http://127.0.0.1:{port}")),
            ("test_mode", (byte(0) & 3 == 2).to_string()),
            ("reports", format!("{reports:?}").to_ascii_lowercase()),
            ("log_level", log_level.to_owned()),
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
        // SAFETY: the text ends in NUL.
        let config = unsafe { phc_config_new(api_key.as_ptr()) };
        for (key, value) in pairs {
            set(config, key, &value);
        }
        let levels = ["error", "warning", "info", "debug"];
        let log_level =
            (1..).zip(levels).find(|(_, level)| *level == log_level).map_or(0, |(number, _)| number);
        Slots { handles: Default::default(), config: config as usize, reports, log_level }
    }

    fn slot(&self, number: u8) -> MutexGuard<'_, Option<Arc<Handle>>> {
        self.handles[usize::from(number) % self.handles.len()].lock().unwrap_or_else(PoisonError::into_inner)
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
        static HANDLES: AtomicU64 = AtomicU64::new(0);
        let config = self.config as *const phc_config;
        let mut status = -1;
        // SAFETY: the config lives as long as the slots; the texts as the call.
        let client = unsafe {
            match name {
                None => phc_client_new(config, &raw mut status),
                Some(name) => {
                    let name = CString::new(format!("name {}", name % 2)).expect("no NUL");
                    phc_client_open(name.as_ptr(), config, &raw mut status)
                }
            }
        };
        assert_eq!(status, PHC_OK);
        assert!(!client.is_null());
        let counts = Counts {
            captures: [const { AtomicU64::new(0) }; PHC_STATUS_SLOTS],
            lossy_closes: AtomicU64::new(0),
            reports: self.reports,
            log_level: self.log_level,
        };
        let handle = Arc::new(Handle {
            client,
            counts: Arc::new(counts),
            number: HANDLES.fetch_add(1, Ordering::SeqCst),
            is_named: name.is_some(),
        });
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

/// Sets a setting that is accepted, and reads it back.
pub fn set(config: *mut phc_config, key: &str, value: &str) {
    let (c_key, c_value) = (CString::new(key).expect("no NUL"), CString::new(value).expect("no NUL"));
    // SAFETY: the config lives, the texts end in NUL; the value is compared at once.
    unsafe {
        assert_eq!(phc_config_set(config, c_key.as_ptr(), c_value.as_ptr()), PHC_OK, "{key} = {value}");
        assert_eq!(CStr::from_ptr(phc_config_get(config, c_key.as_ptr())), &*c_value, "{key}");
    }
}

/// The text of the library at this pointer.
///
/// # Safety
/// It is a text that ends in NUL and lives as long as it is used.
pub unsafe fn text<'a>(pointer: *const std::ffi::c_char) -> &'a str {
    // SAFETY: as the caller says.
    unsafe { CStr::from_ptr(pointer) }.to_str().expect("UTF-8")
}

/// The counters of a client, which add up at every instant.
pub fn stats(client: *const phc_client) -> phc_stats {
    // SAFETY: zeros are a value of a struct of numbers.
    let mut stats = unsafe { std::mem::zeroed::<phc_stats>() };
    // SAFETY: the client is live, the struct as long as is said.
    assert_eq!(unsafe { phc_stats_get(client, &raw mut stats, size_of::<phc_stats>()) }, PHC_OK);
    assert_eq!(stats.captured, stats.delivered + stats.lost + stats.pending_events);
    assert_eq!(stats.lost, stats.lost_by_reason.iter().sum::<u64>());
    assert_eq!(stats.refused, stats.refused_by_status.iter().sum::<u64>());
    assert_eq!((stats.lost_by_reason[0], stats.refused_by_status[0]), (0, 0));
    assert!(stats.delivered_with_warning <= stats.delivered_with_remark);
    assert!(stats.delivered_with_remark <= stats.delivered);
    assert!(stats.maybe_delivered <= stats.lost && stats.retries <= stats.requests);
    assert!(stats.pending_events > 0 || stats.pending_bytes == 0);
    stats
}

impl Handle {
    /// The counters as JSON.
    pub fn stats_json(&self) -> Value {
        let mut buffer = vec![0_u8; 4096];
        // SAFETY: the client is live, the buffer as long as is said.
        let length = unsafe { phc_stats_json(self.client, buffer.as_mut_ptr().cast(), buffer.len()) };
        assert!(length < buffer.len());
        let stats: Value = serde_json::from_slice(&buffer[..length]).expect("JSON");
        let number = |key: &str| stats[key].as_u64().expect("a number");
        let lost: u64 =
            stats["lost"].as_object().expect("an object").values().filter_map(Value::as_u64).sum();
        assert_eq!(number("captured"), number("delivered") + lost + number("pending_events"), "{stats}");
        stats
    }

    /// Closes a client for good and compares its counters with what its calls have returned.
    fn check_at_the_end(&self) {
        // SAFETY: this is the last handle to a live client, and NULL removes a callback.
        // Without callbacks nothing captures any more.
        unsafe {
            let null = std::ptr::null_mut();
            assert_eq!(phc_set_before_send_callback(self.client, None, null, None), PHC_OK);
            assert_eq!(phc_set_error_callback(self.client, None, null, None), PHC_OK);
            assert_eq!(phc_set_delivery_callback(self.client, None, null, None), PHC_OK);
            assert_eq!(phc_set_log_callback(self.client, None, null, None), PHC_OK);
            self.counts.close(phc_client_close(self.client, 1));
        }
        let stats = stats(self.client);
        assert_eq!(stats.pending_events, 0);
        let captures = self.counts.captures.each_ref().map(|count| count.load(Ordering::SeqCst));
        assert_eq!(stats.captured, captures[0]);
        assert_eq!(stats.refused_by_status[1..], captures[1..]);
        // Only the first close finds the losses.
        assert_eq!(self.counts.lossy_closes.load(Ordering::SeqCst), u64::from(stats.lost > 0));

        let json = self.stats_json();
        // SAFETY: the names are static.
        let loss = |number: i32| unsafe { text(phc_loss_name(number)) };
        // SAFETY: as above.
        let status = |number: i32| unsafe { text(phc_status_name(number)) };
        let counted = |counts: &[u64], name: &dyn Fn(i32) -> &'static str| -> Value {
            let counts = (0..).zip(counts).filter(|(_, count)| **count > 0);
            counts.map(|(number, count)| (name(number).to_owned(), Value::from(*count))).collect()
        };
        assert_eq!(json["lost"], counted(&stats.lost_by_reason, &loss));
        assert_eq!(json["refused"], counted(&stats.refused_by_status, &status));
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if !self.is_named {
            self.check_at_the_end();
        }
        self.stats_json();
        // SAFETY: the last handle is never used again.
        unsafe { phc_client_free(self.client) };
    }
}
