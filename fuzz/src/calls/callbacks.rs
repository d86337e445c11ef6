//! What a host does inside its callbacks.

use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use phc::capi::before_send::{
    PHC_BEFORE_SEND_DISCARD, PHC_BEFORE_SEND_KEEP, phc_outgoing, phc_outgoing_json, phc_outgoing_replace,
    phc_set_before_send_callback,
};
use phc::capi::callbacks::{phc_set_delivery_callback, phc_set_error_callback, phc_set_log_callback};
use phc::capi::capture::{phc_capture, phc_capture_event, phc_opt_in, phc_register};
use phc::capi::client::{phc_client, phc_client_close, phc_client_free, phc_client_new, phc_client_open};
use phc::capi::config::{phc_config_free, phc_config_new};
use phc::capi::event::phc_event_new;
use phc::capi::flush::{phc_flush, phc_flush_begin};
use phc::capi::report::{phc_poll, phc_report};
use phc::capi::status::{PHC_OK, PHC_REENTRANT};

use super::client::{Counts, Handle, set, stats, text};
use super::report::{Way, read};

/// User data that was handed over and is not freed yet.
pub static USER_DATA: AtomicI64 = AtomicI64::new(0);

/// The user data of a callback: its client, and what it does.
pub struct UserData {
    client: *mut phc_client,
    counts: Arc<Counts>,
    does: u8,
}

impl UserData {
    /// Hands it over, to be freed by [`free`].
    pub fn give(handle: &Handle, does: u8) -> *mut c_void {
        UserData { client: handle.client, counts: Arc::clone(&handle.counts), does }.hand_over()
    }

    fn hand_over(self) -> *mut c_void {
        USER_DATA.fetch_add(1, Ordering::SeqCst);
        Box::into_raw(Box::new(self)).cast()
    }

    /// What the error, delivery and log callbacks may do.
    fn act(&self) {
        let client = self.client;
        let null: *mut c_char = std::ptr::null_mut();
        // SAFETY: a callback runs while its client lives; texts end in NUL, structs are as
        // long as is said, NULL is allowed.
        unsafe {
            match self.does % 16 {
                1 => {
                    let (id, event) = (c"user".as_ptr(), c"inside".as_ptr());
                    self.counts.capture(phc_capture(client, id, event, null));
                }
                2 => drop(stats(client)),
                3 => assert_eq!(phc_set_error_callback(client, None, null.cast(), None), PHC_OK),
                4 => assert_eq!(phc_set_log_callback(client, None, null.cast(), None), PHC_OK),
                5 => assert_eq!(phc_flush(client, 1, null.cast(), 0), PHC_REENTRANT),
                6 => std::thread::sleep(Duration::from_millis(1)),
                7 => assert_eq!(phc_client_close(client, 1), PHC_REENTRANT),
                8 => assert_eq!(phc_set_delivery_callback(client, None, null.cast(), None), PHC_OK),
                9 => assert!(phc_poll(client, 1).is_null()),
                10 => {
                    let mut flush = 0;
                    assert_eq!(phc_flush_begin(client, &raw mut flush), PHC_REENTRANT);
                    let event = phc_event_new(c"user".as_ptr(), c"built inside".as_ptr());
                    self.counts.capture(phc_capture_event(client, event, null));
                }
                11 => client_inside(),
                12 => {
                    let inner = UserData { client, counts: Arc::clone(&self.counts), does: self.does >> 4 };
                    let (function, free) = (Some(on_delivery as _), Some(free as _));
                    let status = phc_set_delivery_callback(client, function, inner.hand_over(), free);
                    assert_eq!(status, PHC_OK);
                }
                13 => assert_eq!(phc_register(client, c"plan".as_ptr(), c"\"inside\"".as_ptr()), PHC_OK),
                14 => assert_eq!(phc_opt_in(client), PHC_OK),
                15 => assert_eq!(phc_set_before_send_callback(client, None, null.cast(), None), PHC_OK),
                _ => {}
            }
        }
    }
}

/// A client may be made inside a callback, but not opened by name. Its free takes place when
/// the callback has returned.
unsafe fn client_inside() {
    // SAFETY: texts end in NUL, and what is freed is not used again.
    unsafe {
        let config = phc_config_new(c"phc_key".as_ptr());
        set(config, "test_mode", "true");
        let mut status = -1;
        assert!(phc_client_open(c"name 0".as_ptr(), config, &raw mut status).is_null());
        assert_eq!(status, PHC_REENTRANT);
        let client = phc_client_new(config, &raw mut status);
        assert_eq!(status, PHC_OK);
        phc_config_free(config);
        phc_client_free(client);
    }
}

/// Frees the user data of a callback.
pub unsafe extern "C" fn free(user_data: *mut c_void) {
    // SAFETY: it came from `hand_over` and is freed once, or AddressSanitizer reports it.
    drop(unsafe { Box::from_raw(user_data.cast::<UserData>()) });
    USER_DATA.fetch_sub(1, Ordering::SeqCst);
}

/// The error callback.
pub unsafe extern "C" fn on_error(report: *const phc_report, user_data: *mut c_void) {
    // SAFETY: the library passes a live report and what it was given.
    unsafe { on_report(report, &*user_data.cast::<UserData>(), Way::ErrorCallback) };
}

/// The delivery callback.
pub unsafe extern "C" fn on_delivery(report: *const phc_report, user_data: *mut c_void) {
    // SAFETY: as above.
    unsafe { on_report(report, &*user_data.cast::<UserData>(), Way::DeliveryCallback) };
}

unsafe fn on_report(report: *const phc_report, own: &UserData, way: Way) {
    // SAFETY: the caller passes a live report.
    unsafe { read(report, way, own.counts.reports) };
    own.act();
}

/// The log callback.
pub unsafe extern "C" fn on_line(level: i32, message: *const c_char, user_data: *mut c_void) {
    // SAFETY: the library passes a text and what it was given.
    unsafe {
        let own = &*user_data.cast::<UserData>();
        assert!((1..=own.counts.log_level).contains(&level), "level {level}");
        let line = text(message);
        assert!(!line.is_empty() && !line.contains('\n'));
        own.act();
    }
}

/// The before_send callback.
pub unsafe extern "C" fn on_event(event: *mut phc_outgoing, user_data: *mut c_void) -> i32 {
    let null: *mut c_char = std::ptr::null_mut();
    // SAFETY: the library passes a live event and what it was given; texts end in NUL.
    unsafe {
        let own = &*user_data.cast::<UserData>();
        let mut length = 0;
        let json = phc_outgoing_json(event, &raw mut length);
        assert_eq!(text(json).len(), length);
        let client = own.client;
        match own.does % 12 {
            0 => assert_eq!(phc_outgoing_replace(event, json, length), PHC_OK),
            1 => assert_eq!(phc_outgoing_replace(event, c"{\"event\":1}".as_ptr(), 11), PHC_OK),
            2 => assert_eq!(phc_register(client, c"k".as_ptr(), c"1".as_ptr()), PHC_OK),
            3 => assert_eq!(phc_flush(client, 1, null.cast(), 0), PHC_REENTRANT),
            4 => {
                let status = phc_capture(client, c"u".as_ptr(), c"e".as_ptr(), null);
                assert_eq!(status, PHC_REENTRANT);
            }
            5 => return PHC_BEFORE_SEND_DISCARD,
            6 => return -7,
            7 => {
                let built = phc_event_new(c"u".as_ptr(), c"e".as_ptr());
                assert_eq!(phc_capture_event(client, built, null), PHC_REENTRANT);
            }
            8 => assert_eq!(phc_set_before_send_callback(client, None, null.cast(), None), PHC_OK),
            9 => client_inside(),
            10 => assert!(phc_poll(client, 1).is_null()),
            _ => drop(stats(client)),
        }
    }
    PHC_BEFORE_SEND_KEEP
}
