//! HTTP/1 drivers: bytes to and from an exchange.
