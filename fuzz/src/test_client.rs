//! A client in test mode, used by the C functions. One client takes the events of all
//! inputs, as in the process of a host.

use std::ffi::{CStr, c_char};
use std::sync::LazyLock;

use phc::capi::binding::phc_binding_next_test_event;
use phc::capi::client::{phc_client, phc_client_new};
use phc::capi::config::{phc_config_free, phc_config_new, phc_config_set};
use phc::capi::stats::{PHC_STATUS_SLOTS, phc_stats, phc_stats_get};
use phc::capi::status::{PHC_OK, PHC_UUID_SIZE, phc_last_error, phc_status};

/// The pointer to the client.
static CLIENT: LazyLock<usize> = LazyLock::new(|| {
    let mut status = -1;
    // SAFETY: the texts end in NUL; the config lives until it is freed.
    let client = unsafe {
        let config = phc_config_new(c"phc_key".as_ptr());
        assert_eq!(phc_config_set(config, c"test_mode".as_ptr(), c"true".as_ptr()), PHC_OK);
        let client = phc_client_new(config, &raw mut status);
        phc_config_free(config);
        client
    };
    assert_eq!(status, PHC_OK);
    client as usize
});

/// An event that was captured.
#[derive(Debug)]
pub struct Captured {
    /// What would be sent.
    pub wire: String,
    /// The uuid that the capture returned.
    pub uuid: String,
    /// Whether text of the event was repaired.
    pub repaired: bool,
    /// Whether the uuid that was given was replaced.
    pub uuid_replaced: bool,
}

/// Makes a capture with the client and a buffer for the uuid, and returns the event. The
/// counters must count exactly this call.
///
/// # Errors
/// The status of a capture that did not take its event.
pub fn capture(
    call: impl FnOnce(*mut phc_client, *mut c_char) -> phc_status,
) -> Result<Captured, phc_status> {
    const UNTOUCHED: c_char = 0x7F;
    let client = *CLIENT as *mut phc_client;
    let mut uuid = [UNTOUCHED; PHC_UUID_SIZE];
    let before = stats(client);
    let status = call(client, uuid.as_mut_ptr());
    let after = stats(client);
    let refused = |stats: &phc_stats| stats.refused_by_status;
    if status != PHC_OK {
        assert!(!text(phc_last_error()).is_empty() && text(phc_last_error()).len() <= 1023);
        assert!(uuid.iter().all(|byte| *byte == UNTOUCHED), "a uuid of an event that was not taken");
        let mut expected = refused(&before);
        let slot = usize::try_from(status).ok().filter(|slot| *slot < PHC_STATUS_SLOTS);
        expected[slot.expect("a known status")] += 1;
        assert_eq!(refused(&after), expected);
        assert_eq!((after.captured, after.delivered), (before.captured, before.delivered));
        assert_eq!(next_event(client), None);
        return Err(status);
    }
    assert_eq!(refused(&after), refused(&before));
    assert_eq!((after.captured, after.delivered), (before.captured + 1, before.delivered + 1));
    let wire = next_event(client).expect("an event");
    assert_eq!(next_event(client), None);
    Ok(Captured {
        wire,
        uuid: text(uuid.as_ptr()),
        repaired: after.repaired > before.repaired,
        uuid_replaced: after.uuids_replaced > before.uuids_replaced,
    })
}

fn text(pointer: *const c_char) -> String {
    // SAFETY: the library returned the text, or wrote it into a buffer.
    unsafe { CStr::from_ptr(pointer) }.to_str().expect("UTF-8").to_owned()
}

fn stats(client: *const phc_client) -> phc_stats {
    // SAFETY: zeros are a value of a struct of numbers.
    let mut stats = unsafe { std::mem::zeroed::<phc_stats>() };
    // SAFETY: the client is never freed, and the struct is as long as is said.
    assert_eq!(unsafe { phc_stats_get(client, &raw mut stats, size_of::<phc_stats>()) }, PHC_OK);
    stats
}

/// Takes the oldest captured event, if there is one.
fn next_event(client: *mut phc_client) -> Option<String> {
    const UNTOUCHED: u8 = 0x7F;
    // SAFETY: the client is never freed, and NULL is a buffer of no bytes.
    let length = unsafe { phc_binding_next_test_event(client, std::ptr::null_mut(), 0) };
    if length == 0 {
        return None;
    }
    let mut buffer = vec![UNTOUCHED; length + 2];
    let place = buffer.as_mut_ptr().cast();
    // SAFETY: the buffer is longer than is said. One that is too small removes nothing.
    unsafe {
        assert_eq!(phc_binding_next_test_event(client, place, length), length);
        assert_eq!(phc_binding_next_test_event(client, place, length + 1), length);
    }
    assert_eq!((buffer.pop(), buffer.pop()), (Some(UNTOUCHED), Some(0)));
    Some(String::from_utf8(buffer).expect("UTF-8"))
}
