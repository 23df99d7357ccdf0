//! The other side, by rustls alone.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

use crate::memory::MemoryStream;
use crate::testing::{read, shutdown, write_all};

pub(super) struct Peer {
    connection: Connection,
    stream: MemoryStream,
}

impl Peer {
    pub(super) async fn connect(config: Arc<ClientConfig>, stream: MemoryStream, name: &str) -> Self {
        let name = name.to_owned().try_into().expect("a name");
        let connection = ClientConnection::new(config, name).expect("a connection").into();
        Self { connection, stream }.shaken().await
    }

    pub(super) async fn accept(config: Arc<ServerConfig>, stream: MemoryStream) -> Self {
        let connection = ServerConnection::new(config).expect("a connection").into();
        Self { connection, stream }.shaken().await
    }

    async fn shaken(mut self) -> Self {
        while self.connection.is_handshaking() {
            self.flush().await;
            if self.connection.is_handshaking() {
                self.fill().await;
            }
        }
        self.flush().await;
        self
    }

    async fn flush(&mut self) {
        let mut out = Vec::new();
        while self.connection.wants_write() {
            self.connection.write_tls(&mut out).expect("encoded");
        }
        write_all(&mut self.stream, &out).await.expect("sent");
    }

    /// False at the end.
    async fn fill(&mut self) -> bool {
        let mut buf = [0; 5000];
        let len = read(&mut self.stream, &mut buf).await.expect("read");
        let mut bytes = &buf[..len];
        while !bytes.is_empty() {
            self.connection.read_tls(&mut bytes).expect("taken");
            self.connection.process_new_packets().expect("understood");
        }
        len > 0
    }

    pub(super) fn refresh_keys(&mut self) {
        match &mut self.connection {
            Connection::Client(connection) => connection.refresh_traffic_keys(),
            Connection::Server(connection) => connection.refresh_traffic_keys(),
        }
        .expect("refreshed");
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(30_000) {
            self.connection.writer().write_all(piece).expect("written");
            self.flush().await;
        }
    }

    /// What there is, at least a byte.
    pub(super) async fn read_some(&mut self) -> Vec<u8> {
        loop {
            let mut buf = [0; 5000];
            if let Ok(len) = self.connection.reader().read(&mut buf) {
                return buf[..len].to_vec();
            }
            assert!(self.fill().await, "the end");
        }
    }

    /// Reads everything, then writes `bytes`, and ends.
    pub(super) async fn exchange(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let mut buf = [0; 5000];
            match self.connection.reader().read(&mut buf) {
                Ok(0) => break,
                Ok(len) => all.extend_from_slice(&buf[..len]),
                Err(_) => assert!(self.fill().await, "truncated"),
            }
        }
        self.write(bytes).await;
        self.connection.send_close_notify();
        self.flush().await;
        shutdown(&mut self.stream).await.expect("closed");
        all
    }
}
