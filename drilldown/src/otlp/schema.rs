//! Which fields OTLP's messages have, so that bytes can be checked without being read.
//!
//! What is acknowledged has to be readable later: a request that is not what it should be is refused
//! as a whole, as a reader of messages would do it.

use super::fields::{Fields, Malformed, NOT_UTF8, Value};

/// What a field has to be.
#[derive(Clone, Copy)]
enum Type {
    /// Nobody knows; it is passed over.
    Unknown,
    Number,
    Fixed64,
    Fixed32,
    Bytes,
    Text,
    Message(&'static Schema),
}

use Type::{Bytes, Fixed32, Fixed64, Message, Number, Text, Unknown};

/// The types of a message's fields, by number (opentelemetry-proto 1.9).
pub(super) struct Schema([Type; 17]);

const fn schema(fields: &[(usize, Type)]) -> Schema {
    let mut types = [Unknown; 17];
    let mut rest = fields;
    while let [(number, kind), more @ ..] = rest {
        #[expect(clippy::indexing_slicing, reason = "a number out of bounds does not compile")]
        {
            types[*number] = *kind;
        }
        rest = more;
    }
    Schema(types)
}

static ANY_VALUE: Schema = schema(&[
    (1, Text),
    (2, Number),
    (3, Number),
    (4, Fixed64),
    (5, Message(&ARRAY)),
    (6, Message(&ATTRIBUTES)),
    (7, Bytes),
    (8, Number),
]);
static ARRAY: Schema = schema(&[(1, Message(&ANY_VALUE))]);
static ATTRIBUTES: Schema = schema(&[(1, Message(&ATTRIBUTE))]);
static ATTRIBUTE: Schema = schema(&[(1, Text), (2, Message(&ANY_VALUE)), (3, Number)]);
static ENTITY: Schema = schema(&[(1, Text), (2, Text), (3, Text), (4, Text)]);
static EVENT: Schema = schema(&[(1, Fixed64), (2, Text), (3, Message(&ATTRIBUTE)), (4, Number)]);
static LINK: Schema = schema(&[
    (1, Bytes),
    (2, Bytes),
    (3, Text),
    (4, Message(&ATTRIBUTE)),
    (5, Number),
    (6, Fixed32),
]);
static STATUS: Schema = schema(&[(2, Text), (3, Number)]);

pub(super) static RESOURCE: Schema =
    schema(&[(1, Message(&ATTRIBUTE)), (2, Number), (3, Message(&ENTITY))]);
pub(super) static SCOPE: Schema =
    schema(&[(1, Text), (2, Text), (3, Message(&ATTRIBUTE)), (4, Number)]);
pub(super) static SPAN: Schema = schema(&[
    (1, Bytes),
    (2, Bytes),
    (3, Text),
    (4, Bytes),
    (5, Text),
    (6, Number),
    (7, Fixed64),
    (8, Fixed64),
    (9, Message(&ATTRIBUTE)),
    (10, Number),
    (11, Message(&EVENT)),
    (12, Number),
    (13, Message(&LINK)),
    (14, Number),
    (15, Message(&STATUS)),
    (16, Fixed32),
]);
pub(super) static LOG: Schema = schema(&[
    (1, Fixed64),
    (2, Number),
    (3, Text),
    (5, Message(&ANY_VALUE)),
    (6, Message(&ATTRIBUTE)),
    (7, Number),
    (8, Fixed32),
    (9, Bytes),
    (10, Bytes),
    (11, Fixed64),
    (12, Text),
]);

/// How deep messages may stand in one another: as deep as prost reads them, less what is around.
const MAX_DEPTH: u32 = 90;

impl Schema {
    /// Checks that bytes can be read as this message.
    ///
    /// # Errors
    ///
    /// Returns what is wrong first.
    pub(super) fn check(&'static self, bytes: &[u8]) -> Result<(), Malformed> {
        self.check_below(bytes, MAX_DEPTH)
    }

    fn check_below(&'static self, bytes: &[u8], depth: u32) -> Result<(), Malformed> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(Malformed("values stand in one another too deep"));
        };
        for field in Fields(bytes) {
            let (number, value) = field?;
            let known = usize::try_from(number).ok().and_then(|number| self.0.get(number));
            match (known.unwrap_or(&Unknown), value) {
                (Unknown, _)
                | (Number, Value::Number)
                | (Fixed64, Value::Fixed64)
                | (Fixed32, Value::Fixed32)
                | (Bytes, Value::Bytes(_)) => {}
                (Text, Value::Bytes(bytes)) => {
                    if std::str::from_utf8(bytes).is_err() {
                        return Err(NOT_UTF8);
                    }
                }
                (Message(schema), Value::Bytes(bytes)) => schema.check_below(bytes, depth)?,
                _ => return Err(Malformed("a field has another type than it should have")),
            }
        }
        Ok(())
    }
}
