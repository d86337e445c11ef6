//! The library stays loaded, as `-z nodelete` sees to it elsewhere.
#![allow(unsafe_code)]

use std::ffi::c_void;

use crate::status::{Error, Status};

/// Takes the module that an address belongs to, not one of a name.
const FROM_ADDRESS: u32 = 0x4;
/// Keeps the module loaded until the process ends, however often it is freed.
const PIN: u32 = 0x1;

#[link(name = "kernel32")]
unsafe extern "system" {
    fn GetModuleHandleExW(flags: u32, address: *const c_void, module: *mut *mut c_void) -> i32;
}

/// Keeps the module that this code is in, the DLL or what it is linked into, loaded for the life
/// of the process: threads of the library and destructors of the host's threads run its code
/// after a `FreeLibrary`.
pub(crate) fn stay_loaded() -> Result<(), Error> {
    let mut module = std::ptr::null_mut();
    let here = stay_loaded as fn() -> Result<(), Error> as *const c_void;
    // SAFETY: the address is one of this module's code, which is loaded; the handle is written
    // to `module` and not used.
    if unsafe { GetModuleHandleExW(FROM_ADDRESS | PIN, here, &raw mut module) } != 0 {
        return Ok(());
    }
    let reason = std::io::Error::last_os_error();
    let text = format!("the library cannot be kept loaded (GetModuleHandleEx failed): {reason}");
    Err(Error::new(Status::OUT_OF_RESOURCES, text))
}
