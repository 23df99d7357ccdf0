//! The section `buffer_request`.

use usher_config::ByteSize;

usher_config::section! {
    /// Takes in the whole body of a request before an endpoint is chosen, so that a slow upload does not occupy one.
    #[bare(size)]
    pub struct BufferRequest {
        /// The largest body. One that is larger is refused with 413. Each request under way may take so much memory.
        #[range(ByteSize(1)..=ByteSize::mib(256))]
        pub size: ByteSize,
    }
}
