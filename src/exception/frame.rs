//! One frame of a stack, as the server reads it.

use std::io::Write;

use crate::event::EventBuilder;
use crate::memory::{NoMemory, copied};
use crate::runtime::{self, LoadedImage};
use crate::status::Error;

#[derive(Debug)]
pub(super) enum Frame {
    /// A whole frame of any platform, as sound JSON.
    Json(Vec<u8>),
    /// A frame of which the source is known.
    Source { function: Vec<u8>, file: Vec<u8>, line: u32, in_app: bool },
    /// A frame that the server finds the source of.
    Native(Native),
}

/// An instruction in the memory of this process.
#[derive(Debug)]
pub(super) struct Native {
    address: usize,
    /// Where the file begins that it belongs to, and whether that is a part of the program.
    image: Option<(usize, bool)>,
    /// The name and the address of the exported function that it belongs to.
    symbol: Option<(Vec<u8>, usize)>,
}

impl Native {
    pub(super) fn new(address: usize, image: Option<&LoadedImage>) -> Result<Self, NoMemory> {
        // A return address may be the first byte of the next function.
        let copy = |name: &[u8], start| copied(name, 0).map(|name| (name, start));
        let symbol = runtime::with_symbol(address.saturating_sub(1), copy).transpose()?;
        Ok(Native { address, image: image.map(|image| (image.start, !image.is_of_system())), symbol })
    }
}

/// Languages by the endings of their files. What has another ending counts as C.
const LANGUAGES: [(&str, &str); 12] = [
    (".c", "c"),
    (".h", "c"),
    (".cc", "cpp"),
    (".cpp", "cpp"),
    (".cxx", "cpp"),
    (".hh", "cpp"),
    (".hpp", "cpp"),
    (".hxx", "cpp"),
    (".m", "objc"),
    (".mm", "objc"),
    (".rs", "rust"),
    (".swift", "swift"),
];

fn language(file: &[u8]) -> &'static str {
    let known = LANGUAGES.iter().find(|(ending, _)| file.ends_with(ending.as_bytes()));
    known.map_or("c", |(_, language)| language)
}

impl Frame {
    /// About how many bytes of the event it takes, without texts that an [`Exception`](super::Exception) has
    /// copied.
    pub(super) fn bytes(&self) -> usize {
        /// Of keys and numbers.
        const REST: usize = 128;
        REST + match self {
            Frame::Json(json) => json.len(),
            Frame::Source { .. } => 0,
            Frame::Native(native) => native.symbol.as_ref().map_or(0, |(name, _)| name.len()),
        }
    }

    /// Appends it to the array that is open.
    pub(super) fn write(&self, event: &mut EventBuilder) -> Result<(), Error> {
        if let Frame::Json(json) = self {
            return event.set_json(None, json);
        }
        event.begin_object(None)?;
        match self {
            Frame::Json(_) => {}
            Frame::Source { function, file, line, in_app } => {
                event.set_text(Some(b"platform"), b"custom")?;
                event.set_text(Some(b"lang"), language(file).as_bytes())?;
                for (key, text) in [("function", function), ("filename", file)] {
                    if !text.is_empty() {
                        event.set_text(Some(key.as_bytes()), text)?;
                    }
                }
                if *line > 0 {
                    event.set_unsigned(Some(b"lineno"), u64::from(*line))?;
                }
                event.set_bool(Some(b"in_app"), *in_app)?;
                event.set_bool(Some(b"resolved"), true)?;
            }
            Frame::Native(native) => native.write(event)?,
        }
        event.end()
    }
}

impl Native {
    fn write(&self, event: &mut EventBuilder) -> Result<(), Error> {
        event.set_text(Some(b"platform"), b"native")?;
        set_address(event, "instruction_addr", self.address)?;
        if let Some((start, in_app)) = self.image {
            set_address(event, "image_addr", start)?;
            event.set_bool(Some(b"in_app"), in_app)?;
        }
        if let Some((name, start)) = &self.symbol {
            set_address(event, "symbol_addr", *start)?;
            event.set_text(Some(b"function"), name)?;
        }
        Ok(())
    }
}

/// Sets an address as the server wants it, such as `0x7f10`.
pub(super) fn set_address(event: &mut EventBuilder, key: &str, address: usize) -> Result<(), Error> {
    let mut text = [0; 18];
    let mut rest = text.as_mut_slice();
    // It fits: two characters and sixteen digits at most.
    let _ = write!(rest, "{address:#x}");
    let length = 18 - rest.len();
    event.set_text(Some(key.as_bytes()), text.get(..length).unwrap_or_default())
}
