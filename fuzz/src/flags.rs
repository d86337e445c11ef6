//! Feature flags: any definitions and any person. What is accepted is JSON; a flag has the same value alone and among
//! all others; what is read agrees with the snapshot as a whole.

use std::ffi::{CStr, CString, c_char};
use std::ptr;

use phc::capi::client::{phc_client, phc_client_free, phc_client_new};
use phc::capi::config::{phc_config_free, phc_config_new, phc_config_set};
use phc::capi::flag_values::{
    PHC_FLAG_ABSENT, PHC_FLAG_FALSE, PHC_FLAG_RESOLVED, PHC_FLAG_VARIANT, phc_flag_detail,
};
use phc::capi::flags::{
    phc_flags, phc_flags_count, phc_flags_definitions_set, phc_flags_detail, phc_flags_enabled,
    phc_flags_evaluate, phc_flags_free, phc_flags_get, phc_flags_json, phc_flags_key,
    phc_flags_only_accessed, phc_flags_payload,
};
use phc::capi::flags_query::{
    phc_flags_query, phc_flags_query_add_context, phc_flags_query_add_key, phc_flags_query_free,
    phc_flags_query_new, phc_flags_query_set_device_id, phc_flags_query_set_group,
    phc_flags_query_set_person_json,
};
use phc::capi::status::{PHC_INVALID_JSON, PHC_OK, PHC_WOULD_WAIT};
use serde_json::Value;

/// Three lines: definitions; a person's properties; `distinct id, group key, device, context`, separated by tabs.
pub fn run(data: &[u8]) {
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let [definitions, person, rest] = [(); 3].map(|()| lines.next().unwrap_or_default());
    let mut texts = rest.splitn(4, |byte| *byte == b'\t').map(|text| {
        let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
        CString::new(&text[..end]).expect("no NUL")
    });
    let [id, group, device, context] = [(); 4].map(|()| texts.next().unwrap_or_default());
    // SAFETY: every pointer is that of a live object of its type, or of a text that ends in NUL.
    unsafe {
        let config = phc_config_new(c"phc_key".as_ptr());
        // Reads are captured, and sent nowhere.
        assert_eq!(phc_config_set(config, c"test_mode".as_ptr(), c"true".as_ptr()), PHC_OK);
        let client = phc_client_new(config, ptr::null_mut());
        phc_config_free(config);
        let status = phc_flags_definitions_set(client, definitions.as_ptr().cast(), definitions.len());
        assert!(matches!(status, PHC_OK | PHC_INVALID_JSON), "{status}");
        let query = || {
            let query = phc_flags_query_new(id.as_ptr());
            let status = phc_flags_query_set_person_json(query, person.as_ptr().cast(), person.len());
            assert!(matches!(status, PHC_OK | PHC_INVALID_JSON), "{status}");
            if !group.is_empty() {
                let properties = CString::new(person).unwrap_or_default();
                phc_flags_query_set_group(query, c"company".as_ptr(), group.as_ptr(), properties.as_ptr());
            }
            phc_flags_query_set_device_id(query, device.as_ptr());
            if !context.is_empty() {
                phc_flags_query_add_context(query, context.as_ptr());
            }
            query
        };
        if status == PHC_OK {
            check(client, &query);
        }
        phc_client_free(client);
    }
}

unsafe fn evaluate(client: *const phc_client, query: *mut phc_flags_query) -> (*mut phc_flags, bool) {
    let mut flags = ptr::null_mut();
    // SAFETY: as the caller's.
    let status = unsafe { phc_flags_evaluate(client, query, 0, &raw mut flags) };
    // SAFETY: it is not used again.
    unsafe { phc_flags_query_free(query) };
    assert!(matches!(status, PHC_OK | PHC_WOULD_WAIT) && !flags.is_null());
    (flags, status == PHC_OK)
}

unsafe fn text(pointer: *const c_char) -> Option<String> {
    // SAFETY: the library returned it.
    (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned())
}

/// Kind, variant, payload and detail of a flag.
type Read = (i32, Option<String>, Option<String>, [i64; 7]);

unsafe fn read(flags: *mut phc_flags, key: &CStr) -> Read {
    let (mut variant, mut length) = (ptr::null(), 0);
    // SAFETY: as the caller's, and places on the stack.
    unsafe {
        let mut detail: phc_flag_detail = std::mem::zeroed();
        assert_eq!(
            phc_flags_detail(flags, key.as_ptr(), &raw mut detail, size_of::<phc_flag_detail>()),
            PHC_OK
        );
        let kind = phc_flags_get(flags, key.as_ptr(), &raw mut variant);
        let payload = text(phc_flags_payload(flags, key.as_ptr(), &raw mut length));
        let enabled = phc_flags_enabled(flags, key.as_ptr(), 2);
        assert_eq!(
            enabled,
            match kind {
                PHC_FLAG_ABSENT => 2,
                PHC_FLAG_FALSE => 0,
                _ => 1,
            }
        );
        assert_eq!((detail.kind, kind == PHC_FLAG_VARIANT), (kind, !variant.is_null()));
        assert_eq!(detail.unresolved == PHC_FLAG_RESOLVED, kind != PHC_FLAG_ABSENT);
        let numbers = [
            detail.reason.into(),
            detail.condition_index.into(),
            detail.unresolved.into(),
            detail.has_experiment.into(),
            detail.is_local.into(),
            detail.id,
            detail.version,
        ];
        (kind, text(variant), payload, numbers)
    }
}

unsafe fn check(client: *const phc_client, query: &dyn Fn() -> *mut phc_flags_query) {
    // SAFETY: all are live until they are freed here.
    unsafe {
        let (all, is_complete) = evaluate(client, query());
        let count = phc_flags_count(all);
        let length = phc_flags_json(all, ptr::null_mut(), 0);
        let mut json = vec![0_u8; length + 1];
        assert_eq!(phc_flags_json(all, json.as_mut_ptr().cast(), json.len()), length);
        // A text with an escaped NUL in it ends there for C.
        if !json.windows(6).any(|part| part == b"\\u0000") {
            let tree: Value = serde_json::from_slice(&json[..length]).expect("JSON");
            let size = |name: &str| tree[name].as_object().expect("an object").len();
            assert_eq!((size("flags") + size("unresolved"), size("unresolved") == 0), (count, is_complete));
        }
        for index in 0..count {
            let key = CStr::from_ptr(phc_flags_key(all, index)).to_owned();
            let query = query();
            phc_flags_query_add_key(query, key.as_ptr());
            let (alone, _) = evaluate(client, query);
            // A key with a NUL in it cannot be asked for.
            if phc_flags_count(alone) == 1 {
                assert_eq!(read(all, &key), read(alone, &key));
                let accessed = phc_flags_only_accessed(alone);
                assert_eq!(phc_flags_count(accessed), 1);
                phc_flags_free(accessed);
            }
            phc_flags_free(alone);
        }
        phc_flags_free(all);
    }
}
