//! Pseudo-random numbers that are the same each time. All made-up values of an organisation follow from them, so that
//! nothing has to be stored. Used by `resources.rs`, `organisation_spec.rs`, `issuer.rs` and the services.

/// The characters of standard base64, for secrets and page tokens.
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// The characters of AWS's key IDs (base32 of RFC 4648).
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Mixes a number so that close inputs have unrelated outputs (the finalizer of `SplitMix64`).
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Returns a number that follows from a text.
pub(crate) fn of_text(text: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    mix(hash)
}

/// Returns a number that follows from several and their order.
pub(crate) fn of_parts(parts: &[u64]) -> u64 {
    parts.iter().fold(0x5353_4f49_4e56, |hash, part| mix(hash ^ part.rotate_left(17)))
}

/// A sequence of numbers from a seed.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Returns a number from 0 to `limit - 1`; 0 for a limit of 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next().checked_rem(limit).unwrap_or(0)
    }

    /// Returns a number as `below` does, for lengths and indexes.
    pub(crate) fn index(&mut self, limit: usize) -> usize {
        usize::try_from(self.below(limit as u64)).unwrap_or(0)
    }

    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.index(of.len())]
    }

    /// Returns characters of an alphabet of `2^bits`, several from one number, since most made-up values are IDs.
    fn chars(&mut self, alphabet: &[u8], bits: u32, count: usize) -> String {
        let mut text = String::with_capacity(count);
        let (mut number, mut left) = (0, 0);
        for _ in 0..count {
            if left < bits {
                (number, left) = (self.next(), u64::BITS);
            }
            let index = usize::try_from(number & ((1 << bits) - 1)).unwrap_or(0);
            text.push(char::from(alphabet[index]));
            number >>= bits;
            left -= bits;
        }
        text
    }

    pub(crate) fn hex(&mut self, count: usize) -> String {
        self.chars(b"0123456789abcdef", 4, count)
    }

    pub(crate) fn base64(&mut self, count: usize) -> String {
        self.chars(BASE64, 6, count)
    }

    pub(crate) fn base32(&mut self, count: usize) -> String {
        self.chars(BASE32, 5, count)
    }

    /// Returns upper-case letters out of sixteen consonants, which spell no words.
    pub(crate) fn upper(&mut self, count: usize) -> String {
        self.chars(b"BCDFGHJKLMNPQRST", 4, count)
    }

    /// Returns a request ID in the shape of a UUID of version 4.
    pub(crate) fn uuid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            0x8000 | (b >> 50),
            b & 0xffff_ffff_ffff
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_has_the_same_numbers() {
        let (mut one, mut two) = (Rng::new(7), Rng::new(7));
        assert_eq!(one.base64(40), two.base64(40));
        assert_ne!(Rng::new(7).hex(16), Rng::new(8).hex(16));
        assert_ne!(of_parts(&[1, 2]), of_parts(&[2, 1]));
    }

    #[test]
    fn a_request_id_has_the_shape_of_a_uuid() {
        for seed in 0..200 {
            let id = Rng::new(seed).uuid();
            let lengths: Vec<usize> = id.split('-').map(str::len).collect();
            assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
            assert!("89ab".contains(id.split('-').nth(3).unwrap().chars().next().unwrap()), "{id}");
        }
    }
}
