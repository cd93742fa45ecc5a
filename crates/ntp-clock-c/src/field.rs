//! Texts in fields of C's structs.

#[cfg(test)]
use std::ffi::CStr;
use std::ffi::c_char;

/// A text with its NUL in a field of this size, cut where it is longer, never within a character.
pub(crate) fn copied<const SIZE: usize>(text: &str) -> [c_char; SIZE] {
    let mut field = [0; SIZE];
    let end = text.floor_char_boundary(SIZE - 1);
    for (place, byte) in field.iter_mut().zip(text[..end].bytes()) {
        *place = byte as c_char;
    }
    field
}

/// The contents of a field.
#[cfg(test)]
pub(crate) fn read(field: &[c_char]) -> String {
    let bytes: Vec<u8> = field.iter().map(|byte| *byte as u8).collect();
    CStr::from_bytes_until_nul(&bytes).expect("ends").to_str().expect("UTF-8").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_always_ends() {
        assert_eq!(read(&copied::<8>("seven: ")), "seven: ");
        assert_eq!(read(&copied::<8>("1234567890")), "1234567");
        assert_eq!(read(&copied::<8>("12345ööö")), "12345ö");
        assert_eq!(read(&copied::<8>("123456ööö")), "123456");
        assert_eq!(read(&copied::<8>("")), "");
    }
}
