//! AEAD_AES_SIV_CMAC_256 (RFC 5297): one key for each direction.

use aes_siv::KeyInit;
use aes_siv::siv::Aes128Siv;
use alloc::vec::Vec;
use core::fmt;
use zeroize::Zeroizing;

/// Who sends what a key seals.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Direction {
    /// The client seals requests.
    ToServer,
    /// The server seals replies.
    ToClient,
}

impl Direction {
    /// What the TLS exporter is given as context (RFC 8915 section 5.1), beside the label
    /// [`Key::EXPORTER_LABEL`]: protocol NTPv4, AEAD_AES_SIV_CMAC_256, and the direction.
    #[must_use]
    pub const fn exporter_context(self) -> [u8; 5] {
        [
            0,
            0,
            0,
            15,
            match self {
                Direction::ToServer => 0,
                Direction::ToClient => 1,
            },
        ]
    }
}

/// A key of AEAD_AES_SIV_CMAC_256; wiped when dropped, and never shown.
///
/// ```
/// use ntp_clock_nts::Key;
/// let key = Key::new([7; Key::LEN]);
/// let sealed = key.seal(&[1; 16], b"seen by all", b"seen by none").unwrap();
/// assert_eq!(key.open(&[1; 16], b"seen by all", &sealed).unwrap(), b"seen by none");
/// assert_eq!(key.open(&[1; 16], b"changed", &sealed), None);
/// ```
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; Key::LEN]>);

impl Key {
    /// Bytes of a key.
    pub const LEN: usize = 32;

    /// The number of the algorithm in IANA's registry.
    pub const ALGORITHM: u16 = 15;

    /// What the TLS exporter is asked for (RFC 8915 section 5.1).
    pub const EXPORTER_LABEL: &'static [u8] = b"EXPORTER-network-time-security";

    /// How much longer a ciphertext is than its plaintext, in bytes.
    pub const OVERHEAD: usize = aes_siv::siv::IV_SIZE;

    /// The key with these bytes, which the TLS exporter gives.
    #[must_use]
    pub fn new(bytes: [u8; Key::LEN]) -> Self {
        Key(Zeroizing::new(bytes))
    }

    /// The ciphertext, which proves both itself and what is `seen` by all.
    ///
    /// # Errors
    /// [`SealError`] where the cipher refuses, which it does for no argument that can be given.
    pub fn seal(&self, nonce: &[u8], seen: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
        self.cipher().encrypt([seen, nonce], plaintext).map_err(|_| SealError)
    }

    /// The plaintext, or `None` where anything was changed or sealed by another key. Proofs are
    /// compared in constant time.
    #[must_use]
    pub fn open(&self, nonce: &[u8], seen: &[u8], ciphertext: &[u8]) -> Option<Vec<u8>> {
        self.cipher().decrypt([seen, nonce], ciphertext).ok()
    }

    fn cipher(&self) -> Aes128Siv {
        Aes128Siv::new(&(*self.0).into())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").finish_non_exhaustive()
    }
}

/// The cipher refused to seal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the cipher refused to seal the request")]
pub struct SealError;

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<_> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
        digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
    }

    /// Key, header, nonce and plaintext of RFC 5297 appendix A.2 without its second header, which
    /// NTS does not have: this proves that header and nonce come in the right order. The ciphertexts
    /// are by OpenSSL's AES-SIV and CMAC.
    #[test]
    fn a_known_plaintext_has_the_known_ciphertext() {
        let (key, seen, nonce) = (key(KEY), bytes(SEEN), bytes(NONCE));
        let sealed = key.seal(&nonce, &seen, PLAINTEXT).unwrap();
        assert_eq!(sealed, bytes(KNOWN));
        assert_eq!(key.open(&nonce, &seen, &sealed).as_deref(), Some(PLAINTEXT));
        let empty = key.seal(&nonce, &seen, &[]).unwrap();
        assert_eq!(empty, bytes(KNOWN_EMPTY));
        assert_eq!(key.open(&nonce, &seen, &empty), Some(Vec::new()));
    }

    const KEY: &str = "7f7e7d7c7b7a79787776757473727170 404142434445464748494a4b4c4d4e4f";
    const SEEN: &str =
        "00112233445566778899aabbccddeeff deaddadadeaddadaffeeddccbbaa9988 7766554433221100";
    const NONCE: &str = "09f911029d74e35bd84156c5635688c0";
    const PLAINTEXT: &[u8] = b"this is some plaintext to encrypt using SIV-AES";
    const KNOWN: &str = "\
        85825e22e90cf2ddda2c548dc7c1b6310dcdaca0cebf9dc6cb90583f5bf1506e\
        02cd48832b00e4e598b2b22a53e6199d4df0c1666a35a0433b250dc134d776";
    const KNOWN_EMPTY: &str = "4cf1e6f9180dca7683caaa9c7bb70ec6";

    fn key(hex: &str) -> Key {
        Key::new(bytes(hex).try_into().unwrap())
    }

    #[test]
    fn the_cipher_is_that_of_rfc_5297_appendix_a() {
        // A.1: one header, no nonce.
        let deterministic =
            key("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0 f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
        let seen = bytes("101112131415161718191a1b1c1d1e1f2021222324252627");
        let plaintext = bytes("112233445566778899aabbccddee");
        let sealed = deterministic.cipher().encrypt([&seen], &plaintext).unwrap();
        assert_eq!(sealed, bytes("85632d07c6e8f37f950acd320a2ecc93 40c02b9690c4dc04daef7f6afe5c"));
        assert_eq!(deterministic.cipher().decrypt([&seen], &sealed).unwrap(), plaintext);
        // A.2: two headers and a nonce.
        let seen = [SEEN, "102030405060708090a0", NONCE].map(bytes);
        let sealed = key(KEY).cipher().encrypt(&seen, PLAINTEXT).unwrap();
        assert_eq!(key(KEY).cipher().decrypt(&seen, &sealed).unwrap(), PLAINTEXT);
        assert_eq!(
            sealed,
            bytes(
                "7bdb6e3b432667eb06f4d14bff2fbd0f cb900f2fddbe404326601965c889bf17
                 dba77ceb094fa663b7a3f748ba8af829 ea64ad544a272e9c485b62a3fd5c0d"
            )
        );
    }

    #[test]
    fn a_change_of_any_bit_of_nonce_header_or_ciphertext_is_noticed() {
        let key = Key::new([7; 32]);
        let (nonce, seen) = ([1; 16], [2; 20]);
        let sealed = key.seal(&nonce, &seen, b"three cookies").unwrap();
        for bit in 0..8 * (nonce.len() + seen.len() + sealed.len()) {
            let mut all = [&nonce[..], &seen, &sealed].concat();
            all[bit / 8] ^= 1 << (bit % 8);
            let (nonce, rest) = all.split_at(nonce.len());
            let (seen, sealed) = rest.split_at(seen.len());
            assert_eq!(key.open(nonce, seen, sealed), None, "bit {bit}");
        }
        for len in 0..sealed.len() {
            assert_eq!(key.open(&nonce, &seen, &sealed[..len]), None, "{len} bytes");
        }
        let one_way = Key::new([8; 32]);
        assert_eq!(one_way.open(&nonce, &seen, &sealed), None, "another key");
    }

    #[test]
    fn a_key_is_never_shown() {
        assert_eq!(format!("{:?}", Key::new([0x5a; 32])), "Key(..)");
    }

    #[test]
    fn each_direction_has_a_key_of_its_own_by_the_context_of_rfc_8915() {
        assert_eq!(Direction::ToServer.exporter_context(), [0x00, 0x00, 0x00, 0x0f, 0x00]);
        assert_eq!(Direction::ToClient.exporter_context(), [0x00, 0x00, 0x00, 0x0f, 0x01]);
    }
}
