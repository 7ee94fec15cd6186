//! A certificate of our own, and the two sides that believe in it.

use std::error::Error;
use std::sync::Arc;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// The name that the certificate is for.
pub const NAME: &str = "localhost";

/// A server with a new certificate, and a client that trusts this one only.
pub fn configs() -> Result<(Arc<ServerConfig>, Arc<ClientConfig>), Box<dyn Error + Send + Sync>> {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()])?;
    let certificate = made.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());

    let mut trusted = RootCertStore::empty();
    trusted.add(certificate.clone())?;
    let client = ClientConfig::builder()
        .with_root_certificates(trusted)
        .with_no_client_auth();
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivateKeyDer::from(key))?;
    Ok((Arc::new(server), Arc::new(client)))
}

/// [`NAME`], as a client asks for it.
pub fn name() -> ServerName<'static> {
    ServerName::try_from(NAME).expect("it is a name")
}
