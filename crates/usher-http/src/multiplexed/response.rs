//! Heads of responses, and trailers.

use super::MessageError;
use super::section::{Section, append};
use crate::fields::Fields;
use crate::head::{Response, Version};
use crate::parse::HeadLimits;
use crate::status::Status;

/// Reads a list of fields into a response head (RFC 9113 section 8.3.2, RFC 9114 section 4.3.2).
#[derive(Debug)]
pub struct ResponseBuilder<'a> {
    response: &'a mut Response,
    section: Section,
    regular: bool,
}

impl<'a> ResponseBuilder<'a> {
    /// Begins a head; what `response` held is gone.
    pub fn new(response: &'a mut Response, version: Version, limits: &HeadLimits) -> Self {
        response.clear();
        response.version = version;
        Self { response, section: Section::new(limits), regular: false }
    }

    /// Takes the next field.
    ///
    /// # Errors
    /// When it exceeds a limit, or makes the message malformed. What follows an error is of no use.
    #[inline]
    pub fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), MessageError> {
        self.section.count(name, value)?;
        if name.first() == Some(&b':') {
            return self.pseudo(name, value);
        }
        self.regular = true;
        let id = self.section.regular(name, value)?;
        self.section.count_field()?;
        append(&mut self.response.fields, id, name, value);
        Ok(())
    }

    /// Ends the head. `ends` says that no body follows.
    ///
    /// # Errors
    /// When there is no status, or one that cannot be: 101 does not exist here (RFC 9113 section 8.6), and an
    /// informational response does not end anything.
    pub fn finish(self, ends: bool) -> Result<(), MessageError> {
        match self.response.status {
            0 => return Err(MessageError::Malformed("missing :status")),
            101 => return Err(MessageError::Malformed("101 where no protocol can be switched")),
            100..=199 if ends => return Err(MessageError::Malformed("ends with an informational response")),
            _ => {}
        }
        self.response.ends = ends;
        Ok(())
    }

    fn pseudo(&mut self, name: &[u8], value: &[u8]) -> Result<(), MessageError> {
        if self.regular {
            return Err(MessageError::Malformed("pseudo-field after a field"));
        }
        if name != b":status" {
            return Err(MessageError::Malformed("unknown pseudo-field"));
        }
        if self.response.status != 0 {
            return Err(MessageError::Malformed("repeated pseudo-field"));
        }
        let status = Status::parse(value).ok_or(MessageError::Malformed("malformed :status"))?;
        self.response.status = status.code();
        Ok(())
    }
}

/// Reads a list of fields into trailers (RFC 9113 section 8.1, RFC 9114 section 4.1).
#[derive(Debug)]
pub struct TrailersBuilder<'a> {
    fields: &'a mut Fields,
    section: Section,
}

impl<'a> TrailersBuilder<'a> {
    /// Begins a section; what `fields` held is gone.
    pub fn new(fields: &'a mut Fields, limits: &HeadLimits) -> Self {
        fields.clear();
        Self { fields, section: Section::new(limits) }
    }

    /// Takes the next field; pseudo-fields are malformed here.
    ///
    /// # Errors
    /// When it exceeds a limit, or makes the message malformed. What follows an error is of no use.
    pub fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), MessageError> {
        self.section.count(name, value)?;
        if name.first() == Some(&b':') {
            return Err(MessageError::Malformed("pseudo-field in trailers"));
        }
        let id = self.section.regular(name, value)?;
        self.section.count_field()?;
        append(self.fields, id, name, value);
        Ok(())
    }
}
