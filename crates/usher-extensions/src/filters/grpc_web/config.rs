//! The section `grpc_web`.

usher_config::section! {
    /// Translates gRPC-Web, which browsers speak, into gRPC, which the endpoints speak.
    pub default struct GrpcWeb {
        /// Whether it is done.
        pub enabled: bool = true,
    }
}
