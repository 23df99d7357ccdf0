//! HTTP/3 (RFC 9114), both sides.
