//! The address of a server: how it is reached, with TLS or without, and how it is named without its secrets.

use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use postgres::config::{Host, SslMode};
use postgres::{Client, Config};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::password;
use crate::error::{Error, Result};
use crate::kernel::{CHECK_EVERY, check_interrupted};

/// How long a server that does not answer is waited for.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How a server is reached. It has no `Debug`: it may hold a password.
pub(crate) struct Address {
    config: Config,
    tls: MakeRustlsConnect,
    location: String,
    /// Why a file of passwords was not read.
    passed_over: Option<String>,
}

/// The parameters that are ours to read, since the client knows no verification.
#[derive(Default)]
struct Tls {
    mode: Option<String>,
    root: Option<String>,
}

fn refuse(got: impl Into<String>) -> Error {
    let expected = "postgresql://[USER[:PASSWORD]@][HOST][:PORT]/[DATABASE][?PARAMETER=VALUE...]";
    Error::invalid("the address of a PostgreSQL server", expected, got)
}

impl Address {
    /// Reads an address. No part of it that may be a secret is in an error.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let (_, rest) = url.split_once("://").ok_or_else(|| refuse("an address without ://"))?;
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        if authority.matches('@').count() > 1 {
            return Err(refuse("an @ within the user or the password, which is written %40"));
        }
        let (bare, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut tls = Tls::default();
        let mut passfile = None;
        let mut others = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => tls.mode = Some(value.to_owned()),
                Some(("sslrootcert", value)) => tls.root = Some(unescape(value)?),
                Some(("passfile", value)) => passfile = Some(unescape(value)?),
                _ => others.push(pair),
            }
        }
        // The text of the client's error may repeat what it could not read.
        let plain = format!("postgresql://{bare}?{}", others.join("&"));
        let mut config: Config = plain
            .parse()
            .map_err(|_| refuse("one that cannot be read, or a parameter not known"))?;
        if config.get_application_name().is_none() {
            config.application_name("siltstone");
        }
        if config.get_user().is_none() {
            let user = std::env::var("PGUSER").or_else(|_| std::env::var("USER"));
            config.user(user.as_deref().unwrap_or("postgres"));
        }
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            config.host(std::env::var("PGHOST").as_deref().unwrap_or("localhost"));
        }
        set_bounds(&mut config);
        let mut passed_over = None;
        if config.get_password().is_none() {
            let variable = |name: &str| std::env::var(name).ok();
            let found = password::find(&config, passfile.as_deref(), &variable);
            if let Some(password) = found.password {
                config.password(password);
            }
            passed_over = found.passed_over;
        }
        let connector = tls.connector(&mut config)?;
        let hosts = config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            Host::Unix(path) => path.display().to_string(),
        });
        let ports = config.get_ports().iter().map(|port| format!(":{port}"));
        let (hosts, ports): (Vec<_>, Vec<_>) = (hosts.collect(), ports.collect());
        let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
        let location = format!("postgresql://{}{}/{database}", hosts.join(","), ports.join(","));
        Ok(Address { config, tls: connector, location, passed_over })
    }

    /// Host, port and database: no user, no password, no parameter.
    pub(crate) fn location(&self) -> &str {
        &self.location
    }

    /// Why a file that may have had the password was passed over.
    pub(crate) fn passed_over(&self) -> Option<&str> {
        self.passed_over.as_deref()
    }

    /// The same server, with a password.
    pub(crate) fn with_password(mut self, password: &str) -> Self {
        self.config.password(password);
        self
    }

    /// Connects, in a thread that ends by itself if the caller cancels or has waited for long enough: `connect_timeout` for
    /// each host, with all that client and server say to each other first.
    pub(crate) fn connect(
        &self,
        action: &'static str,
    ) -> Result<std::result::Result<Client, postgres::Error>> {
        let (config, tls) = (self.config.clone(), self.tls.clone());
        let hosts = config.get_hosts().len().max(config.get_hostaddrs().len()).max(1) as u32;
        let most = config.get_connect_timeout().copied().unwrap_or(TIMEOUT).saturating_mul(hosts);
        let begun = Instant::now();
        let (send, from) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new().name("siltstone-connect".into());
        let connect = move || drop(send.send(config.connect(tls))); // a caller that went away wants none
        thread.spawn(connect).map_err(|e| Error::io("", "starting a thread that connects", &e))?;
        loop {
            match from.recv_timeout(CHECK_EVERY) {
                Ok(connected) => return Ok(connected),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::Panicked { what: "the connecting".into(), why: "panicked" });
                }
                Err(RecvTimeoutError::Timeout) if begun.elapsed() >= most => {
                    let why = format!("no answer within {most:?} (connect_timeout)");
                    return Err(Error::Server { location: self.location.clone(), action, why });
                }
                Err(RecvTimeoutError::Timeout) => check_interrupted(action)?,
            }
        }
    }

    /// What breaks off the statement that a connection runs now.
    pub(crate) fn canceller(&self, client: &Client) -> impl Fn() + use<> {
        let (token, tls) = (client.cancel_token(), self.tls.clone());
        move || {
            // The server may have ended it just now.
            if let Err(error) = token.cancel_query(tls.clone()) {
                tracing::debug!(%error, "breaking off a statement");
            }
        }
    }
}

/// Bounds for what has none in the address: a server that is not there, or went away without a word.
fn set_bounds(config: &mut Config) {
    config.connect_timeout(config.get_connect_timeout().copied().unwrap_or(TIMEOUT));
    config.tcp_user_timeout(config.get_tcp_user_timeout().copied().unwrap_or(TIMEOUT));
    if config.get_keepalives_idle() > TIMEOUT {
        config.keepalives_idle(TIMEOUT).keepalives_interval(TIMEOUT / 3).keepalives_retries(3);
    }
}

/// A value of a parameter with its `%XX` read.
fn unescape(value: &str) -> Result<String> {
    let bad = || refuse("a value of a parameter with a % that is no %XX");
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        let hex = |byte: Option<u8>| char::from(byte?).to_digit(16);
        bytes.push(match byte {
            b'%' => {
                let (high, low) = (hex(rest.next()), hex(rest.next()));
                (high.ok_or_else(bad)? * 16 + low.ok_or_else(bad)?) as u8
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

impl Tls {
    /// The words are libpq's: `disable`, `allow` and `prefer` (TLS if the server has it), `require` (TLS, whoever
    /// the server is), `verify-ca`, `verify-full` (its certificate, and that it is of this host).
    fn connector(self, config: &mut Config) -> Result<MakeRustlsConnect> {
        let mode = self.mode.as_deref().unwrap_or("prefer");
        config.ssl_mode(match mode {
            "disable" => SslMode::Disable,
            "allow" | "prefer" => SslMode::Prefer,
            "require" | "verify-ca" | "verify-full" => SslMode::Require,
            other => {
                let expected = "disable, prefer, require, verify-ca or verify-full";
                return Err(Error::invalid("sslmode", expected, other));
            }
        });
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|e| refuse(format!("TLS setup failed: {e}")))?;
        // As libpq: with a root certificate at hand, `require` verifies it.
        let verified = mode.starts_with("verify") || (mode == "require" && self.root.is_some());
        if !verified {
            let any = Arc::new(AnyServer(provider));
            let config = builder.dangerous().with_custom_certificate_verifier(any);
            return Ok(MakeRustlsConnect::new(config.with_no_client_auth()));
        }
        let roots = self.roots()?;
        let config = if mode == "verify-full" {
            builder.with_root_certificates(roots).with_no_client_auth()
        } else {
            let inner = rustls::client::WebPkiServerVerifier::builder_with_provider(
                Arc::new(roots),
                provider,
            );
            let inner = inner
                .build()
                .map_err(|e| Error::invalid("sslrootcert", "root certificates", e.to_string()))?;
            let any_name = Arc::new(AnyName(inner));
            builder.dangerous().with_custom_certificate_verifier(any_name).with_no_client_auth()
        };
        Ok(MakeRustlsConnect::new(config))
    }

    /// The certificates of `sslrootcert`, or those of the system.
    fn roots(&self) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        match self.root.as_deref() {
            None | Some("system") => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
            Some(path) => {
                let bad =
                    |why: String| Error::invalid("sslrootcert", "a file of PEM certificates", why);
                let certificates = CertificateDer::pem_file_iter(path)
                    .map_err(|e| bad(format!("{path:?}: {e}")))?;
                for certificate in certificates {
                    let certificate = certificate.map_err(|e| bad(format!("{path:?}: {e}")))?;
                    roots.add(certificate).map_err(|e| bad(format!("{path:?}: {e}")))?;
                }
            }
        }
        if roots.is_empty() {
            return Err(Error::invalid("sslrootcert", "root certificates", "none"));
        }
        Ok(roots)
    }
}

/// TLS with whoever answers: what `require` means. The signatures are checked all the same.
#[derive(Debug)]
struct AnyServer(Arc<rustls::crypto::CryptoProvider>);

/// A server whose certificate is good, by whatever name: what `verify-ca` means.
#[derive(Debug)]
struct AnyName(Arc<rustls::client::WebPkiServerVerifier>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        use rustls::CertificateError::{NotValidForName, NotValidForNameContext};
        match self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp, now) {
            // The name is looked at last, when the chain was found good.
            Err(rustls::Error::InvalidCertificate(
                NotValidForName | NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: what a wrong address says of itself is never its password, and a right one is named without it.
    #[test]
    fn no_secret_is_told() {
        for url in [
            "postgresql://me:hunter2@host:port/db",
            "postgresql://me:hun@ter2@host/db",
            "postgresql://me:hunter2@host/db?sslmode=never",
            "postgresql://me:hunter2@host/db?sslmode=verify-full&sslrootcert=/nowhere",
            "postgresql://me:hunter2@host/db?password=hunter2&colour=blue",
            "postgresql:me:hunter2@host",
        ] {
            let error = Address::parse(url).err().unwrap_or_else(|| panic!("{url} is taken"));
            assert!(!error.to_string().contains("ter2"), "{error}");
        }
        let known =
            Address::parse("postgresql://me:hunter2@host:5433/db?connect_timeout=3").unwrap();
        assert_eq!(known.location(), "postgresql://host:5433/db");
        let socket = Address::parse("postgresql:///db?host=/run/pg&password=hunter2").unwrap();
        assert_eq!(socket.location(), "postgresql:///run/pg/db");
    }

    /// Goal: a connection has bounds where the address names none, and those of the address where it does.
    #[test]
    fn every_connection_has_bounds() {
        let bounds = |query: &str| {
            let config =
                Address::parse(&format!("postgresql://me@host/db?{query}")).unwrap().config;
            let (connect, user) = (config.get_connect_timeout(), config.get_tcp_user_timeout());
            [connect.copied(), user.copied(), Some(config.get_keepalives_idle())]
                .map(|bound| bound.map_or(0, |bound| bound.as_secs()))
        };
        assert_eq!(bounds(""), [30, 30, 30]);
        let named = "connect_timeout=3&tcp_user_timeout=4&keepalives_idle=5";
        assert_eq!(bounds(named), [3, 4, 5]);
    }

    /// Goal: a server that takes the connection and says nothing is an error after `connect_timeout` for each host, in words.
    #[test]
    fn a_server_that_says_nothing_is_an_error() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = silent.local_addr().unwrap().port();
        for (host, seconds) in [("127.0.0.1", 1), ("127.0.0.1,127.0.0.1", 2)] {
            let url = format!("postgresql://me@{host}:{port}/db?connect_timeout=1&sslmode=disable");
            let address = Address::parse(&url.replace(',', &format!(":{port},"))).unwrap();
            let begun = Instant::now();
            let (send, from) = std::sync::mpsc::channel();
            std::thread::spawn(move || send.send(address.connect("connecting").map(drop)));
            let answer = from.recv_timeout(Duration::from_secs(seconds + 10)).expect("it ends");
            let error = answer.expect_err("nobody answers").to_string();
            assert!(
                error.contains("no answer within") && error.contains("connect_timeout"),
                "{error}"
            );
            assert!(begun.elapsed() >= Duration::from_secs(seconds), "{:?}", begun.elapsed());
        }
    }
}
