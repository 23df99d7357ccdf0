//! Drives rustls through a handshake, and takes the keys over when it is done.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::kernel::KernelConnection;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedStatus};
use rustls::{AlertDescription, CommonState, Error, ExtractedSecrets, ProtocolVersion};

use super::error::{HandshakeError, HandshakeErrorKind as Kind};
use super::session::Session;
use super::stream::{Established, TlsStream};
use crate::transport::Transport;

/// What is held of the peer's messages at most: rustls takes one of 64 KiB, and its records have heads.
const MAX_INPUT: usize = 96 << 10;
/// What is read at once.
const READ: usize = 8 << 10;

/// What rustls still does after a handshake, in TLS 1.3: it derives the next keys, and keeps a client's tickets.
pub(super) enum Kernel {
    Server(KernelConnection<ServerConnectionData>),
    Client(KernelConnection<ClientConnectionData>),
}

/// Either side of rustls.
pub(super) trait Party {
    const IS_SERVER: bool;
    type Data;

    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
    fn agreed(&self) -> &CommonState;
    fn into_kernel(self) -> Result<(ExtractedSecrets, Kernel), Error>;
}

impl Party for UnbufferedServerConnection {
    const IS_SERVER: bool = true;
    type Data = ServerConnectionData;

    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }

    fn agreed(&self) -> &CommonState {
        self
    }

    fn into_kernel(self) -> Result<(ExtractedSecrets, Kernel), Error> {
        let (secrets, kernel) = self.dangerous_into_kernel_connection()?;
        Ok((secrets, Kernel::Server(kernel)))
    }
}

impl Party for UnbufferedClientConnection {
    const IS_SERVER: bool = false;
    type Data = ClientConnectionData;

    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }

    fn agreed(&self) -> &CommonState {
        self
    }

    fn into_kernel(self) -> Result<(ExtractedSecrets, Kernel), Error> {
        let (secrets, kernel) = self.dangerous_into_kernel_connection()?;
        Ok((secrets, Kernel::Client(kernel)))
    }
}

/// A handshake under way on a stream.
pub(super) struct Handshake<T> {
    stream: T,
    /// What came and was not processed.
    input: Vec<u8>,
    /// What is to be sent.
    output: Vec<u8>,
    /// What the peer said already behind its handshake.
    early: Vec<u8>,
    /// The peer says no more.
    is_closed: bool,
}

/// What comes next.
enum Step {
    Again,
    Read,
    Done,
}

impl<T: Transport> Handshake<T> {
    /// On a stream of which `ahead` was read already.
    pub(super) fn new(stream: T, ahead: Vec<u8>) -> Self {
        Self { stream, input: ahead, output: Vec::new(), early: Vec::new(), is_closed: false }
    }

    /// What came and was not processed.
    pub(super) fn input(&self) -> &[u8] {
        &self.input
    }

    /// Reads once, and meanwhile sends what there is: a peer that only sends for now must not wait for us.
    pub(super) async fn read(&mut self) -> Result<(), HandshakeError> {
        if self.input.len() >= MAX_INPUT {
            return Err(HandshakeError::new(Kind::Malformed, "a message of the handshake is too long"));
        }
        match poll_fn(|cx| self.poll_read(cx)).await {
            Ok(0) => Err(HandshakeError::new(
                Kind::Disconnected,
                "the peer closed the connection in the handshake",
            )),
            Ok(_) => Ok(()),
            Err(error) if is_gone(&error) => {
                Err(HandshakeError::new(Kind::Disconnected, "the peer reset the connection in the handshake"))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Err(_)) = self.poll_flush(cx) {
            // The peer may have said why it left; otherwise reading fails as well.
            self.output.clear();
        }
        let mut bytes = [0; READ];
        let len = ready!(self.stream.poll_read(cx, &mut bytes))?;
        self.input.extend_from_slice(bytes.get(..len).unwrap_or_default());
        Poll::Ready(Ok(len))
    }

    /// Sends what may be the last word; whether it arrives or not, the handshake is over.
    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
        let _ = poll_fn(|cx| self.poll_flush(cx)).await;
        let _ = poll_fn(|cx| self.stream.poll_shutdown(cx)).await;
        throw_away(&mut self.stream).await;
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            match ready!(self.stream.poll_write(cx, &self.output))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                len => drop(self.output.drain(..len.min(self.output.len()))),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Goes through the handshake. The last messages of ours may be left in the output: they go out with what is said
    /// first, or when there is nothing to do but to wait.
    pub(super) async fn run<P: Party>(&mut self, party: &mut P) -> Result<(), HandshakeError> {
        loop {
            match self.step(party) {
                Ok(Step::Again) => {}
                Ok(Step::Read) => self.read().await?,
                Ok(Step::Done) => break,
                Err(error) => {
                    self.take_alert(party);
                    self.send(&[]).await;
                    return Err(HandshakeError::from_rustls(&error, P::IS_SERVER));
                }
            }
        }
        if party.agreed().protocol_version() != Some(ProtocolVersion::TLSv1_3) {
            // The peer waits for our Finished before it says anything.
            poll_fn(|cx| self.poll_flush(cx)).await?;
        }
        Ok(())
    }

    fn step<P: Party>(&mut self, party: &mut P) -> Result<Step, Error> {
        let agreed = party.agreed();
        if !agreed.is_handshaking() && !agreed.wants_write() {
            // What came behind the handshake is not for rustls.
            return Ok(Step::Done);
        }
        let UnbufferedStatus { discard, state } = party.process(&mut self.input);
        let step = match state {
            Err(error) => Err(error),
            Ok(ConnectionState::EncodeTlsData(message)) => {
                encode(message, &mut self.output).map(|()| Step::Again)
            }
            Ok(ConnectionState::TransmitTlsData(message)) => {
                message.done();
                Ok(Step::Again)
            }
            Ok(ConnectionState::BlockedHandshake) => Ok(Step::Read),
            Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
                match traffic.next_record() {
                    None => break Ok(Step::Again),
                    Some(Ok(record)) => self.early.extend_from_slice(record.payload),
                    Some(Err(error)) => break Err(error),
                }
            },
            Ok(ConnectionState::WriteTraffic(_)) => Ok(Step::Done),
            Ok(ConnectionState::PeerClosed) => {
                self.is_closed = true;
                Ok(Step::Again)
            }
            Ok(_) => Err(Error::HandshakeNotComplete),
        };
        self.input.drain(..discard.min(self.input.len()));
        step
    }

    /// What rustls wants to say about its error. As long as there is such, it looks at no more input.
    fn take_alert<P: Party>(&mut self, party: &mut P) {
        while party.agreed().wants_write() {
            let UnbufferedStatus { discard, state } = party.process(&mut self.input);
            let is_encoded = match state {
                Ok(ConnectionState::EncodeTlsData(message)) => encode(message, &mut self.output).is_ok(),
                Ok(ConnectionState::ReadTraffic(mut traffic)) => traffic.next_record().is_some(),
                _ => false,
            };
            self.input.drain(..discard.min(self.input.len()));
            if !is_encoded {
                return;
            }
        }
    }

    /// Takes the keys over.
    pub(super) fn finish<P: Party>(self, party: P, session: Session) -> Result<TlsStream<T>, HandshakeError> {
        let is_tls13 = party.agreed().protocol_version() == Some(ProtocolVersion::TLSv1_3);
        let (secrets, kernel) =
            party.into_kernel().map_err(|error| HandshakeError::from_rustls(&error, P::IS_SERVER))?;
        let established = Established {
            secrets,
            kernel: is_tls13.then_some(kernel),
            is_server: P::IS_SERVER,
            input: self.input,
            early: self.early,
            is_closed: self.is_closed,
            output: self.output,
        };
        TlsStream::new(self.stream, established, session)
            .ok_or_else(|| HandshakeError::new(Kind::Internal, "the keys cannot be used"))
    }
}

/// How long, and how much (bytes), the peer may go on speaking after it was told that it is refused.
const LAST_WORDS: Duration = Duration::from_millis(if cfg!(test) { 2 } else { 500 });
const LAST_WORDS_BYTES: usize = 64 << 10;

/// Reads what the peer still says, and throws it away: closing over it would be a reset, which could take the alert away
/// from the peer before it has read it.
pub(super) async fn throw_away(stream: &mut impl Transport) {
    let reading = async {
        let (mut bytes, mut got) = ([0; 1024], 0);
        while got < LAST_WORDS_BYTES {
            match poll_fn(|cx| stream.poll_read(cx, &mut bytes)).await {
                Ok(len) if len > 0 => got += len,
                _ => return,
            }
        }
    };
    let _ = tokio::time::timeout(LAST_WORDS, reading).await;
}

fn encode<D>(mut message: EncodeTlsData<'_, D>, output: &mut Vec<u8>) -> Result<(), Error> {
    let start = output.len();
    let mut room = 0;
    loop {
        output.resize(start + room, 0);
        match message.encode(output.get_mut(start..).unwrap_or_default()) {
            Ok(len) => {
                output.truncate(start + len);
                return Ok(());
            }
            Err(EncodeError::InsufficientSize(size)) if size.required_size > room => {
                room = size.required_size
            }
            Err(error) => return Err(Error::General(error.to_string())),
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe
    )
}

/// A fatal alert before there are keys (RFC 8446 section 6).
pub(super) fn alert_record(alert: AlertDescription) -> [u8; 7] {
    [21, 3, 3, 0, 2, 2, u8::from(alert)]
}
