//! TLS: the platform's trust, more authorities, a client certificate; always this provider, never the host's global one.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_platform_verifier::Verifier;
use zeroize::Zeroizing;

use crate::error::{Error, Kind, Result};

/// What TLS needs besides the platform's trust. Everything is PEM text.
#[derive(Clone, Default)]
pub struct Trust {
    /// Certificates of more authorities.
    pub ca: Vec<u8>,
    /// The client certificate with its chain, and its key.
    pub client: Option<(Vec<u8>, Zeroizing<Vec<u8>>)>,
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trust").field("ca", &self.ca.len()).field("client", &self.client.is_some()).finish()
    }
}

/// The configuration of one client.
///
/// # Errors
/// [`Kind::InvalidInput`] for PEM that holds no certificate or key, and where there is no trusted authority at all.
pub fn configuration(trust: &Trust) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let roots = certificates(&trust.ca, "ca", trust.ca.is_empty())?;
    let verifier = Verifier::new_with_extra_roots(roots.clone(), Arc::clone(&provider)).map_err(|error| {
        Error::new(Kind::InvalidInput, "there are no certificates to trust")
            .with_hint("install the system's CA certificates (package ca-certificates), or give the CA certificate (PEM) with `ca`")
            .because(error)
    })?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new(Kind::Internal, "no TLS version is enabled").because(error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(SelfSigned { platform: verifier, given: roots }));
    let Some((chain, key)) = &trust.client else { return Ok(builder.with_no_client_auth()) };
    let chain = certificates(chain, "client_cert", false)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
        Error::new(Kind::InvalidInput, "this holds no private key in PEM")
            .with("field", "client_key")
            .with_hint("an encrypted key has to be decrypted first")
    })?;
    builder.with_client_auth_cert(chain, key).map_err(|error| {
        Error::new(Kind::InvalidInput, "the client certificate and its key cannot be used")
            .with("field", "client_cert")
            .because(error)
    })
}

fn certificates(pem: &[u8], field: &'static str, may_be_empty: bool) -> Result<Vec<CertificateDer<'static>>> {
    let wrong = || {
        Error::new(Kind::InvalidInput, "this holds no certificate in PEM")
            .with("field", field)
            .with_hint("a PEM file has BEGIN CERTIFICATE lines")
    };
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().map_err(|_| wrong())?;
    if found.is_empty() && !may_be_empty { Err(wrong()) } else { Ok(found) }
}

/// The platform's verifier, which also takes a server certificate that is itself what the user gave with `ca`.
///
/// `openssl req -x509`, which docker's own manual uses for private registries, makes certificates that are their own authority.
/// webpki refuses those as server certificates whatever is trusted. One that the user gave, byte for byte, is trusted as much as
/// its signatures would be; its dates and its name are still looked at.
#[derive(Debug)]
struct SelfSigned {
    platform: Verifier,
    given: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for SelfSigned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.platform.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // webpki has looked at the dates before it comes to this error.
            Err(error) if is_own_authority(&error) && self.given.iter().any(|given| given == end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            done => done,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.platform.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.platform.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.platform.supported_verify_schemes()
    }
}

/// Whether webpki refused a certificate because it may sign others. It has no variant of its own in rustls: its name has to do.
pub(super) fn is_own_authority(error: &rustls::Error) -> bool {
    matches!(error, rustls::Error::InvalidCertificate(CertificateError::Other(other)) if format!("{other:?}").contains("CaUsedAsEndEntity"))
}
