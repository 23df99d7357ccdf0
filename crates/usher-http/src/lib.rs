//! The message model (head, fields, body framing) and what each header means; no sockets.
