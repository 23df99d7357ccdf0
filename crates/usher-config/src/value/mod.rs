//! Values with a form of their own: units, addresses, patterns, secrets.

mod address;
mod cidr;
mod duration;
mod peer;
mod percent;
mod rate;
mod regex;
mod secret;
mod size;
mod units;

#[cfg(test)]
mod tests;

pub use address::{BindAddress, EndpointAddress, EndpointUrl, Scheme};
pub use cidr::Cidr;
pub use duration::{format_duration, parse_duration};
pub use peer::TrustedPeer;
pub use percent::Percent;
pub use rate::Rate;
pub use regex::Regex;
pub use secret::Secret;
pub use size::{ByteSize, SizeLimit};

/// Why a text is not a value of some type, and how to write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueError {
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// The repair.
    pub help: Option<String>,
}

impl ValueError {
    /// An error without a repair yet.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    /// Says how to write it.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }
}

impl std::fmt::Display for ValueError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ValueError {}
