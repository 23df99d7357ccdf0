//! Our options in the terms of the protocol's library.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn_proto::crypto::rustls::QuicClientConfig;
use quinn_proto::{
    ClientConfig, EndpointConfig, IdleTimeout, MtuDiscoveryConfig, NoneTokenStore, ServerConfig,
    TransportConfig, ValidationTokenConfig, VarInt,
};

use super::cid::SteeredIds;
use super::congestion::Congestion;
use super::keys::AddressKeys;
use super::options::{CRYPTO_BUFFER, INCOMING_BUFFER, MAX_UNI_STREAMS, MIN_SEND_WINDOW, QuicOptions};
use super::session::{ServerTls, VERSION};
use super::tokens;

/// Resets are answered to unknown packets at most this often, by one worker.
const RESET_INTERVAL: Duration = Duration::from_millis(5);

/// The largest payload of a datagram that is received (bytes; RFC 9000 section 18.2).
const MAX_PAYLOAD: u16 = 65_527;

/// Of the socket of this worker at `address`.
///
/// # Errors
/// None that could happen: the protocol's library checks a constant.
pub(super) fn endpoint(
    options: &QuicOptions,
    address: SocketAddr,
    (worker, workers, bank): (u16, u16, u8),
) -> io::Result<Arc<EndpointConfig>> {
    let AddressKeys { reset, ids } = options.keys.of(address);
    let mut config = EndpointConfig::new(reset);
    config.cid_generator(move || Box::new(SteeredIds::new(worker, workers, ids.clone()).of_bank(bank)));
    config.min_reset_interval(RESET_INTERVAL);
    config.supported_versions(vec![VERSION]);
    // Buffers are large enough for all that there can be, which is what the protocol's default says.
    config.max_udp_payload_size(MAX_PAYLOAD).map_err(io::Error::other)?;
    Ok(Arc::new(config))
}

/// `wide` is how large packets are worth trying, if larger than usual.
fn transport(options: &QuicOptions, max_streams: u32, wide: Option<u16>) -> TransportConfig {
    let mut config = TransportConfig::default();
    if let Some(payload) = wide {
        let mut discovery = MtuDiscoveryConfig::default();
        discovery.upper_bound(payload);
        config.mtu_discovery_config(Some(discovery));
    }
    config.congestion_controller_factory(Congestion::new(wide));
    config.max_concurrent_bidi_streams(max_streams.into());
    config.max_concurrent_uni_streams(MAX_UNI_STREAMS.into());
    config.stream_receive_window(options.stream_window.into());
    config.receive_window(options.connection_window.into());
    config.send_window(MIN_SEND_WINDOW.min(options.send_window));
    config.max_idle_timeout(idle_timeout(options.idle_timeout));
    config.keep_alive_interval(options.keep_alive);
    config.crypto_buffer_size(CRYPTO_BUFFER);
    config.datagram_receive_buffer_size(None);
    config
}

/// None is no limit, which a zero would be in the protocol too (RFC 9000 section 18.2).
fn idle_timeout(timeout: Duration) -> Option<IdleTimeout> {
    let timeout = timeout.max(Duration::from_millis(1));
    Some(IdleTimeout::try_from(timeout).unwrap_or_else(|_| VarInt::from_u32(u32::MAX).into()))
}

/// # Errors
/// See [`ServerTls::new`].
pub(super) fn server(options: &QuicOptions, tls: Arc<rustls::ServerConfig>) -> io::Result<Arc<ServerConfig>> {
    let crypto = ServerTls::new(tls)?;
    let mut config = ServerConfig::new(Arc::new(crypto), options.keys.token.clone());
    config.transport_config(Arc::new(transport(options, options.max_streams, None)));
    config.max_incoming(options.max_handshakes.max(1));
    config.incoming_buffer_size(INCOMING_BUFFER);
    config.incoming_buffer_size_total(INCOMING_BUFFER * 16);
    let mut given = ValidationTokenConfig::default();
    given.lifetime(tokens::LIFETIME).sent(tokens::GIVEN).log(options.keys.used.clone());
    config.validation_token_config(given);
    Ok(Arc::new(config))
}

/// The same for clients to whom larger packets than usual are worth trying.
pub(super) fn wide_server(usual: &ServerConfig, options: &QuicOptions, payload: u16) -> Arc<ServerConfig> {
    let mut config = usual.clone();
    config.transport_config(Arc::new(transport(options, options.max_streams, Some(payload))));
    Arc::new(config)
}

/// The same for clients that come while the process is short of memory.
pub(super) fn tight_server(usual: &ServerConfig, options: &QuicOptions) -> Arc<ServerConfig> {
    let mut config = usual.clone();
    config.transport_config(Arc::new(transport(&options.tight(), options.max_streams, None)));
    Arc::new(config)
}

/// # Errors
/// When `tls` has no cipher suite for the first packets: TLS_AES_128_GCM_SHA256.
pub(super) fn client(
    options: &QuicOptions,
    tls: Arc<rustls::ClientConfig>,
    wide: Option<u16>,
) -> io::Result<ClientConfig> {
    let crypto = QuicClientConfig::try_from(tls).map_err(io::Error::other)?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport(options, 0, wide)));
    config.token_store(Arc::new(NoneTokenStore));
    Ok(config)
}
