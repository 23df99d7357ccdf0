//! Sockets, the PROXY protocol, dialing, splice; the only place with unsafe code.
