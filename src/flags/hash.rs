//! The hash that puts a person or a group at a place between 0 and 1.

use sha1::block_api::compress;

const BLOCK: usize = 64;
/// The state with which SHA-1 begins (RFC 3174, section 6.1).
const INITIAL: [u32; 5] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];
/// 2^60, which is what 2^60 − 1 is as a double.
const SCALE: f64 = 1_152_921_504_606_846_976.0;

/// The first 60 bits of the SHA-1 of these texts, one after the other, as a part of 1. Nothing is allocated: most
/// texts fit into one block.
pub(super) fn hash(parts: [&str; 4]) -> f64 {
    let mut state = INITIAL;
    let mut block = [0; BLOCK];
    let (mut used, mut length) = (0_usize, 0_u64);
    for part in parts {
        let mut rest = part.as_bytes();
        length += rest.len() as u64;
        while !rest.is_empty() {
            let (now, later) = rest.split_at_checked(BLOCK - used).unwrap_or((rest, &[]));
            if let Some(free) = block.get_mut(used..used + now.len()) {
                free.copy_from_slice(now);
            }
            (used, rest) = (used + now.len(), later);
            if used == BLOCK {
                compress(&mut state, &[block]);
                used = 0;
            }
        }
    }
    if let Some(end) = block.get_mut(used..) {
        end.fill(0);
    }
    if let Some(mark) = block.get_mut(used) {
        *mark = 0x80;
    }
    if used >= BLOCK - 8 {
        compress(&mut state, &[block]);
        block = [0; BLOCK];
    }
    if let Some(count) = block.last_chunk_mut() {
        *count = (length * 8).to_be_bytes();
    }
    compress(&mut state, &[block]);
    let [first, second, ..] = state;
    let bits = (u64::from(first) << 32 | u64::from(second)) >> 4;
    #[allow(clippy::cast_precision_loss, reason = "rounded to the nearest double, as everywhere")]
    let number = bits as f64;
    number / SCALE
}

#[cfg(test)]
#[allow(clippy::cast_precision_loss, reason = "as the library")]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

    #[test]
    fn it_is_sha_1_of_any_length() {
        let text: String = ('!'..='~').cycle().take(200).collect();
        for length in 0..=200 {
            for split in [0, length / 3, length] {
                let whole = &text[..length];
                let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, whole.as_bytes());
                let bits = u64::from_be_bytes(*digest.as_ref().first_chunk().unwrap()) >> 4;
                let parts = [&whole[..split], "", &whole[split..], ""];
                assert_eq!(hash(parts).to_bits(), (bits as f64 / SCALE).to_bits(), "{length} {split}");
            }
        }
    }

    #[test]
    fn it_is_exactly_what_is_published() {
        for (text, expected) in [
            ("beta-search.user-17", 0.009_101_217_133_290_002),
            ("beta-search-rollout.user-105", 0.285_129_539_929_300_7),
            ("beta-search-rollout.user-61", 0.004_230_598_914_404_695_5),
            ("checkout-layout.user-61variant", 0.569_825_222_454_771_3),
            ("checkout-layout.user-17variant", 0.136_780_691_132_103_06),
            ("holdout-user-31", 0.019_474_541_300_759_9),
            ("holdout-user-77", 0.125_602_947_695_356_1),
            ("release.v2.a.bvariant", 0.763_188_611_873_080_6),
            ("beta-search.", 0.621_196_941_324_985_4),
            ("beta-search.variant", 0.695_351_874_980_810_9),
            ("holdout-", 0.926_882_948_392_029_4),
            ("beta-search.ünïcødé-😀", 0.741_521_257_800_715_2),
            ("org-dashboard.42", 0.599_746_605_166_016_7),
            ("org-dashboard.org-9", 0.575_311_944_422_296_3),
            ("org-dashboard.org-12", 0.672_735_187_887_199_9),
            ("checkout-experiment.user-77variant", 0.962_581_340_334_877_5),
            ("simple-flag.distinct_id_0", 0.783_696_376_422_043_2),
            ("simple-flag.distinct_id_1", 0.339_706_992_699_540_1),
            ("multivariate-flag.distinct_id_0", 0.502_037_796_130_735),
            ("multivariate-flag.distinct_id_0variant", 0.618_645_453_793_037_9),
        ] {
            assert_eq!(hash([text, "", "", ""]).to_bits(), f64::to_bits(expected), "{text}");
        }
    }

    /// The results of a thousand persons that the official libraries have in their tests, by their SHA-256.
    #[test]
    fn a_thousand_persons_are_where_the_official_libraries_put_them() {
        let of = |results: String| -> String {
            digest(&SHA256, results.as_bytes()).as_ref().iter().fold(String::new(), |mut text, byte| {
                write!(text, "{byte:02x}").unwrap();
                text
            })
        };
        let simple = (0..1000).map(|i| {
            let id = format!("distinct_id_{i}");
            if hash(["simple-flag", ".", &id, ""]) <= 0.45 { '1' } else { '0' }
        });
        assert_eq!(of(simple.collect()), "e8d170e18078f6c80b2cfb3cdf1bb69b7ec76d68481106c9b5147a6816e17d2e");
        let variants = (0..1000).map(|i| {
            let id = format!("distinct_id_{i}");
            if hash(["multivariate-flag", ".", &id, ""]) > 0.55 {
                return '0';
            }
            let place = hash(["multivariate-flag", ".", &id, "variant"]);
            let ends = [0.5, 0.7, 0.9, 0.95, 1.0];
            char::from(b'1' + u8::try_from(ends.iter().position(|end| place < *end).unwrap()).unwrap())
        });
        assert_eq!(
            of(variants.collect()),
            "479afd6ad01da74da9efd3529b61e9128549fbd484c3eb733445f6f0cf64fd35"
        );
    }
}
