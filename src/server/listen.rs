//! Binds the address of the config and the admin socket.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::sign::SingleCertAndKey;
use rustls::{ALL_VERSIONS, ServerConfig};
use tokio::net::{TcpListener, TcpSocket, UnixListener};
use tokio_rustls::TlsAcceptor;

use super::Error;
use crate::api;
use crate::config::checked::Config;

/// Binds the address of `[server] listen`.
pub(super) async fn tcp(address: SocketAddr) -> Result<TcpListener, Error> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A service that is started again need not wait until the system has forgotten the connections of its predecessor.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|cause| Error::Bind { at: address.to_string(), cause })
}

/// Refuses an admin socket at which another service answers, and changes nothing.
pub(super) fn look_at_admin(path: &Path) -> Result<(), Error> {
    if UnixStream::connect(path).is_ok() { Err(Error::Taken(path.to_owned())) } else { Ok(()) }
}

/// Binds the admin socket, readable and writable for its owner and group alone. A socket that a dead process left is replaced. A
/// socket that answers belongs to another service, and is an error.
pub(super) fn admin(path: &Path) -> Result<UnixListener, Error> {
    let failed = || Error::path("the admin socket", path);
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(failed())?;
    }
    look_at_admin(path)?;
    if fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket()) {
        return Err(failed()(io::Error::new(io::ErrorKind::AlreadyExists, "something else than a socket stands there")));
    }
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(failed()(cause)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(failed())?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660)).map_err(failed())?;
    Ok(listener)
}

/// TLS for the listener; `None`: the config has no certificate.
pub(super) fn tls(config: &Config) -> Option<TlsAcceptor> {
    let certificate = SingleCertAndKey::from(config.server.tls.as_ref()?.0.clone());
    let versions = ServerConfig::builder_with_provider(Arc::new(ring::default_provider())).with_protocol_versions(ALL_VERSIONS);
    let mut config = versions.expect("ring speaks them all").with_no_client_auth().with_cert_resolver(Arc::new(certificate));
    config.alpn_protocols = api::ALPN.map(<[u8]>::to_vec).to_vec();
    Some(TlsAcceptor::from(Arc::new(config)))
}

/// New connections that the system holds until the service takes them in; Linux allows so many unless told otherwise. A client
/// that finds no room tries again after a second.
const BACKLOG: u32 = 4_096;
