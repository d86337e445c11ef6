//! phc_exception: an exception that is described, and captured for error tracking.

use std::ffi::{c_char, c_int, c_uint, c_void};

use super::capture::capture;
use super::client::phc_client;
use super::guard::guard;
use super::handle::{Boxed, borrow_mut, share, take};
use super::rules;
use super::status::{phc_status, status_of};
use super::text::{optional, required, set_last_error, sized, utf8};
use crate::event::EventInput;
use crate::exception::Exception;
use crate::status::{Error, Status};

/// An exception that is being described: a type, a message, the stack, and what caused it. It
/// belongs to one thread at a time. It has at most 50 entries (itself and its causes), 64 frames for
/// each, 16 KiB for a text and 512 KiB in all; the rest is cut off or left out, and the functions
/// return PHC_OK. Every function that adds to an exception returns PHC_OUT_OF_RESOURCES when there
/// is no memory for it, and then changes nothing. libphc installs no handlers for signals or
/// uncaught exceptions: the application decides what it captures.
pub struct phc_exception(Exception);

impl Boxed for phc_exception {}

/// Begins an exception with its type, such as "std::bad_alloc", and its message. NULL texts count
/// as empty; one without a type is called "Error". Pass it to phc_capture_exception or free it
/// with phc_exception_free. Returns NULL only without memory, or after an internal error.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_exception_new(
    r#type: *const c_char,
    message: *const c_char,
) -> *mut phc_exception {
    guard(&rules::phc_exception_new, || {
        // SAFETY: the caller passes NULL or NUL-terminated texts.
        let (kind, message) = unsafe { (optional(r#type), optional(message)) };
        match Exception::new(kind.unwrap_or_default(), message.unwrap_or_default()) {
            Ok(exception) => phc_exception(exception).into_raw(),
            Err(error) => {
                set_last_error(&error);
                std::ptr::null_mut()
            }
        }
    })
}

/// Frees an exception that was not captured. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_exception_free(exception: *mut phc_exception) {
    guard(&rules::phc_exception_free, || {
        // SAFETY: the caller passes NULL or an exception that it never uses again.
        drop(unsafe { take(exception) });
    });
}

/// Runs a change of the exception.
///
/// # Safety
/// The exception is NULL or live, and used by no other thread at the same time.
unsafe fn change(
    exception: *mut phc_exception,
    change: impl FnOnce(&mut Exception) -> Result<(), Error>,
) -> phc_status {
    // SAFETY: the caller passes NULL or an exception that only this thread uses.
    let exception = unsafe { borrow_mut(exception, "exception") };
    status_of(exception.and_then(|exception| change(&mut exception.0)))
}

/// Sets a fact about an exception. Of the whole exception:
/// - "level": "fatal", "error" (the default), "warning", "log", "info" or "debug";
/// - "handled": "true" (the default), or "false" for one that nothing has caught;
/// - "fingerprint": exceptions with the same one become one issue, whatever their stacks are;
/// - "source": what caught it, such as "cpp.terminate_handler";
/// - "release_id": the release of the application.
///
/// Of the exception itself or, after phc_exception_add_cause, of the latest cause:
/// - "module": the module or namespace of the type;
/// - "thread_id": a whole number;
/// - "mechanism": how it was caught, in place of "generic" ("chained" for a cause);
/// - "synthetic": "true" if the type and the message were made up for an error that has none.
///
/// Returns PHC_INVALID_ARGUMENT for other names and values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_exception_set(
    exception: *mut phc_exception,
    name: *const c_char,
    value: *const c_char,
) -> phc_status {
    guard(&rules::phc_exception_set, || {
        // SAFETY: the caller passes NULL or an exception that only this thread uses, and NULL or NUL-terminated texts.
        unsafe {
            change(exception, |exception| {
                exception.set(utf8(required(name, "name")?, "name")?, required(value, "value")?)
            })
        }
    })
}

/// Adds what caused the exception, or what caused the cause that was added last. Later frames belong
/// to this cause. relation says how it is related to what it caused: "cause" (the default, NULL),
/// "context", "unwrap", "member", "suppressed" or "inner".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_exception_add_cause(
    exception: *mut phc_exception,
    r#type: *const c_char,
    message: *const c_char,
    relation: *const c_char,
) -> phc_status {
    guard(&rules::phc_exception_add_cause, || {
        // SAFETY: the caller passes NULL or an exception that only this thread uses, and NULL or NUL-terminated texts.
        unsafe {
            let [kind, message, relation] =
                [r#type, message, relation].map(|text| optional(text).unwrap_or_default());
            change(exception, |exception| exception.add_cause(kind, message, relation))
        }
    })
}

/// Adds the next frame of the stack, the innermost first, where the source is known. file may be
/// NULL; its extension determines the language. line is 0 if it is not known. in_app is 0 for code
/// that is not the application's own, such as that of libraries.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_exception_add_frame(
    exception: *mut phc_exception,
    function: *const c_char,
    file: *const c_char,
    line: u32,
    in_app: c_int,
) -> phc_status {
    guard(&rules::phc_exception_add_frame, || {
        // SAFETY: the caller passes NULL or an exception that only this thread uses, and NULL or NUL-terminated texts.
        unsafe {
            let (function, file) =
                (optional(function).unwrap_or_default(), optional(file).unwrap_or_default());
            change(exception, |exception| exception.add_frame(function, file, line, in_app != 0))
        }
    })
}

/// Adds the next frame of the stack, the innermost first, as a JSON object of len bytes with at
/// least the member platform, such as {"platform":"ruby","function":"save","filename":"app.rb",
/// "lineno":7,"in_app":true}. It is for bindings of other languages, and is sent as it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_exception_add_frame_json(
    exception: *mut phc_exception,
    json: *const c_char,
    len: usize,
) -> phc_status {
    guard(&rules::phc_exception_add_frame_json, || {
        // SAFETY: the caller passes NULL or an exception that only this thread uses, and NULL or a text of `len` bytes.
        unsafe { change(exception, |exception| exception.add_frame_json(sized(json, len, "json")?)) }
    })
}

/// Adds the next frame of the stack, the innermost first, as a return address, such as backtrace(3)
/// returns. The event gets the build id of the program or library that has the address
/// ($debug_images): where its debug symbols were uploaded, PostHog shows functions, files and
/// lines. The linker writes a build id with -Wl,--build-id. The library that has the address must not
/// be unloaded during the call (dlclose).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_exception_add_address(
    exception: *mut phc_exception,
    address: *const c_void,
) -> phc_status {
    guard(&rules::phc_exception_add_address, || {
        // SAFETY: the caller passes NULL or an exception that only this thread uses.
        unsafe { change(exception, |exception| exception.add_address(address.addr())) }
    })
}

/// Adds the stack of the calling thread, from the caller of this function outwards, without the
/// first skip frames. It costs some 10 to 100 microseconds, and is not safe in a signal handler. The
/// program needs unwind tables: C++ compilers write them, C compilers do with
/// -fasynchronous-unwind-tables (gcc's default on x86-64 and arm64).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_exception_add_stack(exception: *mut phc_exception, skip: c_uint) -> phc_status {
    let here = 0_u8;
    let above = (&raw const here).addr();
    guard(&rules::phc_exception_add_stack, || {
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        // SAFETY: the caller passes NULL or an exception that only this thread uses.
        unsafe { change(exception, |exception| exception.add_stack(above, skip)) }
    })
}

/// Captures an exception as the event $exception and frees it, whatever the status is: the
/// exception must not be used again. If distinct_id is NULL or empty, the event belongs to no
/// person: it is sent under a random id, with $process_person_profile false. properties_json is a
/// JSON object or NULL; members that the server makes itself, such as $exception_types, are left
/// out. uuid_out (PHC_UUID_SIZE bytes; NULL is accepted) gets the event's uuid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_capture_exception(
    client: *mut phc_client,
    distinct_id: *const c_char,
    exception: *mut phc_exception,
    properties_json: *const c_char,
    uuid_out: *mut c_char,
) -> phc_status {
    // Outside of the guard, so that the exception is freed even if the guard refuses the call.
    // SAFETY: the caller passes NULL or an exception that it never uses again.
    let exception = unsafe { take(exception) };
    guard(&rules::phc_capture_exception, || {
        // SAFETY: the caller passes NULL or NUL-terminated texts.
        let (distinct_id, properties) = unsafe { (optional(distinct_id), optional(properties_json)) };
        let exception =
            exception.as_ref().ok_or_else(|| Error::new(Status::INVALID_ARGUMENT, "exception is NULL"));
        let built = exception.and_then(|exception| exception.0.event(distinct_id, properties));
        let input = built.as_ref().map(|built| EventInput::Built(built)).map_err(Clone::clone);
        // SAFETY: the caller passes NULL or a live client, and NULL or a buffer for a uuid.
        let status = unsafe { capture(share(client, "client"), input, uuid_out) };
        if let Ok(built) = built {
            built.keep();
        }
        status
    })
}
