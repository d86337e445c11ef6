//! The files of machine code that the frames of an exception belong to, with the ids by which the server finds
//! their debug symbols: `posthog-cli symbol-sets upload` stores these under the same ids.

use uuid::Uuid;

use super::write::{address, number, text};
use crate::event::EventBuilder;
use crate::memory::{NoMemory, reserve};
use crate::runtime::LoadedImage;
use crate::status::Error;

/// The name of the processor, as the server has it.
const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { std::env::consts::ARCH };

/// Sets `$debug_images`, if there is an image with an id. One without has no symbols either.
pub(super) fn write_all(event: &mut EventBuilder, images: &[LoadedImage]) -> Result<(), Error> {
    let mut with_id = images.iter().filter(|image| !image.build_id.is_empty()).peekable();
    if with_id.peek().is_none() {
        return Ok(());
    }
    event.begin_array(Some(b"$debug_images"))?;
    for image in with_id {
        event.begin_object(None)?;
        write(event, image)?;
        event.end()?;
    }
    event.end()
}

fn write(event: &mut EventBuilder, image: &LoadedImage) -> Result<(), Error> {
    text(event, "type", b"elf")?;
    let mut buffer = Uuid::encode_buffer();
    let id = debug_id(&image.build_id).hyphenated().encode_lower(&mut buffer);
    text(event, "debug_id", id.as_bytes())?;
    text(event, "code_id", &hex(&image.build_id)?)?;
    address(event, "image_addr", image.start)?;
    number(event, "image_size", image.size as u64)?;
    address(event, "image_vmaddr", image.linked_at)?;
    if !image.path.is_empty() {
        text(event, "code_file", &image.path)?;
    }
    text(event, "arch", ARCHITECTURE.as_bytes())
}

/// The first 16 bytes of a build id, as a uuid of a machine with the other byte order.
fn debug_id(build_id: &[u8]) -> Uuid {
    let mut bytes = [0; 16];
    for (byte, given) in bytes.iter_mut().zip(build_id) {
        *byte = *given;
    }
    if cfg!(target_endian = "little") { Uuid::from_bytes_le(bytes) } else { Uuid::from_bytes(bytes) }
}

fn hex(bytes: &[u8]) -> Result<Vec<u8>, NoMemory> {
    let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' + value - 10 };
    let mut text = Vec::new();
    reserve(&mut text, 2 * bytes.len())?;
    text.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debug_id_is_the_build_id_with_three_swapped_fields() {
        let build_id: Vec<u8> = (1..=20).collect();
        assert_eq!(debug_id(&build_id).to_string(), "04030201-0605-0807-090a-0b0c0d0e0f10");
        assert_eq!(debug_id(&[0xAB, 0xCD]).to_string(), "0000cdab-0000-0000-0000-000000000000");
        assert_eq!(hex(&build_id).unwrap(), b"0102030405060708090a0b0c0d0e0f1011121314");
    }
}
