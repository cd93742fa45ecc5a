//! The members of a line's object that have a meaning, and their values.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::error::Category;

use super::error::LineError;

/// The values found; members without a meaning are left out.
#[derive(Debug, Default)]
pub(super) struct Members([Option<Value>; NAMES.len()]);

impl Members {
    /// Reads the object that a line consists of.
    pub(super) fn parse(text: &str) -> Result<Self, LineError> {
        let mut json = serde_json::Deserializer::from_str(text);
        let mut twice = None;
        let parsed = json
            .deserialize_any(ObjectVisitor { twice: &mut twice })
            .and_then(|members| json.end().map(|()| members));
        match parsed {
            Ok(Some(members)) => twice.map_or(Ok(members), |name| Err(LineError::Twice(name))),
            Ok(None) => Err(LineError::NotAnObject),
            Err(error) if error.classify() == Category::Eof => Err(LineError::CutOff),
            Err(error) => Err(LineError::Json(without_line(&error.to_string()))),
        }
    }

    pub(super) fn text(&self, name: &'static str) -> Result<&str, LineError> {
        match self.value(name) {
            Some(Value::String(text)) => Ok(text),
            Some(other) => Err(wrong(name, "a text", other)),
            None => Err(LineError::Missing(name)),
        }
    }

    pub(super) fn nanos(&self, name: &'static str) -> Result<i64, LineError> {
        self.optional_nanos(name)?.ok_or(LineError::Missing(name))
    }

    pub(super) fn optional_nanos(&self, name: &'static str) -> Result<Option<i64>, LineError> {
        let expected = "whole nanoseconds from -9223372036854775808 to 9223372036854775807";
        self.value(name)
            .map(|value| value.as_i64().ok_or_else(|| wrong(name, expected, value)))
            .transpose()
    }

    /// A small integer of a type of its own.
    pub(super) fn small<T: TryFrom<i64>>(
        &self,
        name: &'static str,
        expected: &'static str,
    ) -> Result<T, LineError> {
        let value = self.value(name).ok_or(LineError::Missing(name))?;
        let number = value.as_i64().and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| wrong(name, expected, value))
    }

    fn value(&self, name: &str) -> Option<&Value> {
        let index = NAMES.iter().position(|known| *known == name)?;
        self.0.get(index)?.as_ref()
    }
}

pub(super) fn wrong(member: &'static str, expected: &'static str, found: &Value) -> LineError {
    let mut found = match found {
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        scalar => scalar.to_string(),
    };
    if let Some((end, _)) = found.char_indices().nth(FOUND_CHARS_MAX) {
        found.truncate(end);
        found.push_str("...");
    }
    LineError::Value { member, expected, found }
}

/// The parser counts lines of its own, of which there is one.
fn without_line(message: &str) -> String {
    message.replace(" at line 1 column ", " at column ")
}

struct ObjectVisitor<'a> {
    twice: &'a mut Option<&'static str>,
}

/// Everything but an object visits to nothing.
impl<'de> Visitor<'de> for ObjectVisitor<'_> {
    type Value = Option<Members>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Members::default();
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            let index = NAMES.iter().position(|known| *known == key);
            let Some((name, slot)) =
                index.and_then(|index| Some((NAMES.get(index)?, members.0.get_mut(index)?)))
            else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if slot.replace(map.next_value()?).is_some() {
                self.twice.get_or_insert(name);
            }
        }
        Ok(Some(members))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

const NAMES: [&str; 12] = [
    "type",
    "t1_local_ns",
    "t2_ns",
    "t3_ns",
    "t4_local_ns",
    "root_delay_ns",
    "root_dispersion_ns",
    "precision_log2_s",
    "stratum",
    "leap",
    "handled_local_ns",
    "local_ns",
];
const FOUND_CHARS_MAX: usize = 40;
