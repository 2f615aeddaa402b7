//! JSON Web Tokens that are signed with a private key (RS256): how clouds are shown that we hold it.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::error::{Error, Kind, Result};

/// Signs `header` and `claims` with the private key in `pem` (PKCS #8 or PKCS #1). `field` is where the key came from.
///
/// # Errors
/// [`Kind::InvalidInput`] for what holds no private key of RSA.
pub(super) fn token(
    pem: &[u8],
    field: &'static str,
    header: &impl Serialize,
    claims: &impl Serialize,
) -> Result<Zeroizing<String>> {
    let wrong = |message: &'static str| {
        Error::new(Kind::InvalidInput, message)
            .with("field", field)
            .with_hint("the key is PEM with BEGIN PRIVATE KEY; an encrypted one has to be decrypted first")
    };
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| wrong("this holds no private key in PEM"))?;
    let pair = match &key {
        PrivateKeyDer::Pkcs8(der) => KeyPair::from_pkcs8(der.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(der) => KeyPair::from_der(der.secret_pkcs1_der()),
        _ => return Err(wrong("the private key is none of RSA")),
    };
    let pair = pair.map_err(|_| wrong("the private key cannot be used"))?;
    let part = |value: Vec<u8>| URL_SAFE_NO_PAD.encode(value);
    let json = |error| Error::new(Kind::Internal, "no JSON").because(error);
    let header = part(serde_json::to_vec(header).map_err(json)?);
    let claims = part(serde_json::to_vec(claims).map_err(json)?);
    let text = format!("{header}.{claims}");
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
        .map_err(|_| wrong("the private key cannot sign"))?;
    Ok(Zeroizing::new(format!("{text}.{}", part(signature))))
}
