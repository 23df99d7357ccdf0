//! Certificates that obtain and renew themselves: ACME, an internal CA, and where they are kept.
