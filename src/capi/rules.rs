//! From where each exported function may be called: one table, which the guard checks,
//! a test in C walks, and docs/callbacks.md shows.
#![allow(non_upper_case_globals, reason = "a rule has the name of its function")]

use super::text::set_last_text;
use crate::client::Inside;
use crate::status::{Message, Status};

/// The rule of one function.
#[derive(Debug)]
pub struct Rule {
    /// The function's name.
    pub name: &'static str,
    /// Whether it may be called from inside `before_send`.
    pub in_before_send: bool,
    /// Whether it may be called from inside the error, delivery and log callbacks.
    pub in_callback: bool,
    /// Whether it may wait, make system calls or run code of the host. Thread cancellation
    /// is then deferred until it returns; a capture, which does so rarely, defers it for
    /// that part only.
    pub may_wait: bool,
}

impl Rule {
    /// The status with which the function is refused where it may not be called; the
    /// text of the error is set.
    #[inline]
    pub(super) fn refuses(&self, inside: Inside) -> Option<Status> {
        if !self.is_restricted() || inside == Inside::Nothing { None } else { self.refuses_inside(inside) }
    }

    /// Whether there is a place from which the function may not be called.
    #[inline]
    pub(super) fn is_restricted(&self) -> bool {
        !(self.in_before_send && self.in_callback)
    }

    #[cold]
    fn refuses_inside(&self, inside: Inside) -> Option<Status> {
        let (allowed, place) = match inside {
            Inside::Nothing => (true, ""),
            Inside::BeforeSend => (self.in_before_send, "before_send"),
            Inside::Callback | Inside::LogCallbackAtOnce => (self.in_callback, "a callback"),
        };
        (!allowed).then(|| {
            let name = self.name;
            let text =
                format_args!("{name} cannot be called from inside {place}; call it from another thread");
            set_last_text(&Message::from(text));
            Status::REENTRANT
        })
    }
}

macro_rules! rules {
    (@rule $name:ident anywhere $may_wait:literal) => { rules!(@rule $name true true $may_wait) };
    (@rule $name:ident not_in_before_send $may_wait:literal) => { rules!(@rule $name false true $may_wait) };
    (@rule $name:ident not_in_callbacks $may_wait:literal) => { rules!(@rule $name false false $may_wait) };
    (@rule $name:ident $in_before_send:literal $in_callback:literal $may_wait:literal) => {
        Rule {
            name: stringify!($name),
            in_before_send: $in_before_send,
            in_callback: $in_callback,
            may_wait: $may_wait,
        }
    };
    (@row $name:ident $place:ident) => { rules!(@rule $name $place false) };
    (@row $name:ident $place:ident may_wait) => { rules!(@rule $name $place true) };
    ($($name:ident $place:ident $($may_wait:ident)?,)*) => {
        $(
            #[allow(dead_code, reason = "a function may only call its twin, and so use the rule of that")]
            pub(super) const $name: Rule = rules!(@row $name $place $($may_wait)?);
        )*

        /// Every rule, in the order of the header.
        #[cfg(any(test, feature = "internals"))]
        pub const ALL: &[Rule] = &[$(rules!(@row $name $place $($may_wait)?)),*];
    };
}

// `not_in_before_send`: a capture would be passed to `before_send` again. `not_in_callbacks`:
// the function waits for what may in turn wait for the callback. `may_wait`: see [`Rule`].
rules! {
    phc_version anywhere,
    phc_version_number anywhere,
    phc_abi_version anywhere,
    phc_status_message anywhere,
    phc_status_name anywhere,
    phc_last_error anywhere,
    phc_last_http_status anywhere,
    phc_config_new anywhere,
    phc_config_set anywhere,
    phc_config_get anywhere,
    phc_config_free anywhere,
    phc_setting_count anywhere,
    phc_setting_at anywhere,
    phc_client_new anywhere may_wait,
    phc_client_open not_in_callbacks may_wait,
    phc_client_close not_in_callbacks may_wait,
    phc_client_free anywhere may_wait,
    phc_flush not_in_callbacks may_wait,
    phc_flush_begin not_in_callbacks may_wait,
    phc_flush_wait not_in_callbacks may_wait,
    phc_flush_end anywhere,
    phc_persist not_in_callbacks may_wait,
    phc_spool_discard not_in_callbacks may_wait,
    phc_set_error_callback anywhere may_wait,
    phc_set_delivery_callback anywhere may_wait,
    phc_set_log_callback anywhere may_wait,
    phc_set_before_send_callback anywhere may_wait,
    phc_capture not_in_before_send,
    phc_capture_get_uuid not_in_before_send,
    phc_capture_json not_in_before_send,
    phc_capture_event not_in_before_send,
    phc_identify not_in_before_send,
    phc_alias not_in_before_send,
    phc_group_identify not_in_before_send,
    phc_register anywhere,
    phc_unregister anywhere,
    phc_opt_out anywhere,
    phc_opt_in anywhere,
    phc_event_new anywhere,
    phc_event_new_n anywhere,
    phc_event_free anywhere,
    phc_event_set_string anywhere,
    phc_event_set_string_n anywhere,
    phc_event_set_int anywhere,
    phc_event_set_int_n anywhere,
    phc_event_set_uint anywhere,
    phc_event_set_uint_n anywhere,
    phc_event_set_double anywhere,
    phc_event_set_double_n anywhere,
    phc_event_set_bool anywhere,
    phc_event_set_bool_n anywhere,
    phc_event_set_null anywhere,
    phc_event_set_null_n anywhere,
    phc_event_set_json anywhere,
    phc_event_set_json_n anywhere,
    phc_event_begin_object anywhere,
    phc_event_begin_object_n anywhere,
    phc_event_begin_array anywhere,
    phc_event_begin_array_n anywhere,
    phc_event_end anywhere,
    phc_event_set_group anywhere,
    phc_event_set_group_n anywhere,
    phc_event_set_uuid anywhere,
    phc_event_set_timestamp_ms anywhere,
    phc_event_set_timestamp anywhere,
    phc_exception_new anywhere,
    phc_exception_free anywhere,
    phc_exception_set anywhere,
    phc_exception_add_cause anywhere,
    phc_exception_add_frame anywhere,
    phc_exception_add_frame_json anywhere,
    phc_exception_add_address anywhere may_wait,
    phc_exception_add_stack anywhere may_wait,
    phc_capture_exception not_in_before_send may_wait,
    phc_flags_query_new anywhere,
    phc_flags_query_set_person anywhere,
    phc_flags_query_set_person_json anywhere,
    phc_flags_query_set_group anywhere,
    phc_flags_query_set_device_id anywhere,
    phc_flags_query_add_key anywhere,
    phc_flags_query_add_context anywhere,
    phc_flags_query_set_option anywhere,
    phc_flags_query_free anywhere,
    phc_flags_definitions_set anywhere may_wait,
    phc_flags_ready anywhere may_wait,
    phc_flags_reload anywhere may_wait,
    phc_flags_evaluate anywhere,
    phc_flag_enabled anywhere,
    phc_flags_enabled anywhere,
    phc_flags_get anywhere,
    phc_flags_payload anywhere,
    phc_flags_count anywhere,
    phc_flags_key anywhere,
    phc_flags_detail anywhere,
    phc_flag_reason_name anywhere,
    phc_flag_unresolved_name anywhere,
    phc_flags_error anywhere,
    phc_flags_json anywhere,
    phc_flags_only anywhere,
    phc_flags_only_accessed anywhere,
    phc_flags_free anywhere,
    phc_event_set_flags anywhere,
    phc_remote_config_fetch anywhere may_wait,
    phc_remote_config_payload anywhere,
    phc_remote_config_free anywhere,
    phc_outgoing_json anywhere,
    phc_outgoing_replace anywhere,
    phc_poll not_in_callbacks may_wait,
    phc_poll_fd anywhere may_wait,
    phc_report_free anywhere,
    phc_report_request_id anywhere,
    phc_report_attempt anywhere,
    phc_report_sent_at_ms anywhere,
    phc_report_http_status anywhere,
    phc_report_error anywhere,
    phc_report_event_count anywhere,
    phc_report_event anywhere,
    phc_report_pending_count anywhere,
    phc_report_pending_uuid anywhere,
    phc_report_missed_reports anywhere,
    phc_report_missed_events anywhere,
    phc_report_json anywhere,
    phc_loss_name anywhere,
    phc_stats_get anywhere,
    phc_stats_json anywhere,
    phc_binding_count_discarded anywhere,
    phc_binding_flags_peek anywhere,
    phc_binding_flags_read anywhere,
    phc_binding_next_log_line anywhere,
    phc_binding_next_test_event anywhere,
}

#[cfg(feature = "failpoints")]
pub(super) const phc_failpoint_arm: Rule = rules!(@row phc_failpoint_arm anywhere);
#[cfg(feature = "pieces")]
pub(super) const phc_piece: Rule = rules!(@row phc_piece anywhere);

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::super::text::last_error;
    use super::*;

    #[test]
    fn every_exported_function_has_a_rule() {
        let exported: Vec<_> = include_str!("../../abi/symbols.txt").lines().collect();
        let mut ruled: Vec<_> = ALL.iter().map(|rule| rule.name).collect();
        ruled.sort_unstable();
        assert_eq!(ruled, exported);
    }

    #[test]
    fn a_refusal_names_the_function_and_the_place() {
        assert_eq!(phc_flush.refuses(Inside::Callback), Some(Status::REENTRANT));
        // SAFETY: the text of the error ends in NUL and is this thread's own.
        let text = unsafe { CStr::from_ptr(last_error()) }.to_str().unwrap();
        assert!(text.starts_with("phc_flush cannot be called from inside a callback"));
        assert_eq!(phc_capture.refuses(Inside::BeforeSend), Some(Status::REENTRANT));
        assert_eq!(phc_capture.refuses(Inside::Callback), None);
        assert_eq!(phc_flush.refuses(Inside::Nothing), None);
    }
}
