//! Values one after another in bytes, little endian.

/// Reads what JavaScript wrote.
///
/// A tape that ends too soon gives zeros: JavaScript's part is ours, and its values are checked
/// where they are used.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Reader(bytes)
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let Some((first, rest)) = self.0.split_first_chunk() else { return [0; N] };
        self.0 = rest;
        *first
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    pub(crate) fn i64(&mut self) -> i64 {
        i64::from_le_bytes(self.take())
    }

    pub(crate) fn f64(&mut self) -> f64 {
        f64::from_le_bytes(self.take())
    }

    /// Its length comes first.
    pub(crate) fn text(&mut self) -> String {
        let length = self.u32() as usize;
        let (text, rest) = self.0.split_at_checked(length).unwrap_or((&[], &[]));
        self.0 = rest;
        String::from_utf8_lossy(text).into_owned()
    }

    /// How many there are comes first.
    pub(crate) fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = self.u32() as usize;
        // No list is longer than what is left of the tape.
        (0..count.min(self.0.len())).map(|_| one(self)).collect()
    }
}

/// Writes what JavaScript reads.
#[derive(Default, Debug)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    pub(crate) fn i64(&mut self, value: i64) -> &mut Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    pub(crate) fn f64(&mut self, value: f64) -> &mut Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.u32(text.len() as u32);
        self.0.extend(text.as_bytes());
        self
    }

    pub(crate) fn texts(&mut self, texts: &[String]) -> &mut Self {
        self.u32(texts.len() as u32);
        for text in texts {
            self.text(text);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut writer = Writer::default();
        writer.u32(7).i64(i64::MIN).f64(-0.5).text("a ↔ b").texts(&["x".to_owned()]);
        let bytes = writer.into_bytes();
        let mut reader = Reader::new(&bytes);
        assert_eq!((reader.u32(), reader.i64(), reader.f64()), (7, i64::MIN, -0.5));
        assert_eq!((reader.text().as_str(), reader.list(Reader::text).len()), ("a ↔ b", 1));
    }

    #[test]
    fn a_tape_that_ends_too_soon_gives_nothing() {
        let mut reader = Reader::new(&[255, 255, 255, 255, 1]);
        assert_eq!(reader.list(Reader::i64), [0]);
        assert_eq!((reader.text(), reader.i64()), (String::new(), 0));
        assert_eq!(Reader::new(&[9, 0, 0, 0, 65]).text(), "");
    }
}
