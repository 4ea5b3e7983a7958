//! `https` endpoints: whom we trust, and how we prove who we are.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose,
    IsCa, KeyPair,
};
use tokio_rustls::rustls::{
    RootCertStore, ServerConfig, crypto::ring, pki_types::PrivateKeyDer,
    server::WebPkiClientVerifier,
};
use tracebaton::{
    hop::Recorder,
    otlp::{Compression, Exporter, Options, Protocol, Tls},
};

use super::{SOON, counts, options_at, record, start, with};
use crate::support::sink::Sink;

/// An authority of our own, whose certificates stand in a folder while it lives.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tracebaton-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(folder.join("ca.pem"), certificate_of(&issuer).pem()).unwrap();
        Self { issuer, folder }
    }

    fn issue(&self, name: &str, purpose: ExtendedKeyUsagePurpose) -> (Certificate, KeyPair) {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(self.folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
        (certificate, key)
    }

    pub(super) fn file(&self, name: &str) -> Option<String> {
        Some(self.folder.join(name).to_str().unwrap().to_owned())
    }

    /// Returns what a server at `localhost` needs; `clients` have to prove themselves if there is one.
    fn server(&self, clients: Option<&Self>) -> ServerConfig {
        let (certificate, key) = self.issue("localhost", ExtendedKeyUsagePurpose::ServerAuth);
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(certificate_of(&clients.issuer).der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let mut config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config
    }
}

fn certificate_of<'i>(issuer: &'i CertifiedIssuer<'static, KeyPair>) -> &'i Certificate {
    issuer.as_ref()
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn https(sink: &Sink, protocol: Protocol, tls: &Tls) -> Options {
    let base = format!("https://localhost:{}", sink.address.port());
    with(options_at(&base, protocol), |endpoint| {
        endpoint.tls = tls.clone();
        endpoint.compression = Compression::Gzip;
    })
}

const CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
const PROTOCOLS: [Protocol; 2] = [Protocol::HttpProtobuf, Protocol::Grpc];

#[test]
fn an_https_endpoint_is_reached_by_a_certificate_that_is_trusted() {
    let authority = Authority::new("trusted");
    let tls = Tls { certificate: authority.file("ca.pem"), ..Tls::default() };
    for protocol in PROTOCOLS {
        let sink = Sink::with_tls(authority.server(None));
        let (recorder, exporter) = start(&https(&sink, protocol, &tls));
        record(&recorder, 0..2);
        let report = exporter.shutdown(SOON);
        assert_eq!(report.exported, counts(2), "{protocol:?} {report}");
        assert_eq!(sink.telemetry().spans.len(), 2);
    }
}

#[test]
fn nobody_else_is_trusted_and_what_is_kept_from_them_is_counted() {
    let (authority, other) = (Authority::new("server"), Authority::new("other"));
    let sink = Sink::with_tls(authority.server(None));
    for certificate in [other.file("ca.pem"), None] {
        let tls = Tls { certificate, ..Tls::default() };
        for protocol in PROTOCOLS {
            let recorder = Recorder::new();
            let exporter = match Exporter::start(&recorder, &https(&sink, protocol, &tls)) {
                Ok(exporter) => exporter,
                // A system that trusts nobody at all is told so at once.
                Err(error) => {
                    assert_eq!((error.key(), tls.certificate), (CERTIFICATE, None), "{error}");
                    break;
                }
            };
            record(&recorder, 0..2);
            let report = exporter.shutdown(Duration::from_millis(300));
            assert_eq!(report.lost, counts(2), "{protocol:?} {report}");
        }
    }
    assert!(sink.received().is_empty());
}

#[test]
fn an_endpoint_that_asks_who_we_are_gets_our_certificate() {
    let (authority, ours) = (Authority::new("asking"), Authority::new("ours"));
    ours.issue("client", ExtendedKeyUsagePurpose::ClientAuth);
    let nobody = Tls { certificate: authority.file("ca.pem"), ..Tls::default() };
    let client_certificate = ours.file("client.pem");
    let known = Tls { client_certificate, client_key: ours.file("client.key"), ..nobody.clone() };
    for protocol in PROTOCOLS {
        let sink = Sink::with_tls(authority.server(Some(&ours)));
        let (recorder, exporter) = start(&https(&sink, protocol, &nobody));
        record(&recorder, 0..2);
        assert_eq!(exporter.shutdown(Duration::from_millis(300)).lost, counts(2));
        assert!(sink.received().is_empty());
        let (recorder, exporter) = start(&https(&sink, protocol, &known));
        record(&recorder, 0..2);
        let report = exporter.shutdown(SOON);
        assert_eq!(report.exported, counts(2), "{protocol:?} {report}");
    }
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let authority = Authority::new("files");
    authority.issue("one", ExtendedKeyUsagePurpose::ClientAuth);
    authority.issue("two", ExtendedKeyUsagePurpose::ClientAuth);
    fs::write(authority.folder.join("empty.pem"), "").unwrap();
    fs::write(
        authority.folder.join("broken.pem"),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    let trusting = |name| Tls { certificate: authority.file(name), ..Tls::default() };
    let known = |certificate, key| Tls {
        client_certificate: authority.file(certificate),
        client_key: authority.file(key),
        ..Tls::default()
    };
    for (tls, key, name) in [
        (trusting("none.pem"), "CERTIFICATE", "none.pem"),
        (trusting("empty.pem"), "CERTIFICATE", "empty.pem"),
        (trusting("broken.pem"), "CERTIFICATE", "broken.pem"),
        (trusting("one.key"), "CERTIFICATE", "one.key"),
        (known("none.pem", "one.key"), "CLIENT_CERTIFICATE", "none.pem"),
        (known("one.pem", "none.key"), "CLIENT_KEY", "none.key"),
        (known("one.pem", "one.pem"), "CLIENT_KEY", "one.pem"),
        (known("one.pem", "two.key"), "CLIENT_KEY", "two.key"),
    ] {
        let options = with(Options::default(), |endpoint| endpoint.tls = tls.clone());
        let error = Exporter::start(&Recorder::new(), &options).err().unwrap();
        assert_eq!(error.key(), format!("OTEL_EXPORTER_OTLP_{key}"), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
}
