//! One section of fields as it comes in: what holds for heads of requests, of responses, and for trailers.

use super::MessageError;
use crate::fields::{FieldId, Fields, is_lower_token};
use crate::parse::{HeadLimits, MAX_NAME, ParseError, value_end};

/// What a field costs beside its name and value (bytes): what an HTTP/1 line has around them, so that one limit means
/// the same for every protocol.
const AROUND: usize = b": \r\n".len();

/// Counts and checks fields.
#[derive(Debug)]
pub(super) struct Section {
    limits: HeadLimits,
    size: usize,
    fields: usize,
}

impl Section {
    pub(super) fn new(limits: &HeadLimits) -> Self {
        Self { limits: *limits, size: 0, fields: 0 }
    }

    /// The limit of what is HTTP/1's first line.
    pub(super) fn line(&self) -> usize {
        self.limits.line
    }

    /// Counts the size of any field.
    #[inline]
    pub(super) fn count(&mut self, name: &[u8], value: &[u8]) -> Result<(), MessageError> {
        self.size = self.size.saturating_add(name.len()).saturating_add(value.len()).saturating_add(AROUND);
        if self.size > self.limits.head {
            return Err(MessageError::TooLarge(ParseError::HeadTooLarge));
        }
        Ok(())
    }

    /// Counts a field that is no pseudo-field.
    #[inline]
    pub(super) fn count_field(&mut self) -> Result<(), MessageError> {
        if self.fields == self.limits.fields {
            return Err(MessageError::TooLarge(ParseError::TooManyFields));
        }
        self.fields += 1;
        Ok(())
    }

    /// Checks a field that is no pseudo-field, after its size was counted. Connection-specific fields are malformed
    /// (RFC 9113 section 8.2.2), and so is `te` that is not `trailers`.
    #[inline]
    pub(super) fn regular(&mut self, name: &[u8], value: &[u8]) -> Result<FieldId, MessageError> {
        if name.len() > MAX_NAME || !is_lower_token(name) {
            return Err(MessageError::Malformed("malformed field name"));
        }
        if !is_value(value) {
            return Err(MessageError::Malformed("malformed field value"));
        }
        let id = FieldId::of(name);
        match id {
            FieldId::Connection
            | FieldId::KeepAlive
            | FieldId::ProxyConnection
            | FieldId::TransferEncoding
            | FieldId::Upgrade => Err(MessageError::Malformed("connection-specific field")),
            FieldId::Te if !value.eq_ignore_ascii_case(b"trailers") => {
                Err(MessageError::Malformed("te that is not trailers"))
            }
            id => Ok(id),
        }
    }
}

/// Adds a checked field.
#[inline]
pub(super) fn append(fields: &mut Fields, id: FieldId, name: &[u8], value: &[u8]) {
    if id == FieldId::Other {
        fields.note_other(name);
    }
    fields.append(id, name, value);
}

/// Whether the bytes are a field value: no control bytes but tab, no white space at the ends (RFC 9113 section 8.2.1).
#[inline]
pub(super) fn is_value(value: &[u8]) -> bool {
    value_end(value) == value.len()
        && !matches!(value.first(), Some(b' ' | b'\t'))
        && !matches!(value.last(), Some(b' ' | b'\t'))
}
