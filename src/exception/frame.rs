//! One frame of a stack, as the server reads it.

use super::write::{address, flag, number, text};
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
                text(event, "platform", b"custom")?;
                text(event, "lang", language(file).as_bytes())?;
                for (key, value) in [("function", function), ("filename", file)] {
                    if !value.is_empty() {
                        text(event, key, value)?;
                    }
                }
                if *line > 0 {
                    number(event, "lineno", u64::from(*line))?;
                }
                flag(event, "in_app", *in_app)?;
                flag(event, "resolved", true)?;
            }
            Frame::Native(native) => native.write(event)?,
        }
        event.end()
    }
}

impl Native {
    fn write(&self, event: &mut EventBuilder) -> Result<(), Error> {
        text(event, "platform", b"native")?;
        address(event, "instruction_addr", self.address)?;
        if let Some((start, in_app)) = self.image {
            address(event, "image_addr", start)?;
            flag(event, "in_app", in_app)?;
        }
        if let Some((name, start)) = &self.symbol {
            address(event, "symbol_addr", *start)?;
            text(event, "function", name)?;
        }
        Ok(())
    }
}
