//! The contracts: what an extension is given and what it must provide.
