//! TLS by certificate files, with a certificate made for the test.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ntp_clock_relay::Tls;
use rcgen::CertifiedKey;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::support::{Http, Running, manual, start_with, within};

struct Files {
    cert: PathBuf,
    key: PathBuf,
    made: CertifiedKey<rcgen::KeyPair>,
}

fn files(name: &str) -> Files {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ntp-clock-relay").join(name);
    std::fs::create_dir_all(&folder).expect("temporary folder");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    Files { cert, key, made }
}

/// A client that trusts this certificate.
async fn connect(relay: &Running, files: &Files) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(files.made.cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(relay.addr).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    within(TlsConnector::from(Arc::new(config)).connect(name, stream)).await.expect("a handshake")
}

#[tokio::test]
async fn https_and_wss_work_with_a_certificate_that_the_client_trusts() {
    let files = files("round-trip");
    let tls = Tls::from_files(&files.cert, &files.key).expect("good files");
    let relay = start_with(
        manual().clock(),
        |_| {},
        |config| {
            config.tls = Some(tls);
            config.write_timeout = Duration::from_millis(500);
        },
    )
    .await;
    let mut http = Http(connect(&relay, &files).await);
    let response = http.ask().await.expect("an answer");
    assert_eq!(response.status, 200);
    assert!(response.json()["server_time"].is_number());

    let url = "wss://localhost/clock/ws";
    let stream = connect(&relay, &files).await;
    let (mut socket, _) = within(tokio_tungstenite::client_async(url, stream)).await.unwrap();
    use futures_util::{SinkExt, StreamExt};
    socket.send(crate::support::request("a7").into()).await.unwrap();
    let reply = within(socket.next()).await.unwrap().unwrap();
    assert!(reply.to_text().unwrap().contains("\"request_id\":\"a7\""));

    // Plain HTTP, and silence, at the same port.
    let refused = r#"ntp_clock_relay_connections_refused_total{reason="tls"}"#;
    assert!(Http::connect(relay.addr).await.ask().await.is_none());
    relay.until(refused, 1.0).await;
    let _silent = TcpStream::connect(relay.addr).await.unwrap();
    relay.until(refused, 2.0).await;
    drop((http, socket));
    relay.ended().await;
}

#[test]
fn files_that_are_no_certificate_or_key_are_named_with_what_is_wrong() {
    let good = files("good");
    let other = files("other");
    let missing = good.cert.with_file_name("missing.pem");
    let words = good.cert.with_file_name("words.pem");
    std::fs::write(&words, "no certificate\n").unwrap();
    let broken = good.cert.with_file_name("broken.pem");
    std::fs::write(&broken, "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n")
        .unwrap();
    for (cert, key, words) in [
        (&missing, &good.key, "cannot read the certificate"),
        (&good.cert, &missing, "cannot read the private key"),
        (&words, &good.key, "words.pem holds no certificate: it must be PEM"),
        (&good.cert, &words, "words.pem holds no private key: it must be PEM"),
        (&good.key, &good.key, "key.pem holds no certificate"),
        (&good.cert, &good.cert, "cert.pem holds no private key"),
        (&broken, &good.key, "broken.pem is malformed"),
        (&good.cert, &other.key, "cannot be used"),
    ] {
        let error = Tls::from_files(cert, key).expect_err("no TLS").to_string();
        assert!(error.contains(words), "{error}");
    }
    let shown = format!("{:?}", Tls::from_files(&good.cert, &good.key).unwrap());
    assert_eq!(shown, "Tls { .. }");
}
