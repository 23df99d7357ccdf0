//! Texts that are not shown.

use std::io::Read;

use serde_json::json;

use super::ValueError;
use crate::decode::{Context, Decode};
use crate::document::{Node, Value};
use crate::schema::Schema;

/// Bytes that a secret's file may have.
const MAX_BYTES: u64 = 64 * 1024;

/// A text that is not shown: written in place, or `{ file = "path" }`. One line end at the end of the file is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

fn read(path: &std::path::Path) -> Result<Secret, ValueError> {
    let fault = |why: String| ValueError::new(format!("cannot read the secret `{}`: {why}", path.display()));
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| fault(error.to_string()))?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| fault(error.to_string()))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(fault(format!("it has more than {MAX_BYTES} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|_| fault("it is not UTF-8".to_owned()))?;
    let text = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if text.is_empty() { Err(fault("it is empty".to_owned())) } else { Ok(Secret(text.to_owned())) }
}

impl Decode for Secret {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        match &node.value {
            Value::String(text) => return Some(Self(text.clone())),
            Value::Table(_) => {}
            // A wrong type is told without showing the value.
            _ => {
                let help = "write it in quotes, or as `{ file = \"path\" }`";
                cx.error_help(node.span, "expected a secret", help);
                return None;
            }
        }
        let SecretFile { file } = SecretFile::decode(node, cx)?;
        cx.uses_file(file.clone());
        cx.value(node.span, read(&file))
    }

    fn schema() -> Schema {
        Schema::any_of(vec![Schema::text("secret"), SecretFile::schema()])
    }

    fn encode(&self) -> serde_json::Value {
        json!("***")
    }
}

crate::section! {
    /// A secret in a file of its own.
    struct SecretFile {
        /// The file. A line end at its end does not count.
        pub file: std::path::PathBuf,
    }
}
