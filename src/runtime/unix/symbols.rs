//! The names of exported functions.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_void};

/// Calls `read` with the name and the address of the exported function that has this address, if there is one.
pub(crate) fn with_symbol<T>(address: usize, read: impl FnOnce(&[u8], usize) -> T) -> Option<T> {
    let mut info = libc::Dl_info {
        dli_fname: std::ptr::null(),
        dli_fbase: std::ptr::null_mut(),
        dli_sname: std::ptr::null(),
        dli_saddr: std::ptr::null_mut(),
    };
    // SAFETY: any address may be asked for, and the result is written to a place of ours.
    let found = unsafe { libc::dladdr(address as *const c_void, &raw mut info) } != 0;
    if !found || info.dli_sname.is_null() {
        return None;
    }
    // SAFETY: the name ends in NUL, and stays while its library is loaded: its function is on the stack, or the host has
    // promised so (`phc_exception_add_address`).
    let name = unsafe { CStr::from_ptr(info.dli_sname) };
    Some(read(name.to_bytes(), info.dli_saddr as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exported_function_has_a_name() {
        let getenv = libc::getenv as *const () as usize;
        let found =
            with_symbol(getenv + 1, |name, start| (String::from_utf8_lossy(name).into_owned(), start));
        let (name, start) = found.unwrap();
        assert!(name.ends_with("getenv") && start == getenv, "{name} {start:#x} {getenv:#x}");
        assert!(with_symbol(1, |_, _| ()).is_none());
    }
}
