//! The section of `ip_hash`.

usher_config::section! {
    /// The client's address settles the endpoint.
    pub default struct IpHash {
        /// How many leading bits of an IPv4 address count.
        #[range(1..=32)]
        pub ipv4_prefix: u8 = 32,
        /// How many leading bits of an IPv6 address count: one customer has a whole network of them, and changes
        /// addresses within it.
        #[range(1..=128)]
        pub ipv6_prefix: u8 = 64,
    }
}
