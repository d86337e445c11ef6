//! What one step of a sequence calls.

use std::ffi::{CString, c_char};

use phc::capi::before_send::phc_set_before_send_callback;
use phc::capi::binding::{phc_binding_count_discarded, phc_binding_next_test_event};
use phc::capi::callbacks::{phc_set_delivery_callback, phc_set_error_callback, phc_set_log_callback};
use phc::capi::capture::{
    phc_alias, phc_capture, phc_capture_event, phc_capture_get_uuid, phc_capture_json, phc_group_identify,
    phc_identify, phc_opt_in, phc_opt_out, phc_register, phc_unregister,
};
use phc::capi::client::{phc_client, phc_client_close};
use phc::capi::config::{
    phc_config_free, phc_config_get, phc_config_new, phc_setting, phc_setting_at, phc_setting_count,
};
use phc::capi::event::{
    phc_event_begin_array_n, phc_event_begin_object, phc_event_begin_object_n, phc_event_end, phc_event_free,
    phc_event_new, phc_event_new_n, phc_event_set_bool, phc_event_set_double, phc_event_set_group,
    phc_event_set_int, phc_event_set_json, phc_event_set_null, phc_event_set_string,
    phc_event_set_timestamp_ms, phc_event_set_uint, phc_event_set_uuid,
};
use phc::capi::flush::{phc_flush, phc_flush_begin, phc_flush_end, phc_flush_result, phc_flush_wait};
use phc::capi::report::{phc_loss_name, phc_poll, phc_poll_fd, phc_report_free};
use phc::capi::stats::{phc_stats, phc_stats_get};
use phc::capi::status::{
    PHC_ABI_VERSION, PHC_CLOSED, PHC_INTERNAL, PHC_INVALID_ARGUMENT, PHC_LOST_EVENTS, PHC_OK, PHC_TIMEOUT,
    PHC_UUID_SIZE, phc_abi_version, phc_last_error, phc_status, phc_status_message, phc_status_name,
    phc_version,
};

use super::callbacks::{self, UserData};
use super::client::{Handle, Slots, set, stats, text};
use super::report::{Way, read};

/// Numbers from here on are those of [`more_calls`].
const FIRST_OF_MORE: u8 = 32;
const MORE: u8 = 13;

/// What one thread keeps between its steps.
#[derive(Default)]
pub struct Own {
    /// Flushes that this thread has begun: the number of the handle, and that of the flush.
    flushes: Vec<(u64, u64)>,
}

impl Own {
    /// Takes the last flush that was begun with this handle.
    fn take_flush(&mut self, handle: &Handle) -> Option<u64> {
        let position = self.flushes.iter().rposition(|(owner, _)| *owner == handle.number)?;
        Some(self.flushes.remove(position).1)
    }
}

/// Makes one step: its call, its slot, its argument.
pub fn step(slots: &Slots, own: &mut Own, [call, slot, argument]: [u8; 3]) {
    match call & 63 {
        0 => slots.open(slot, None),
        1 => slots.open(slot, Some(argument)),
        2 => slots.clear(slot),
        call => {
            let Some(handle) = slots.get(slot) else { return };
            let status = if call < FIRST_OF_MORE {
                on_client(&handle, own, call, argument)
            } else {
                more_calls(&handle, (call - FIRST_OF_MORE) % MORE, argument)
            };
            assert_ne!(status, PHC_INTERNAL, "call {call}");
        }
    }
}

#[allow(clippy::too_many_lines, reason = "a row for each call")]
fn on_client(handle: &Handle, own: &mut Own, call: u8, argument: u8) -> phc_status {
    let (client, counts) = (handle.client, &*handle.counts);
    let null: *mut c_char = std::ptr::null_mut();
    let short = u32::from(argument & 1);
    let json = properties(argument);
    // SAFETY: the handle keeps its client alive, texts end in NUL and live as long as the
    // call, structs are as long as is said, NULL is allowed.
    unsafe {
        match call {
            3 => counts.capture(phc_capture(client, c"user".as_ptr(), c"event".as_ptr(), json.as_ptr())),
            4 => {
                let text = format!(
                    "{{\"event\":\"e\",\"distinct_id\":\"d\",\"uuid\":\"{:032x}\",\"properties\":{}}}",
                    argument % 4,
                    json.to_str().expect("ASCII")
                );
                with_uuid(|uuid| {
                    counts.capture(phc_capture_json(client, text.as_ptr().cast(), text.len(), uuid))
                })
            }
            5 | 6 => counts.capture(capture_built(client, argument)),
            7 => counts.capture(phc_identify(client, c"user".as_ptr(), json.as_ptr(), null, null)),
            8 => counts.capture(phc_alias(client, c"user".as_ptr(), c"alias".as_ptr(), null)),
            9 => {
                let id = if argument & 1 == 0 { null } else { c"user".as_ptr().cast_mut() };
                let (kind, key) = (c"company".as_ptr(), c"acme".as_ptr());
                counts.capture(phc_group_identify(client, kind, key, json.as_ptr(), id, null))
            }
            10 => {
                let mut status = PHC_OK;
                for _ in 0..argument % 32 {
                    status = counts.capture(phc_capture(client, c"user".as_ptr(), c"many".as_ptr(), null));
                }
                status
            }
            11 => flush(client, short),
            12 => {
                let mut flush = 0;
                let status = phc_flush_begin(client, &raw mut flush);
                assert!(matches!(status, PHC_OK | PHC_CLOSED));
                if status == PHC_OK {
                    own.flushes.push((handle.number, flush));
                }
                status
            }
            13 => wait(handle, own, argument),
            14 => {
                let flush = own.take_flush(handle).unwrap_or_else(|| unknown_flush(argument));
                let status = phc_flush_end(client, flush);
                let mut result = phc_flush_result::default();
                let size = size_of::<phc_flush_result>();
                assert_eq!(phc_flush_wait(client, flush, 0, &raw mut result, size), PHC_INVALID_ARGUMENT);
                status
            }
            15 | 16 => {
                let report = phc_poll(client, short);
                if !report.is_null() {
                    read(report, Way::Poll, counts.reports);
                }
                phc_report_free(report);
                PHC_OK
            }
            17 => {
                let descriptor = i32::try_from(phc_poll_fd(client)).expect("a descriptor");
                assert!(descriptor >= 0);
                let mut wanted = libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
                assert!(libc::poll(&raw mut wanted, 1, 0) >= 0);
                assert_eq!(wanted.revents & libc::POLLNVAL, 0);
                PHC_OK
            }
            18 | 19 => {
                let own = UserData::give(handle, argument);
                phc_set_error_callback(client, Some(callbacks::on_error), own, Some(callbacks::free))
            }
            20 => phc_set_error_callback(client, None, null.cast(), None),
            21 => {
                let own = UserData::give(handle, argument);
                phc_set_log_callback(client, Some(callbacks::on_line), own, Some(callbacks::free))
            }
            22 => phc_set_log_callback(client, None, null.cast(), None),
            23 => {
                let own = UserData::give(handle, argument);
                phc_set_before_send_callback(client, Some(callbacks::on_event), own, Some(callbacks::free))
            }
            24 => phc_set_before_send_callback(client, None, null.cast(), None),
            25 => phc_register(client, c"plan".as_ptr(), json.as_ptr()),
            26 => phc_unregister(client, c"plan".as_ptr()),
            27 if argument & 1 == 0 => phc_opt_out(client),
            27 => phc_opt_in(client),
            28 => {
                stats(client);
                handle.stats_json();
                counts.discard();
                phc_binding_count_discarded(client)
            }
            29 => {
                let mut buffer = [0; 512];
                phc_binding_next_test_event(client, buffer.as_mut_ptr(), usize::from(argument) * 2);
                PHC_OK
            }
            30 => {
                let status = phc_client_close(client, short);
                counts.close(status);
                status
            }
            _ => {
                std::thread::sleep(std::time::Duration::from_micros(u64::from(argument) * 20));
                PHC_OK
            }
        }
    }
}

fn more_calls(handle: &Handle, call: u8, argument: u8) -> phc_status {
    let (client, counts) = (handle.client, &*handle.counts);
    let null: *mut c_char = std::ptr::null_mut();
    let json = properties(argument);
    // SAFETY: as in `on_client`.
    unsafe {
        match call {
            0 | 1 => {
                let own = UserData::give(handle, argument);
                phc_set_delivery_callback(client, Some(callbacks::on_delivery), own, Some(callbacks::free))
            }
            2 => phc_set_delivery_callback(client, None, null.cast(), None),
            3 => with_uuid(|uuid| {
                let (id, event) = (c"user".as_ptr(), c"event".as_ptr());
                counts.capture(phc_capture_get_uuid(client, id, event, json.as_ptr(), uuid))
            }),
            4 | 5 => counts.capture(capture_nested(client, argument)),
            6 => with_uuid(|uuid| {
                let (id, set_once) = (c"user".as_ptr(), c"{\"a\":1}".as_ptr());
                counts.capture(phc_identify(client, id, json.as_ptr(), set_once, uuid))
            }),
            7 => capture_null(handle, argument),
            8 => {
                look_at_settings(argument);
                PHC_OK
            }
            9 => {
                look_at_names(argument);
                PHC_OK
            }
            10 => stats_of_size(client, argument),
            11 => {
                let event = phc_event_new(c"user".as_ptr(), c"freed".as_ptr());
                let status = phc_event_begin_object(event, c"open".as_ptr());
                phc_event_free(event);
                status
            }
            _ => flush(client, u32::from(argument % 32)),
        }
    }
}

/// Makes a capture that writes the event's uuid, and reads that.
fn with_uuid(capture: impl FnOnce(*mut c_char) -> phc_status) -> phc_status {
    let mut uuid = [0x7F; PHC_UUID_SIZE];
    let status = capture(uuid.as_mut_ptr());
    if status == PHC_OK {
        // SAFETY: the buffer has the text of a uuid and a NUL.
        assert_eq!(unsafe { text(uuid.as_ptr()) }.len(), 36);
    } else {
        assert!(uuid.iter().all(|byte| *byte == 0x7F));
    }
    status
}

/// The status of a flush follows from its own result.
fn check_flush(status: phc_status, result: &phc_flush_result) {
    let phc_flush_result { settled, delivered, lost, pending } = *result;
    assert_eq!(settled, delivered + lost);
    let expected = match (pending, lost) {
        (1.., _) => PHC_TIMEOUT,
        (0, 1..) => PHC_LOST_EVENTS,
        (0, 0) => PHC_OK,
    };
    assert_eq!(status, expected, "{settled} settled, {lost} lost, {pending} pending");
}

unsafe fn flush(client: *mut phc_client, timeout_ms: u32) -> phc_status {
    let mut result = phc_flush_result::default();
    // SAFETY: the caller passes a live client; the struct is as long as is said.
    let status = unsafe { phc_flush(client, timeout_ms, &raw mut result, size_of::<phc_flush_result>()) };
    if status != PHC_CLOSED {
        check_flush(status, &result);
    }
    status
}

/// A number that no flush has.
fn unknown_flush(argument: u8) -> u64 {
    u64::MAX - u64::from(argument)
}

/// Waits for the flush that this thread began last with the handle. A flush ends with any
/// status but `PHC_TIMEOUT`.
fn wait(handle: &Handle, own: &mut Own, argument: u8) -> phc_status {
    let begun = own.take_flush(handle);
    let flush = begun.unwrap_or_else(|| unknown_flush(argument));
    let wait = || {
        let mut result = phc_flush_result::default();
        let size = size_of::<phc_flush_result>();
        let timeout_ms = u32::from(argument & 1);
        // SAFETY: the handle keeps its client alive, the struct is as long as is said.
        let status = unsafe { phc_flush_wait(handle.client, flush, timeout_ms, &raw mut result, size) };
        (status, result)
    };
    let (status, result) = wait();
    if begun.is_none() {
        assert_eq!(status, PHC_INVALID_ARGUMENT);
        return status;
    }
    check_flush(status, &result);
    if status == PHC_TIMEOUT {
        own.flushes.push((handle.number, flush));
    } else {
        assert_eq!(wait().0, PHC_INVALID_ARGUMENT);
    }
    status
}

/// Builds an event and captures it, which frees it.
unsafe fn capture_built(client: *mut phc_client, argument: u8) -> phc_status {
    let key = CString::new(format!("k{}", argument % 3)).expect("no NUL");
    let (key, text) = (key.as_ptr(), c"text \xff".as_ptr());
    // SAFETY: the caller passes a live client; the event is live until it is captured.
    unsafe {
        let event = phc_event_new(c"user".as_ptr(), c"built".as_ptr());
        for bit in 0..8 {
            if argument >> bit & 1 == 0 {
                continue;
            }
            let status = match bit {
                0 => phc_event_set_string(event, key, text),
                1 => phc_event_set_int(event, key, i64::MIN),
                2 => phc_event_set_double(event, key, 0.1),
                3 => phc_event_set_json(event, key, c"[1,{\"a\":null}]".as_ptr()),
                4 => phc_event_set_group(event, c"company".as_ptr(), text),
                5 => phc_event_set_uuid(event, text),
                6 => phc_event_set_timestamp_ms(event, i64::from(argument)),
                _ => phc_event_set_bool(event, c"$process_person_profile".as_ptr(), 1),
            };
            assert_eq!(status, PHC_OK, "setter {bit}");
        }
        with_uuid(|uuid| phc_capture_event(client, event, uuid))
    }
}

/// Builds an event with nested values and captures it, which frees it. One with an object or
/// array that is open is refused.
unsafe fn capture_nested(client: *mut phc_client, argument: u8) -> phc_status {
    let depth = argument % 8;
    let stays_open = depth > 0 && argument & 0x80 != 0;
    let (name, null) = (c"nested".as_ptr(), std::ptr::null());
    // SAFETY: as in `capture_built`.
    unsafe {
        let event = phc_event_new_n(c"user".as_ptr(), 4, name, 6);
        let mut in_array = false;
        for level in 0..depth {
            let (key, length) = if in_array { (null, 0) } else { (c"key".as_ptr(), 3) };
            in_array = argument >> (level % 4 + 3) & 1 != 0;
            let status = if in_array {
                phc_event_begin_array_n(event, key, length)
            } else {
                phc_event_begin_object_n(event, key, length)
            };
            assert_eq!(status, PHC_OK, "level {level}");
            let (good, bad) = if in_array { (null, name) } else { (name, null) };
            assert_eq!(phc_event_set_uint(event, good, u64::from(argument)), PHC_OK);
            assert_eq!(phc_event_set_null(event, bad), PHC_INVALID_ARGUMENT);
        }
        for _ in u8::from(stays_open)..depth {
            assert_eq!(phc_event_end(event), PHC_OK);
        }
        if !stays_open {
            assert_eq!(phc_event_end(event), PHC_INVALID_ARGUMENT);
        }
        let status = with_uuid(|uuid| phc_capture_event(client, event, uuid));
        assert!(!stays_open || status != PHC_OK);
        status
    }
}

/// Captures with an argument that is NULL. Only what is called with a client is counted.
unsafe fn capture_null(handle: &Handle, argument: u8) -> phc_status {
    let (client, counts) = (handle.client, &*handle.counts);
    let (text, null) = (c"text".as_ptr(), std::ptr::null_mut());
    // SAFETY: as in `on_client`.
    let status = unsafe {
        match argument % 8 {
            0 => counts.capture(phc_capture(client, null, text, null)),
            1 => counts.capture(phc_capture(client, text, null, null)),
            2 => counts.capture(phc_capture_json(client, null, 7, null)),
            3 => counts.capture(phc_capture_event(client, null.cast(), null)),
            4 => counts.capture(phc_identify(client, null, null, null, null)),
            5 => counts.capture(phc_alias(client, text, null, null)),
            6 => counts.capture(phc_group_identify(client, null, text, null, null, null)),
            _ => phc_capture_event(null.cast(), phc_event_new(text, text), null),
        }
    };
    assert_eq!(status, PHC_INVALID_ARGUMENT);
    status
}

/// Reads a setting's description, and its default from a new config.
unsafe fn look_at_settings(argument: u8) {
    // SAFETY: zeros are a value of a struct of pointers, which is as long as is said; its
    // texts are static; the config lives until it is freed.
    unsafe {
        let mut setting = std::mem::zeroed::<phc_setting>();
        let status = phc_setting_at(argument.into(), &raw mut setting, size_of::<phc_setting>());
        if usize::from(argument) >= phc_setting_count() {
            return assert_eq!(status, PHC_INVALID_ARGUMENT);
        }
        assert_eq!(status, PHC_OK);
        let config = phc_config_new(std::ptr::null());
        let default = text(setting.default_value);
        assert_eq!(text(phc_config_get(config, setting.key)), default);
        set(config, text(setting.key), default);
        assert!(phc_config_get(config, c"unknown".as_ptr()).is_null());
        assert!(text(phc_last_error()).contains("unknown"));
        phc_config_free(config);
    }
}

/// Every number of a status or a loss has a name.
unsafe fn look_at_names(argument: u8) {
    let number = i32::from(argument) - 64;
    // SAFETY: the texts are static.
    unsafe {
        for text in [
            text(phc_loss_name(number)),
            text(phc_status_name(number)),
            text(phc_status_message(number)),
            text(phc_version()),
        ] {
            assert!(!text.is_empty());
        }
        assert_eq!(phc_abi_version(), PHC_ABI_VERSION);
        assert!(text(phc_version()).starts_with(|first: char| first.is_ascii_digit()));
        assert!(text(phc_last_error()).len() <= 1023);
    }
}

/// Counters for a host that knows fewer or more of them.
unsafe fn stats_of_size(client: *const phc_client, argument: u8) -> phc_status {
    const UNTOUCHED: u64 = u64::MAX / 2;
    let mut numbers = [UNTOUCHED; size_of::<phc_stats>() / 8 + 8];
    let size = usize::from(argument) % numbers.len() * 8;
    // SAFETY: the client is live, and the place is longer than is said.
    let status = unsafe { phc_stats_get(client, numbers.as_mut_ptr().cast(), size) };
    assert!(numbers.iter().enumerate().all(|(at, number)| (*number == UNTOUCHED) == (at * 8 >= size)));
    status
}

/// Properties of all sizes; some are malformed.
fn properties(argument: u8) -> CString {
    let text = match argument % 8 {
        0 => "{}".to_owned(),
        1 => "{\"a\":1}".to_owned(),
        2 => format!("{{\"filler\":\"{}\"}}", "x".repeat(usize::from(argument) * 8)),
        3 => "{\"$session_id\":\"s\",\"$set\":{\"a\":1},\"b\":\"\\ud800\"}".to_owned(),
        4 => "{\"a\":".to_owned(),
        5 => "null".to_owned(),
        6 => "[1]".to_owned(),
        _ => "{\"\\u0024lib\":1}".to_owned(),
    };
    CString::new(text).expect("no NUL")
}
