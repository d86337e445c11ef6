//! Exceptions: what a program says of an error becomes a `$exception` event of error tracking.
//!
//! An [`Exception`] is a chain of entries, the exception itself first and then its causes, each with the
//! frames of a stack (`frame`). [`Exception::event`] writes the properties that the server reads; `image`
//! makes the ids by which it finds the debug symbols of native code. The shape is that of PostHog's
//! specification "exception event metadata".

mod frame;
mod image;
mod write;

use uuid::Uuid;

use crate::event::EventBuilder;
use crate::json::{NO_MEMORY, read_checked};
use crate::memory::{NoMemory, copied, reserve};
use crate::runtime::{self, LoadedImage};
use crate::status::{Error, Status};
use crate::suggest::did_you_mean;
use frame::{Frame, Native};
use write::{flag, number, text};

/// Entries of one chain. Further causes are left out: a chain with a circle in it would go on for ever.
const MAX_ENTRIES: usize = 50;
/// Frames of one entry. Those further out are left out.
const MAX_FRAMES: usize = 64;
/// Bytes of one text, such as a message. It is cut there, at a character.
const MAX_TEXT: usize = 16 * 1024;
/// Bytes of all texts and frames as they are sent. What comes later is left out, so that the event is not too large to be sent.
const MAX_BYTES: usize = 512 * 1024;

/// What an entry is called that has no type, which the server requires.
const UNTYPED: &[u8] = b"Error";

const LEVELS: [&str; 6] = ["fatal", "error", "warning", "log", "info", "debug"];

/// Properties that the server makes itself. They are not sent.
const MADE_BY_THE_SERVER: &[&str] = &[
    "$exception_types",
    "$exception_values",
    "$exception_sources",
    "$exception_functions",
    "$exception_issue_id",
    "$exception_fingerprint_record",
    "$exception_release",
    "$exception_handled",
    "$cymbal_errors",
];

/// An exception that is being described. Each function that adds to it fails with
/// [`Status::OUT_OF_RESOURCES`] when there is no memory, and then changes nothing.
#[derive(Debug)]
pub(crate) struct Exception {
    /// Never empty: the exception itself, then its causes.
    entries: Vec<Entry>,
    /// The files of machine code that frames belong to.
    images: Vec<LoadedImage>,
    level: &'static str,
    handled: bool,
    /// Texts of the event itself, in the order of [`EVENT_TEXTS`]; empty where not set.
    texts: [Vec<u8>; EVENT_TEXTS.len()],
    /// Of all texts and frames.
    bytes: usize,
    /// Whether a cause was left out. What belongs to it, and the causes further away, are left out, too.
    is_cut: bool,
    /// Whether a frame that was given as JSON had to be repaired.
    repaired: bool,
}

/// What [`Exception::set`] sets of the event, and the property that it becomes.
const EVENT_TEXTS: [(&str, &str); 3] = [
    ("fingerprint", "$exception_fingerprint"),
    ("source", "$exception_source"),
    ("release_id", "$release_id"),
];

/// The other names that [`Exception::set`] knows.
const OTHER_NAMES: [&str; 6] = ["level", "handled", "synthetic", "mechanism", "module", "thread_id"];

#[derive(Debug, Default)]
struct Entry {
    kind: Vec<u8>,
    value: Vec<u8>,
    module: Vec<u8>,
    thread_id: Option<u64>,
    /// How the exception was caught; empty is `generic`, or `chained` for a cause.
    mechanism: Vec<u8>,
    /// How a cause belongs to the entry before it.
    source: Vec<u8>,
    synthetic: bool,
    /// Innermost first, as stacks are walked.
    frames: Vec<Frame>,
    /// Whether a frame was left out, as those further out are then, too.
    is_cut: bool,
}

impl Exception {
    /// An exception with a type, such as the name of its class, and a message.
    pub(crate) fn new(kind: &[u8], value: &[u8]) -> Result<Self, Error> {
        let mut exception = Exception {
            entries: Vec::new(),
            images: Vec::new(),
            level: "error",
            handled: true,
            texts: Default::default(),
            bytes: 0,
            is_cut: false,
            repaired: false,
        };
        exception.add_cause(kind, value, b"")?;
        Ok(exception)
    }

    /// Adds what caused the entry before. What is set or added from now on belongs to it.
    pub(crate) fn add_cause(&mut self, kind: &[u8], value: &[u8], source: &[u8]) -> Result<(), Error> {
        if self.is_cut {
            return Ok(());
        }
        reserve(&mut self.entries, 1)?;
        let kind = if kind.trim_ascii().is_empty() { UNTYPED } else { kind };
        let mut bytes = self.bytes;
        let entry = Entry {
            kind: fitting_copy(kind, &mut bytes)?,
            source: fitting_copy(source, &mut bytes)?,
            value: fitting_copy(value, &mut bytes)?,
            ..Entry::default()
        };
        self.is_cut = self.entries.len() >= MAX_ENTRIES || entry.kind.trim_ascii().is_empty();
        if !self.is_cut {
            self.entries.push(entry);
            self.bytes = bytes;
        }
        Ok(())
    }

    /// Sets a fact about the event ([`EVENT_TEXTS`], `level`, `handled`) or about the latest entry (`synthetic`,
    /// `mechanism`, `module`, `thread_id`). A name or a value that is not known fails with
    /// [`Status::INVALID_ARGUMENT`].
    pub(crate) fn set(&mut self, name: &str, value: &[u8]) -> Result<(), Error> {
        if let Some(slot) = EVENT_TEXTS.iter().position(|(known, _)| *known == name) {
            return match self.texts.get_mut(slot) {
                Some(slot) => Ok(replace(slot, value, &mut self.bytes)?),
                None => Ok(()),
            };
        }
        match name {
            "level" => self.level = one_of(name, value, &LEVELS)?,
            "handled" => self.handled = truth(name, value)?,
            "synthetic" => {
                let synthetic = truth(name, value)?;
                self.latest(|entry, _| entry.synthetic = synthetic);
            }
            "mechanism" => {
                self.latest(|entry, bytes| replace(&mut entry.mechanism, value, bytes)).transpose()?;
            }
            "module" => {
                self.latest(|entry, bytes| replace(&mut entry.module, value, bytes)).transpose()?;
            }
            "thread_id" => {
                let number = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                let Some(number) = number else { return Err(bad_value(name, value, "a whole number")) };
                self.latest(|entry, _| entry.thread_id = Some(number));
            }
            _ => {
                let known = EVENT_TEXTS.iter().map(|(known, _)| *known).chain(OTHER_NAMES);
                let hint = did_you_mean(name, known);
                let text = format_args!("an exception has no {name:?}{hint}");
                return Err(Error::new(Status::INVALID_ARGUMENT, text));
            }
        }
        Ok(())
    }

    /// Changes the latest entry, unless that was left out. The change also gets how many bytes there are.
    fn latest<T>(&mut self, change: impl FnOnce(&mut Entry, &mut usize) -> T) -> Option<T> {
        let entry = self.entries.last_mut().filter(|_| !self.is_cut)?;
        Some(change(entry, &mut self.bytes))
    }

    /// Adds the next frame further out, of a language that reads its stack itself. `file` names the language.
    pub(crate) fn add_frame(
        &mut self,
        function: &[u8],
        file: &[u8],
        line: u32,
        in_app: bool,
    ) -> Result<(), Error> {
        if self.has_room() {
            let mut bytes = self.bytes;
            let (function, file) = (fitting_copy(function, &mut bytes)?, fitting_copy(file, &mut bytes)?);
            self.push(Frame::Source { function, file, line, in_app }, bytes)?;
        }
        Ok(())
    }

    /// Adds the next frame further out as JSON: an object with at least `platform`.
    pub(crate) fn add_frame_json(&mut self, json: &[u8]) -> Result<(), Error> {
        let mut has_platform = false;
        let sound = read_checked(json, |cursor| {
            let text = cursor.text();
            has_platform = false;
            // It becomes an element of an array, in an entry, in an array, in the properties, each a container.
            cursor.members(0, 5, |member| has_platform |= text.get(member.key.inside) == Some(b"platform"))
        })
        .map_err(|error| match error.what {
            NO_MEMORY => NoMemory.into(),
            _ => Error::new(Status::INVALID_JSON, format_args!("frame: {error}")),
        })?;
        if !has_platform {
            let text = "frame: `platform` is missing, by which the server knows how to read a frame";
            return Err(Error::new(Status::INVALID_JSON, text));
        }
        self.push(Frame::Json(copied(&sound.text, 0)?), self.bytes)?;
        self.repaired |= sound.repaired;
        Ok(())
    }

    /// Adds the next frame further out as the address of an instruction in this process.
    pub(crate) fn add_address(&mut self, address: usize) -> Result<(), Error> {
        if self.has_room() {
            self.learn_image(address)?;
            let image = image_of(&self.images, address);
            let frame = Native::new(address, image)?;
            self.push(Frame::Native(frame), self.bytes)?;
        }
        Ok(())
    }

    /// Adds the stack of the calling thread, from the function whose frame has `above` in it outwards without
    /// that, and without `skip` further frames.
    pub(crate) fn add_stack(&mut self, above: usize, skip: usize) -> Result<(), Error> {
        let mut addresses = [0; MAX_FRAMES];
        let count = runtime::walk_stack(above, skip, &mut addresses);
        addresses.iter().take(count).try_for_each(|address| self.add_address(*address))
    }

    /// The event. Without a distinct id it gets a random one, and makes no person.
    pub(crate) fn event(
        &self,
        distinct_id: Option<&[u8]>,
        properties: Option<&[u8]>,
    ) -> Result<Box<EventBuilder>, Error> {
        let mut random = Uuid::encode_buffer();
        let known = distinct_id.filter(|id| !id.trim_ascii().is_empty());
        let id = match known {
            Some(id) => id,
            None => random_uuid()?.hyphenated().encode_lower(&mut random).as_bytes(),
        };
        let mut event = EventBuilder::take(id, b"$exception")?;
        match self.fill(&mut event, known.is_none(), properties) {
            Ok(()) => Ok(event),
            Err(error) => {
                event.keep();
                Err(error)
            }
        }
    }

    /// What the program gave comes first, so that it cannot replace what is known here.
    fn fill(
        &self,
        event: &mut EventBuilder,
        personless: bool,
        properties: Option<&[u8]>,
    ) -> Result<(), Error> {
        if personless {
            flag(event, "$process_person_profile", false)?;
        }
        if let Some(properties) = properties {
            event.set_members(properties, MADE_BY_THE_SERVER)?;
        }
        for ((_, property), value) in EVENT_TEXTS.iter().zip(&self.texts) {
            if !value.is_empty() {
                text(event, property, value)?;
            }
        }
        if self.repaired {
            event.set_repaired();
        }
        text(event, "$exception_level", self.level.as_bytes())?;
        event.begin_array(Some(b"$exception_list"))?;
        for (id, entry) in self.entries.iter().enumerate() {
            event.begin_object(None)?;
            self.write_entry(event, id, entry)?;
            event.end()?;
        }
        event.end()?;
        image::write_all(event, &self.images)
    }

    fn write_entry(&self, event: &mut EventBuilder, id: usize, entry: &Entry) -> Result<(), Error> {
        text(event, "type", &entry.kind)?;
        text(event, "value", &entry.value)?;
        if !entry.module.is_empty() {
            text(event, "module", &entry.module)?;
        }
        if let Some(thread_id) = entry.thread_id {
            number(event, "thread_id", thread_id)?;
        }
        event.begin_object(Some(b"mechanism"))?;
        let default: &[u8] = if id == 0 { b"generic" } else { b"chained" };
        text(event, "type", if entry.mechanism.is_empty() { default } else { &entry.mechanism })?;
        flag(event, "handled", self.handled)?;
        if entry.synthetic {
            flag(event, "synthetic", true)?;
        }
        if self.entries.len() > 1 {
            number(event, "exception_id", id as u64)?;
        }
        if let Some(parent) = id.checked_sub(1) {
            let source: &[u8] = if entry.source.is_empty() { b"cause" } else { &entry.source };
            text(event, "source", source)?;
            number(event, "parent_id", parent as u64)?;
        }
        event.end()?;
        if entry.frames.is_empty() {
            return Ok(());
        }
        event.begin_object(Some(b"stacktrace"))?;
        text(event, "type", b"raw")?;
        event.begin_array(Some(b"frames"))?;
        // The server wants the outermost frame first.
        for frame in entry.frames.iter().rev() {
            frame.write(event)?;
        }
        event.end()?;
        event.end()
    }

    fn has_room(&self) -> bool {
        !self.is_cut
            && self.bytes < MAX_BYTES
            && self.entries.last().is_some_and(|entry| !entry.is_cut && entry.frames.len() < MAX_FRAMES)
    }

    /// Adds a frame, if it fits; `bytes` are there with the texts that were copied for it.
    fn push(&mut self, frame: Frame, bytes: usize) -> Result<(), NoMemory> {
        let bytes = bytes + frame.bytes();
        if self.has_room()
            && let Some(entry) = self.entries.last_mut()
        {
            entry.is_cut = bytes > MAX_BYTES;
            if !entry.is_cut {
                reserve(&mut entry.frames, 1)?;
                entry.frames.push(frame);
                self.bytes = bytes;
            }
        }
        Ok(())
    }

    fn learn_image(&mut self, address: usize) -> Result<(), NoMemory> {
        if image_of(&self.images, address).is_none() {
            reserve(&mut self.images, 1)?;
            self.images.extend(runtime::loaded_image(address));
        }
        Ok(())
    }
}

fn image_of(images: &[LoadedImage], address: usize) -> Option<&LoadedImage> {
    images.iter().find(|image| image.contains(address))
}

/// A copy of as much of a text as still fits. `bytes` are there already, and then those of the copy, too.
fn fitting_copy(text: &[u8], bytes: &mut usize) -> Result<Vec<u8>, NoMemory> {
    let (fits, written) = fitting(text, MAX_BYTES.saturating_sub(*bytes));
    let copy = copied(fits, 0)?;
    *bytes += written;
    Ok(copy)
}

/// Sets a text that may have been set before.
fn replace(slot: &mut Vec<u8>, text: &[u8], bytes: &mut usize) -> Result<(), NoMemory> {
    let mut others = *bytes - fitting(slot, MAX_BYTES).1;
    *slot = fitting_copy(text, &mut others)?;
    *bytes = others;
    Ok(())
}

/// As many characters of a text as [`MAX_TEXT`] allows and as fit into so many bytes of JSON, and how many bytes they
/// take there.
fn fitting(text: &[u8], left: usize) -> (&[u8], usize) {
    let (mut end, mut sent, mut written) = (0, 0, 0);
    let mut take = |given: usize, length: usize, escaped: usize| {
        let fits = sent + length <= MAX_TEXT && written + escaped <= left;
        if fits {
            (end, sent, written) = (end + given, sent + length, written + escaped);
        }
        fits
    };
    let all_fit = text.utf8_chunks().all(|chunk| {
        let invalid = chunk.invalid().len();
        let replaced = char::REPLACEMENT_CHARACTER.len_utf8();
        chunk
            .valid()
            .chars()
            .all(|character| take(character.len_utf8(), character.len_utf8(), escaped(character)))
            && (invalid == 0 || take(invalid, replaced, replaced))
    });
    if all_fit { (text, written) } else { (text.get(..end).unwrap_or_default(), written) }
}

/// How many bytes a character has in JSON.
fn escaped(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\x08' | '\x0c' => 2,
        '\0'..' ' => 6,
        _ => character.len_utf8(),
    }
}

fn one_of(name: &str, value: &[u8], known: &[&'static str]) -> Result<&'static str, Error> {
    let found = known.iter().find(|known| known.as_bytes() == value);
    found.copied().ok_or_else(|| bad_value(name, value, &known.join(", ")))
}

fn truth(name: &str, value: &[u8]) -> Result<bool, Error> {
    Ok(one_of(name, value, &["false", "true"])? == "true")
}

#[cold]
fn bad_value(name: &str, value: &[u8], expected: &str) -> Error {
    let shown = String::from_utf8_lossy(value.get(..100).unwrap_or(value));
    let text = format_args!("{name} = {shown:?}: expected {expected}");
    Error::new(Status::INVALID_ARGUMENT, text)
}

fn random_uuid() -> Result<Uuid, Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(
            Status::OUT_OF_RESOURCES,
            format_args!("the system has no randomness for a distinct_id: {error}"),
        )
    })?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
}

#[cfg(test)]
mod tests;
