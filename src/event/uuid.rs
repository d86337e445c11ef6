//! UUIDs: version 7 (RFC 9562, section 5.7) from buffered randomness, and their text.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use uuid::Uuid;
use wide::u8x16;

use crate::runtime::DeferredCancellation;
use crate::status::{Error, Status};

/// The text of a uuid in canonical form (RFC 9562 section 4): lower case, hyphens.
pub(crate) const UUID_TEXT: usize = 36;

/// Random bytes of one uuid.
const RANDOM: usize = 10;
/// How many uuids one request to the system serves. A request takes some microseconds, so that far fewer
/// than one capture in a hundred meets it.
const BUFFERED: usize = 256;

/// Makes uuids from a buffer of random bytes. The system is asked for a key only, and a cipher makes the
/// bytes from it: a system call for each uuid would cost more than encoding the event, and the kernel
/// takes four times as long to make all the bytes itself.
///
/// Only the first uuid of each millisecond takes random bytes; those after it count up from there, as RFC 9562 proposes
/// (section 6.2, method 2). So the uuids of one source rise as long as the clock does.
///
/// It must not survive a fork: the child would make the uuids of its parent again.
pub(crate) struct UuidSource {
    bytes: [u8; RANDOM * BUFFERED],
    used: usize,
    /// The last uuid, and the millisecond in it.
    last: Uuid,
    last_ms: i64,
}

impl UuidSource {
    /// An empty buffer; the first uuid fills it.
    #[allow(clippy::new_without_default, reason = "a default should not be a source of randomness")]
    pub(crate) const fn new() -> Self {
        UuidSource { bytes: [0; RANDOM * BUFFERED], used: BUFFERED, last: Uuid::nil(), last_ms: i64::MIN }
    }

    fn next(&mut self) -> Result<[u8; RANDOM], Error> {
        if self.used >= BUFFERED {
            self.fill()?;
        }
        let bytes = self.bytes.as_chunks::<RANDOM>().0.get(self.used).copied().unwrap_or_default();
        self.used += 1;
        Ok(bytes)
    }

    /// Fills the buffer with the key stream of ChaCha20 (RFC 8439), which is what zeros become. Each key is
    /// used once, so the nonce may always be the same.
    #[inline(never)]
    fn fill(&mut self) -> Result<(), Error> {
        let failed = |why: &dyn std::fmt::Display| {
            Error::new(
                Status::OUT_OF_RESOURCES,
                format_args!("the system has no randomness for a uuid: {why}"),
            )
        };
        let mut key = [0; 32];
        {
            let _deferred = DeferredCancellation::begin();
            getrandom::fill(&mut key).map_err(|error| failed(&error))?;
        }
        let key = UnboundKey::new(&CHACHA20_POLY1305, &key).map_err(|error| failed(&error))?;
        self.bytes.fill(0);
        let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
        // The tag is for decryption, which is not wanted.
        let _tag = LessSafeKey::new(key)
            .seal_in_place_separate_tag(nonce, Aad::empty(), &mut self.bytes)
            .map_err(|error| failed(&error))?;
        self.used = 0;
        Ok(())
    }

    /// A new version 7 uuid for this instant, in milliseconds since the Unix epoch. Fails with
    /// [`Status::OUT_OF_RESOURCES`] when the system has no randomness.
    #[inline]
    pub(crate) fn uuid_v7(&mut self, unix_ms: i64) -> Result<Uuid, Error> {
        let following = (unix_ms == self.last_ms).then(|| following(self.last)).flatten();
        let uuid = match following {
            Some(uuid) => uuid,
            None => version_7(u64::try_from(unix_ms).unwrap_or(0), self.next()?),
        };
        (self.last, self.last_ms) = (uuid, unix_ms);
        Ok(uuid)
    }
}

/// 48 bits of the instant, the version, 12 random bits, the variant and 62 random bits (RFC 9562, section 5.7).
/// Two words at once: the crate's builder goes byte by byte, which is a hundredth of a capture.
#[inline]
fn version_7(unix_ms: u64, random: [u8; RANDOM]) -> Uuid {
    let [first, second, rest @ ..] = random;
    let high = unix_ms << 16 | 0x7000 | u64::from(u16::from_be_bytes([first, second]) & 0x0FFF);
    let low = 1 << 63 | u64::from_be_bytes(rest) & (u64::MAX >> 2);
    Uuid::from_u64_pair(high, low)
}

/// The next uuid of the same millisecond, if the bits behind the variant can be counted up.
#[inline]
fn following(uuid: Uuid) -> Option<Uuid> {
    let (high, low) = uuid.as_u64_pair();
    let counted = low.wrapping_add(1);
    (counted << 2 != 0).then(|| Uuid::from_u64_pair(high, counted))
}

/// Writes the uuid's canonical text. Each event needs it at its capture and again when the response is
/// compared with it, so all digits are made at once.
#[inline]
pub(crate) fn write_uuid(uuid: Uuid, text: &mut [u8; UUID_TEXT]) {
    const LOW: u128 = u128::from_ne_bytes([0x0F; 16]);
    let digits = |nibbles: u128| {
        let nibbles = u8x16::new(nibbles.to_ne_bytes());
        let letter = nibbles.simd_gt(u8x16::splat(9)) & u8x16::splat(b'a' - b'9' - 1);
        nibbles + u8x16::splat(b'0') + letter
    };
    let bytes = u128::from_ne_bytes(*uuid.as_bytes());
    let (high, low) = (digits((bytes >> 4) & LOW), digits(bytes & LOW));
    let first = u8x16::unpack_low(high, low).to_array();
    let second = u8x16::unpack_high(high, low).to_array();
    *text = [b'-'; UUID_TEXT];
    text[..8].copy_from_slice(&first[..8]);
    text[9..13].copy_from_slice(&first[8..12]);
    text[14..18].copy_from_slice(&first[12..]);
    text[19..23].copy_from_slice(&second[..4]);
    text[24..].copy_from_slice(&second[4..]);
}

/// Reads a uuid in any spelling (with or without hyphens, in braces, as a URN); the canonical spelling is
/// read fastest.
#[inline]
pub(crate) fn parse_uuid(text: &[u8]) -> Option<Uuid> {
    let canonical = <&[u8; UUID_TEXT]>::try_from(text).ok().and_then(parse_canonical);
    canonical.or_else(|| Uuid::try_parse_ascii(text).ok())
}

/// Reads the text that [`write_uuid`] writes, in either case.
#[inline]
pub(crate) fn parse_canonical(text: &[u8; UUID_TEXT]) -> Option<Uuid> {
    if [text[8], text[13], text[18], text[23]] != [b'-'; 4] {
        return None;
    }
    let mut digits = [[0; 16]; 2];
    digits[0][..8].copy_from_slice(&text[..8]);
    digits[0][8..12].copy_from_slice(&text[9..13]);
    digits[0][12..].copy_from_slice(&text[14..18]);
    digits[1][..4].copy_from_slice(&text[19..23]);
    digits[1][4..].copy_from_slice(&text[24..]);
    let (mut wrong, mut halves) = (u8x16::splat(0), [0; 2]);
    for (half, digits) in halves.iter_mut().zip(digits) {
        let digits = u8x16::new(digits);
        let numeral = digits - u8x16::splat(b'0');
        let letter = (digits | u8x16::splat(0x20)) - u8x16::splat(b'a');
        let is_numeral = numeral.min(u8x16::splat(9)).simd_eq(numeral);
        wrong |= !(is_numeral | letter.min(u8x16::splat(5)).simd_eq(letter));
        let nibbles = is_numeral.bitselect(numeral, letter + u8x16::splat(10)).to_array();
        *half = nibbles.as_chunks().0.iter().fold(0, |half, eight| half << 32 | packed(*eight));
    }
    (wrong.to_bitmask() == 0).then(|| Uuid::from_u64_pair(halves[0], halves[1]))
}

/// Eight bytes of a nibble each, as four bytes.
fn packed(nibbles: [u8; 8]) -> u64 {
    let nibbles = u64::from_be_bytes(nibbles);
    let bytes = (nibbles | nibbles >> 4) & 0x00FF_00FF_00FF_00FF;
    let twos = (bytes | bytes >> 8) & 0x0000_FFFF_0000_FFFF;
    (twos | twos >> 16) & 0xFFFF_FFFF
}

/// What the caller gave as an event's uuid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum GivenUuid {
    /// Nothing.
    #[default]
    None,
    /// A uuid, in any spelling.
    Valid(Uuid),
    /// Something that is not a uuid and is replaced.
    Invalid,
}

impl GivenUuid {
    /// Reads the text, with white space around it or not.
    pub(super) fn parse(text: &str) -> Self {
        parse_uuid(text.trim().as_bytes()).map_or(GivenUuid::Invalid, GivenUuid::Valid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn version_7_is_what_the_crate_makes_of_the_same_bits() {
        for seed in 0..10_000 {
            let mut random = Random::new(seed);
            let ms = random.next() >> 16;
            let bytes: [u8; RANDOM] = std::array::from_fn(|_| random.next().to_le_bytes()[7]);
            let expected = uuid::Builder::from_unix_timestamp_millis(ms, &bytes).into_uuid();
            assert_eq!(version_7(ms, bytes), expected);
        }
    }

    #[test]
    fn uuids_are_version_7_of_their_instant_and_distinct() {
        let mut source = UuidSource::new();
        let made: Vec<_> = (0..1000).map(|_| source.uuid_v7(1_700_000_000_123).unwrap()).collect();
        for uuid in &made {
            assert_eq!(uuid.get_version_num(), 7);
            assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
            assert_eq!(uuid.as_u128() >> 80, 1_700_000_000_123);
        }
        let distinct: std::collections::HashSet<_> = made.iter().collect();
        assert_eq!(distinct.len(), made.len());
    }

    #[test]
    fn the_uuids_of_a_source_rise_and_each_millisecond_begins_anew() {
        let mut source = UuidSource::new();
        let made: Vec<_> =
            (0..30_000).map(|i| source.uuid_v7(1_700_000_000_123 + i / 100).unwrap()).collect();
        assert!(made.is_sorted_by(|a, b| a < b));
        let begins: Vec<_> = made.iter().step_by(100).map(|uuid| uuid.as_u128() & u128::MAX >> 54).collect();
        // Their random parts are farther apart than what is counted up from one to the next.
        assert!(begins.windows(2).all(|pair| pair[0].abs_diff(pair[1]) > 1 << 20));
    }

    #[test]
    fn a_count_ends_before_the_bits_of_the_variant() {
        let uuid = |low: u64| Uuid::from_u64_pair(0x0190_0000_0000_7000, low);
        assert_eq!(following(uuid(1 << 63)), Some(uuid(1 << 63 | 1)));
        assert_eq!(following(uuid(u64::MAX >> 2 | 1 << 63)), None);
        let before_last = uuid((u64::MAX >> 2 | 1 << 63) - 1);
        assert_eq!(following(before_last).map(|last| last.get_variant()), Some(uuid::Variant::RFC4122));
    }

    #[test]
    fn writes_uuids_in_canonical_form() {
        let mut source = UuidSource::new();
        let made = (0..1000).map(|_| source.uuid_v7(1_700_000_000_123).unwrap());
        for uuid in
            made.chain([Uuid::nil(), Uuid::max(), Uuid::from_u128(0x0011_2233_4455_6677_8899_AABB_CCDD_EEFF)])
        {
            let mut text = [0; UUID_TEXT];
            write_uuid(uuid, &mut text);
            assert_eq!(text, uuid.hyphenated().to_string().as_bytes());
            assert_eq!(parse_uuid(&text), Some(uuid));
            assert_eq!(parse_uuid(&text.to_ascii_uppercase()), Some(uuid));
            assert_eq!(parse_uuid(uuid.simple().to_string().as_bytes()), Some(uuid));
        }
    }

    #[test]
    fn refuses_what_is_not_a_uuid() {
        let sound = b"0190a5b4-7c3d-7abc-8def-0123456789ab";
        assert_eq!(parse_uuid(sound), Uuid::try_parse_ascii(sound).ok());
        for at in 0..UUID_TEXT {
            for byte in 0..=255 {
                let mut text = *sound;
                text[at] = byte;
                assert_eq!(parse_uuid(&text), Uuid::try_parse_ascii(&text).ok(), "{}", text.escape_ascii());
            }
        }
        assert_eq!(parse_uuid(b""), None);
    }
}
