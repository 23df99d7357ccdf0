use usher_http::parse::HeadLimits;
use usher_net::MemoryStream;

use super::*;
use crate::testing::{run, write_and_end};

mod asking;
mod heads;
mod receiving;
mod sending;
mod written;

/// How many bytes the stream in between holds: every one splits the bytes elsewhere.
const CAPACITIES: [usize; 6] = [1, 2, 3, 7, 50, 100_000];

fn limits() -> HeadLimits {
    HeadLimits::default()
}

/// Gives a connection these bytes and then the end of the stream, and reads from it what `read` reads.
fn with_bytes<T>(
    bytes: &[u8],
    capacity: usize,
    read: impl AsyncFnOnce(&mut Connection<MemoryStream>) -> T,
) -> T {
    run(async {
        let (mut peer, stream) = MemoryStream::pair(capacity);
        let mut connection = Connection::new(stream);
        let reading = async {
            let answer = read(&mut connection).await;
            // The peer need not write what nobody reads.
            drop(connection);
            answer
        };
        tokio::join!(reading, write_and_end(&mut peer, bytes)).0
    })
}
