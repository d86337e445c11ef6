//! The files of machine code that are loaded.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::os::unix::ffi::OsStringExt;
use std::slice;

use super::loader::can_list_images;
use crate::memory::copied;
use crate::runtime::LoadedImage;

/// The type of the note that holds a build id, and the name of its owner.
const BUILD_ID: u32 = 3;
const OWNER: &[u8] = b"GNU\0";

struct Search {
    address: usize,
    found: Option<LoadedImage>,
}

/// The file of machine code that has this address, if there is one, and memory for its name.
pub(crate) fn loaded_image(address: usize) -> Option<LoadedImage> {
    if !can_list_images() {
        return None;
    }
    let mut search = Search { address, found: None };
    // SAFETY: the callback does not unwind, and gets the search, which outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(look_at), (&raw mut search).cast()) };
    let mut found = search.found?;
    if found.path.is_empty() {
        // The program itself.
        found.path = std::fs::read_link("/proc/self/exe")
            .map_or_else(|_| Vec::new(), |path| path.into_os_string().into_vec());
    }
    Some(found)
}

/// Looks at one file; returns whether the search is over.
unsafe extern "C" fn look_at(
    info: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    search: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: the caller passes a description that is valid during this call, and the search of `loaded_image`.
    let (info, search) = unsafe { (&*info, &mut *search.cast::<Search>()) };
    // SAFETY: the description has the file's program headers, so many of them, which stay while it is loaded.
    let headers = unsafe { slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    let loaded = || headers.iter().filter(|header| header.p_type == libc::PT_LOAD);
    let base = usize_of(info.dlpi_addr);
    let has_it = |header: &&Header| {
        let offset = search.address.wrapping_sub(base.wrapping_add(usize_of(header.p_vaddr)));
        offset < usize_of(header.p_memsz)
    };
    if !loaded().any(|header| has_it(&header)) {
        return 0;
    }
    let linked_at = loaded().map(|header| usize_of(header.p_vaddr)).min().unwrap_or_default();
    let end =
        loaded().map(|header| usize_of(header.p_vaddr) + usize_of(header.p_memsz)).max().unwrap_or_default();
    let path = if info.dlpi_name.is_null() {
        b""
    } else {
        // SAFETY: the name ends in NUL, and stays while the file is loaded.
        unsafe { CStr::from_ptr(info.dlpi_name) }.to_bytes()
    };
    // Notes may be in the file only.
    let is_loaded = |notes: &&Header| loaded().any(|segment| is_inside(notes, segment));
    let mut notes = headers.iter().filter(|header| header.p_type == libc::PT_NOTE).filter(is_loaded);
    let build_id = notes.find_map(|header| {
        let notes = base.wrapping_add(usize_of(header.p_vaddr)) as *const u8;
        // SAFETY: the notes are in a segment that is loaded and readable, and nothing writes to notes.
        build_id_in(unsafe { slice::from_raw_parts(notes, usize_of(header.p_memsz)) })
    });
    if let (Ok(path), Ok(build_id)) = (copied(path, 0), copied(build_id.unwrap_or_default(), 0)) {
        let start = base.wrapping_add(linked_at);
        search.found = Some(LoadedImage { start, size: end - linked_at, linked_at, path, build_id });
    }
    1
}

/// Whether these notes are in this segment, and can be read.
fn is_inside(notes: &Header, segment: &Header) -> bool {
    let offset = usize_of(notes.p_vaddr).checked_sub(usize_of(segment.p_vaddr));
    let end = offset.and_then(|offset| offset.checked_add(usize_of(notes.p_memsz)));
    segment.p_flags & libc::PF_R != 0 && end.is_some_and(|end| end <= usize_of(segment.p_memsz))
}

/// Addresses have the size of a pointer, whatever the type of the field.
#[allow(clippy::cast_possible_truncation, reason = "the fields are 32 bits wide where pointers are")]
fn usize_of(field: impl Into<u64>) -> usize {
    field.into() as usize
}

#[cfg(target_pointer_width = "64")]
type Header = libc::Elf64_Phdr;
#[cfg(target_pointer_width = "32")]
type Header = libc::Elf32_Phdr;

/// The build id among these notes. A note is the lengths of its owner's name and of its content, its type, the name
/// and the content, both padded to four bytes.
fn build_id_in(mut notes: &[u8]) -> Option<&[u8]> {
    loop {
        let (header, rest) = notes.split_first_chunk::<12>()?;
        let [name, content, kind] = *<&[[u8; 4]; 3]>::try_from(header.as_chunks::<4>().0).ok()?;
        let length = |field: [u8; 4]| usize::try_from(u32::from_ne_bytes(field)).ok();
        let (name, rest) = split_padded(rest, length(name)?)?;
        let (content, rest) = split_padded(rest, length(content)?)?;
        if u32::from_ne_bytes(kind) == BUILD_ID && name == OWNER {
            return Some(content);
        }
        notes = rest;
    }
}

fn split_padded(bytes: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    let rest = bytes.get(length.checked_next_multiple_of(4)?..).unwrap_or_default();
    Some((bytes.get(..length)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(owner: &[u8], kind: u32, content: &[u8]) -> Vec<u8> {
        let mut note = Vec::new();
        for field in [owner.len(), content.len()] {
            note.extend(u32::try_from(field).unwrap().to_ne_bytes());
        }
        note.extend(kind.to_ne_bytes());
        for part in [owner, content] {
            note.extend(part);
            note.resize(note.len().next_multiple_of(4), 0);
        }
        note
    }

    #[test]
    fn the_build_id_is_found_among_other_notes() {
        let id: Vec<u8> = (0..20).collect();
        let others = [note(b"Linux\0", 3, b"x"), note(b"GNU\0", 1, b"abi")].concat();
        let notes = [others.clone(), note(OWNER, BUILD_ID, &id)].concat();
        assert_eq!(build_id_in(&notes), Some(id.as_slice()));
        assert_eq!(build_id_in(&others), None);
        // Of a note that is cut off, nothing is read.
        for end in others.len()..notes.len() {
            assert_eq!(build_id_in(&notes[..end]), None, "{end} bytes");
        }
        assert_eq!(build_id_in(&[0xFF; 64]), None);
    }

    fn header(kind: u32, flags: u32, start: usize, size: usize) -> Header {
        // SAFETY: the fields are numbers.
        let mut header: Header = unsafe { std::mem::zeroed() };
        (header.p_type, header.p_flags) = (kind, flags);
        (header.p_vaddr, header.p_memsz) = (start.try_into().unwrap(), size.try_into().unwrap());
        header
    }

    #[test]
    fn notes_that_are_not_loaded_are_not_read() {
        let notes = note(OWNER, BUILD_ID, b"twenty bytes of one.");
        let (start, size) = (notes.as_ptr().addr(), notes.len());
        for (flags, from, to, expected) in [
            (libc::PF_R, 0, size, true),
            (libc::PF_R | libc::PF_W, 0, size, true),
            (libc::PF_X, 0, size, false),
            (libc::PF_R, 1, size, false),
            (libc::PF_R, 0, size - 1, false),
            (libc::PF_R, size, size + 1, false),
        ] {
            let headers = [
                header(libc::PT_LOAD, flags, start + from, to - from),
                header(libc::PT_NOTE, libc::PF_R, start, size),
            ];
            // SAFETY: the fields are numbers and pointers that may be NULL.
            let mut info: libc::dl_phdr_info = unsafe { std::mem::zeroed() };
            (info.dlpi_phdr, info.dlpi_phnum) = (headers.as_ptr(), 2);
            let mut search = Search { address: start + from, found: None };
            // SAFETY: the description and the search are valid during the call.
            assert_eq!(unsafe { look_at(&raw mut info, 0, (&raw mut search).cast()) }, 1);
            let build_id = search.found.unwrap().build_id;
            assert_eq!(!build_id.is_empty(), expected, "{flags} {from}..{to} of {size}");
        }
    }

    #[test]
    fn an_address_is_found_in_its_file() {
        let program = loaded_image(note as *const () as usize).unwrap();
        assert!(program.contains(note as *const () as usize));
        assert!(program.path.starts_with(b"/"), "{program:?}");
        assert!(!program.is_of_system());
        let libc = loaded_image(libc::strlen as *const () as usize).unwrap();
        assert_ne!(libc.start, program.start);
        assert!(libc.is_of_system(), "{libc:?}");
        assert!(loaded_image(1).is_none());
    }
}
