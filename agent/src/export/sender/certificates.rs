//! Certificates for TLS inside the test, made by `openssl`.

use tokio_rustls::TlsAcceptor;

/// An authority, a server's and a client's certificate, and another authority that nobody knows.
pub(crate) struct Certificates(tempfile::TempDir);

impl Certificates {
    /// `None` where there is no `openssl`, which is wrong in CI.
    pub(crate) fn make() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let script = r"
            set -e
            authority() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
                -keyout $1.key -out $1.pem -subj /CN=$1 -addext basicConstraints=critical,CA:TRUE; }
            leaf() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $1.key \
                -out $1.csr -subj /CN=$1
                printf 'basicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n' > $1.ext
                openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
                    -extfile $1.ext -out $1.pem; }
            authority ca; authority other; leaf server; leaf client
        ";
        let made = std::process::Command::new("sh")
            .args(["-c", script])
            .current_dir(directory.path())
            .output()
            .unwrap();
        if !made.status.success() {
            let said = String::from_utf8_lossy(&made.stderr);
            assert!(std::env::var_os("CI").is_none(), "openssl: {said}");
            println!("left out: no usable openssl ({said})");
            return None;
        }
        Some(Self(directory))
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    /// What a server shows, that asks for a client's certificate if `mutual`.
    pub(crate) fn acceptor(&self, alpn: &[&[u8]], mutual: bool) -> TlsAcceptor {
        use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
        let certificate = |name| CertificateDer::from_pem_file(self.path(name)).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate("ca.pem")).unwrap();
        let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if mutual {
            let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
                std::sync::Arc::new(roots),
                provider,
            );
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::from_pem_file(self.path("server.key")).unwrap();
        let mut config = builder.with_single_cert(vec![certificate("server.pem")], key).unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        TlsAcceptor::from(std::sync::Arc::new(config))
    }
}
