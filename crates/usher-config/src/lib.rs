//! From the bytes of a document to a typed config, with diagnostics that carry spans.
