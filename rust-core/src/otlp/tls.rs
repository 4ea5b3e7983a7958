//! Whom we trust, and how we prove who we are.

use std::{error::Error, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::{error::OptionError, options::Tls};

/// Which of the files is meant; the text is what its variable ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum File {
    Certificate,
    ClientCertificate,
    ClientKey,
}

impl File {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Certificate => "CERTIFICATE",
            Self::ClientCertificate => "CLIENT_CERTIFICATE",
            Self::ClientKey => "CLIENT_KEY",
        }
    }
}

/// A file that cannot be used, and why.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) file: File,
    pub(super) message: String,
}

impl Wrong {
    fn new(file: File, path: &str, error: &dyn Error) -> Self {
        Self { file, message: format!("{error}: {path}") }
    }

    /// Returns the error that names the variable of all signals.
    pub(super) fn into_error(self) -> OptionError {
        OptionError::new(format!("OTEL_EXPORTER_OTLP_{}", self.file.as_str()), self.message)
    }
}

/// Checks that the files can be used.
pub(super) fn check(tls: &Tls) -> Result<(), Wrong> {
    if *tls == Tls::default() { Ok(()) } else { config(tls, false).map(drop) }
}

/// Sets up TLS by the files, and by the system's certificates where none is named and `is_used`
/// says that they will be needed: reading them takes its time.
pub(super) fn config(tls: &Tls, is_used: bool) -> Result<ClientConfig, Wrong> {
    let mut roots = RootCertStore::empty();
    match &tls.certificate {
        Some(path) => {
            for certificate in certificates(File::Certificate, path)? {
                roots
                    .add(certificate)
                    .map_err(|error| Wrong::new(File::Certificate, path, &error))?;
            }
        }
        None if !is_used => {}
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                let message = "has to name certificates to trust: the system has none".to_owned();
                return Err(Wrong { file: File::Certificate, message });
            }
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Wrong { file: File::Certificate, message: error.to_string() })?
        .with_root_certificates(roots);
    let missing = |file: File, other: File| {
        Err(Wrong { file, message: format!("is missing beside {}", other.as_str()) })
    };
    match (&tls.client_certificate, &tls.client_key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(chain), Some(key)) => {
            let certificates = certificates(File::ClientCertificate, chain)?;
            let private = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| Wrong::new(File::ClientKey, key, &error))?;
            builder
                .with_client_auth_cert(certificates, private)
                .map_err(|error| Wrong::new(File::ClientKey, key, &error))
        }
        (Some(_), None) => missing(File::ClientKey, File::ClientCertificate),
        (None, Some(_)) => missing(File::ClientCertificate, File::ClientKey),
    }
}

fn certificates(file: File, path: &str) -> Result<Vec<CertificateDer<'static>>, Wrong> {
    let wrong = |error: &dyn Error| Wrong::new(file, path, error);
    let read = CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))?;
    let read = read.collect::<Result<Vec<_>, _>>().map_err(|error| wrong(&error))?;
    if read.is_empty() {
        return Err(Wrong { file, message: format!("holds no certificate: {path}") });
    }
    Ok(read)
}
