//! What a host does inside its callbacks.

use std::ffi::{CStr, c_char, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use phc::capi::capture::{phc_capture, phc_register};
use phc::capi::client::{
    phc_client, phc_client_close, phc_flush, phc_set_error_callback, phc_set_log_callback,
};
use phc::capi::outgoing::{phc_outgoing, phc_outgoing_json, phc_outgoing_replace};
use phc::capi::report::{
    phc_event_report, phc_report, phc_report_attempt, phc_report_error, phc_report_event,
    phc_report_event_count, phc_report_json, phc_report_missed_events, phc_report_pending,
    phc_report_request_id, phc_report_status,
};
use phc::capi::stats::{phc_stats, phc_stats_get};
use phc::capi::status::{PHC_OK, PHC_REENTRANT};

use super::client::Handle;

/// User data that is handed over and not yet freed.
pub static USER_DATA: AtomicI64 = AtomicI64::new(0);

/// A callback's own: which client it is of and what it does.
pub struct UserData {
    client: *mut phc_client,
    captured: Arc<AtomicU64>,
    does: u8,
}

impl UserData {
    /// Gives it away, to be freed by [`free`].
    pub fn give(handle: &Handle, does: u8) -> *mut c_void {
        USER_DATA.fetch_add(1, Ordering::SeqCst);
        let own = UserData { client: handle.client, captured: Arc::clone(&handle.captured), does };
        Box::into_raw(Box::new(own)).cast()
    }

    /// What every callback may try.
    fn act(&self) {
        let nothing = std::ptr::null_mut();
        // SAFETY: a callback runs while its client lives; NULL is allowed.
        unsafe {
            match self.does % 8 {
                1 => {
                    let status =
                        phc_capture(self.client, c"user".as_ptr(), c"inside".as_ptr(), std::ptr::null());
                    assert_ne!(status, 18);
                    self.captured.fetch_add(u64::from(status == PHC_OK), Ordering::SeqCst);
                }
                2 => {
                    let mut stats = phc_stats::default();
                    assert_eq!(phc_stats_get(self.client, &raw mut stats, size_of::<phc_stats>()), PHC_OK);
                }
                3 => assert_eq!(phc_set_error_callback(self.client, None, nothing, None), PHC_OK),
                4 => assert_eq!(phc_set_log_callback(self.client, None, nothing, None), PHC_OK),
                5 => assert_eq!(phc_flush(self.client, 1, std::ptr::null_mut(), 0), PHC_REENTRANT),
                6 => std::thread::sleep(Duration::from_millis(1)),
                7 => assert_eq!(phc_client_close(self.client, 1), PHC_REENTRANT),
                _ => {}
            }
        }
    }
}

/// Frees a callback's own.
pub unsafe extern "C" fn free(user_data: *mut c_void) {
    // SAFETY: it came from `give` and is freed once, or the address sanitizer says so.
    drop(unsafe { Box::from_raw(user_data.cast::<UserData>()) });
    USER_DATA.fetch_sub(1, Ordering::SeqCst);
}

/// phc_error_callback
pub unsafe extern "C" fn on_report(report: *const phc_report, user_data: *mut c_void) {
    // SAFETY: the library passes what it was given.
    unsafe {
        read(report);
        (*user_data.cast::<UserData>()).act();
    }
}

/// phc_log_callback
pub unsafe extern "C" fn on_line(level: i32, message: *const c_char, user_data: *mut c_void) {
    assert!((1..=3).contains(&level));
    // SAFETY: as above.
    unsafe {
        assert!(!text(message).is_empty());
        (*user_data.cast::<UserData>()).act();
    }
}

/// phc_before_send_callback
pub unsafe extern "C" fn on_event(event: *mut phc_outgoing, user_data: *mut c_void) -> i32 {
    // SAFETY: as above.
    unsafe {
        let own = &*user_data.cast::<UserData>();
        let mut length = 0;
        let json = phc_outgoing_json(event, &raw mut length);
        assert_eq!(text(json).len(), length);
        let client = own.client;
        match own.does % 8 {
            0 => assert_eq!(phc_outgoing_replace(event, json, length), PHC_OK),
            1 => assert_eq!(phc_outgoing_replace(event, c"{\"event\":1}".as_ptr(), 11), PHC_OK),
            2 => assert_eq!(phc_register(client, c"k".as_ptr(), c"1".as_ptr()), PHC_REENTRANT),
            3 => assert_eq!(phc_flush(client, 1, std::ptr::null_mut(), 0), PHC_REENTRANT),
            4 => {
                let status = phc_capture(client, c"u".as_ptr(), c"e".as_ptr(), std::ptr::null());
                assert_ne!(status, PHC_OK);
            }
            5 => return 1,
            6 => return -7,
            _ => {}
        }
    }
    0
}

unsafe fn text<'a>(pointer: *const c_char) -> &'a str {
    // SAFETY: as the caller says.
    unsafe { CStr::from_ptr(pointer) }.to_str().expect("UTF-8")
}

/// Reads all of a report.
pub unsafe fn read(report: *const phc_report) {
    // SAFETY: the caller has a live report.
    unsafe {
        let json: serde_json::Value = serde_json::from_str(text(phc_report_json(report))).expect("JSON");
        assert!(json.is_object());
        let id = text(phc_report_request_id(report));
        assert!(id.is_empty() || id.len() == 36);
        assert_eq!(id.is_empty(), phc_report_attempt(report) == 0);
        assert!(phc_report_status(report) < 1000);
        let _ =
            (text(phc_report_error(report)), phc_report_pending(report), phc_report_missed_events(report));
        let events = phc_report_event_count(report);
        for index in 0..=events {
            let mut event = std::mem::zeroed::<phc_event_report>();
            let status = phc_report_event(report, index, &raw mut event, size_of::<phc_event_report>());
            assert_eq!(status == PHC_OK, index < events);
            if index < events {
                assert_eq!(text(event.uuid.as_ptr().cast()).len(), 36);
                assert!((0..=8).contains(&event.loss) && (event.loss != 0 || event.maybe_delivered == 0));
                let _ = (text(event.verdict), text(event.details));
            }
        }
    }
}
