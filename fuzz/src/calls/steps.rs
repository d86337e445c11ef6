//! What one step of a sequence calls.

use std::ffi::CString;
use std::sync::atomic::Ordering;

use phc::capi::capture::*;
use phc::capi::client::*;
use phc::capi::event::*;
use phc::capi::outgoing::{phc_count_dropped, phc_set_before_send_callback};
use phc::capi::report::{phc_poll, phc_poll_fd, phc_report_free};
use phc::capi::status::{PHC_INTERNAL, PHC_OK, PHC_QUEUE_FULL};

use super::client::{Handle, Slots};
use super::host::{self, UserData};

/// What one thread keeps between its steps.
#[derive(Default)]
pub struct Own {
    tickets: Vec<u64>,
}

/// Makes one step: its call, its slot, its argument.
pub fn step(slots: &Slots, own: &mut Own, [call, slot, argument]: [u8; 3]) {
    match call & 31 {
        0 => slots.open(slot, None),
        1 => slots.open(slot, Some(argument)),
        2 => slots.clear(slot),
        call => {
            if let Some(handle) = slots.get(slot) {
                on_client(&handle, own, call, argument);
            }
        }
    }
}

fn on_client(handle: &Handle, own: &mut Own, call: u8, argument: u8) {
    let client = handle.client;
    let null = std::ptr::null();
    let mut result = phc_flush_result::default();
    let size = size_of::<phc_flush_result>();
    let short = u32::from(argument & 1);
    let json = properties(argument);
    // SAFETY: the handle keeps its client alive, texts end in NUL and live as
    // long as the call, structs are as long as is said, NULL is allowed.
    let status = unsafe {
        match call {
            3 => handle.count(phc_capture(client, c"user".as_ptr(), c"event".as_ptr(), json.as_ptr())),
            4 => {
                let text = format!(
                    "{{\"event\":\"e\",\"distinct_id\":\"d\",\"uuid\":\"{:032x}\",\"properties\":{}}}",
                    argument % 4,
                    json.to_str().expect("ASCII")
                );
                let mut uuid = [0; 37];
                handle.count(phc_capture_json(client, text.as_ptr().cast(), text.len(), uuid.as_mut_ptr()))
            }
            5 | 6 => handle.count(build(client, argument)),
            7 => handle.count(phc_identify(client, c"user".as_ptr(), json.as_ptr(), null)),
            8 => handle.count(phc_alias(client, c"user".as_ptr(), c"alias".as_ptr())),
            9 => {
                let id = if argument & 1 == 0 { null } else { c"user".as_ptr() };
                let (kind, key) = (c"company".as_ptr(), c"acme".as_ptr());
                handle.count(phc_group_identify(client, kind, key, json.as_ptr(), id))
            }
            10 => {
                let mut status = PHC_OK;
                for _ in 0..argument % 32 {
                    status = handle.count(phc_capture(client, c"user".as_ptr(), c"many".as_ptr(), null));
                }
                status
            }
            11 => {
                let status = phc_flush(client, short, &raw mut result, size);
                assert_eq!(result.settled, result.delivered + result.lost);
                assert!(matches!(status, 0 | 4 | 6 | 7), "flush answered {status}");
                assert!(status != PHC_OK || result.pending == 0);
                status
            }
            12 => {
                let mut ticket = 0;
                let status = phc_flush_begin(client, &raw mut ticket);
                own.tickets.push(ticket);
                status
            }
            13 => {
                let ticket = own.tickets.last().copied().unwrap_or(u64::from(argument));
                let status = phc_flush_wait(client, ticket, short, &raw mut result, size);
                assert!(matches!(status, 0 | 1 | 6 | 7), "flush_wait answered {status}");
                status
            }
            14 => phc_flush_end(client, own.tickets.pop().unwrap_or(u64::from(argument))),
            15 | 16 => {
                let report = phc_poll(client, short);
                if !report.is_null() {
                    host::read(report);
                }
                phc_report_free(report);
                PHC_OK
            }
            17 => {
                let descriptor = phc_poll_fd(client);
                assert!(descriptor >= 0);
                let mut wanted = libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
                assert!(libc::poll(&raw mut wanted, 1, 0) >= 0);
                assert_eq!(wanted.revents & libc::POLLNVAL, 0);
                PHC_OK
            }
            18 | 19 => {
                let own = UserData::give(handle, argument);
                phc_set_error_callback(client, Some(host::on_report), own, Some(host::free))
            }
            20 => phc_set_error_callback(client, None, std::ptr::null_mut(), None),
            21 => {
                let own = UserData::give(handle, argument);
                phc_set_log_callback(client, Some(host::on_line), own, Some(host::free))
            }
            22 => phc_set_log_callback(client, None, std::ptr::null_mut(), None),
            23 => {
                let own = UserData::give(handle, argument);
                phc_set_before_send_callback(client, Some(host::on_event), own, Some(host::free))
            }
            24 => phc_set_before_send_callback(client, None, std::ptr::null_mut(), None),
            25 => phc_register(client, c"plan".as_ptr(), json.as_ptr()),
            26 => phc_unregister(client, c"plan".as_ptr()),
            27 => {
                if argument & 1 == 0 {
                    phc_opt_out(client)
                } else {
                    phc_opt_in(client)
                }
            }
            28 => {
                handle.stats();
                handle.stats_json();
                phc_count_dropped(client)
            }
            29 => {
                let mut buffer = [0; 512];
                phc_test_next(client, buffer.as_mut_ptr(), usize::from(argument) * 2);
                PHC_OK
            }
            30 => {
                let status = phc_client_close(client, short);
                assert!(matches!(status, 0 | 7), "close answered {status}");
                status
            }
            _ => {
                std::thread::sleep(std::time::Duration::from_micros(u64::from(argument) * 20));
                PHC_OK
            }
        }
    };
    assert_ne!(status, PHC_INTERNAL, "call {call}");
}

impl Handle {
    fn count(&self, status: i32) -> i32 {
        self.captured.fetch_add(u64::from(status == PHC_OK), Ordering::SeqCst);
        status
    }
}

/// Builds an event and captures it. On PHC_QUEUE_FULL it stays the caller's.
unsafe fn build(client: *mut phc_client, argument: u8) -> i32 {
    let key = CString::new(format!("k{}", argument % 3)).expect("no NUL");
    let (key, text) = (key.as_ptr(), c"text \xff".as_ptr());
    // SAFETY: as the caller says; the event is live until it is captured or freed.
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
        let status = phc_capture_event(client, event, std::ptr::null_mut());
        if status == PHC_QUEUE_FULL {
            phc_event_free(event);
        }
        status
    }
}

/// Properties of all sizes; some are broken.
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
