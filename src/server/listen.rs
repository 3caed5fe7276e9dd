//! Binding: the address of the config, and the admin socket.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

use super::Error;
use crate::config::checked::Tls;

/// Binds the address of `[server] listen`.
pub(super) async fn tcp(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(Error::io(format!("listen on {address}")))
}

/// Refuses an admin socket at which another service answers, and changes nothing.
pub(super) fn look_at_admin(path: &Path) -> Result<(), Error> {
    let answers = UnixStream::connect(path).is_ok();
    let taken = || io::Error::new(io::ErrorKind::AddrInUse, "another service answers there");
    if answers { Err(Error::io(format!("listen on the admin socket {}", path.display()))(taken())) } else { Ok(()) }
}

/// Binds the admin socket, readable and writable for its owner and group alone. A socket that a dead process left is replaced;
/// one that answers is another service's.
pub(super) fn admin(path: &Path) -> Result<UnixListener, Error> {
    let failed = || Error::io(format!("listen on the admin socket {}", path.display()));
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

/// TLS for the listener, where the config has a certificate.
pub(super) fn tls(tls: &Tls) -> Result<TlsAcceptor, Error> {
    let unreadable = |path: &Path, cause: &dyn std::fmt::Display| Error::Tls(format!("{}: {cause}", path.display()));
    let chain = CertificateDer::pem_file_iter(&tls.cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|cause| unreadable(&tls.cert, &cause))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|cause| unreadable(&tls.key, &cause))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = versions.map_err(|cause| Error::Tls(cause.to_string()))?.with_no_client_auth().with_single_cert(chain, key);
    Ok(TlsAcceptor::from(Arc::new(config.map_err(|cause| unreadable(&tls.cert, &cause))?)))
}
