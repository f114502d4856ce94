//! What this room's tests stand on: a web server made of a raw socket, which can do what no server should.

pub(crate) mod ring;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// A TLS configuration that trusts nobody.
pub(crate) fn tls() -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}

/// What the server does once it has read a request's head.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Send(Vec<u8>),
    Wait(Duration),
    /// Close in good order.
    Close,
    /// Close with a reset.
    Reset,
    /// Never answer again on this connection.
    Hang,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) head: String,
    pub(crate) connection: usize,
    pub(crate) came: Instant,
    /// When the last act of its answer was done.
    pub(crate) answered: Option<Instant>,
}

impl Seen {
    pub(crate) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }
}

/// A server on loopback.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) at: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Site {
    /// Answers each request by what `says` makes of its path and of how often that path was asked for before.
    pub(crate) async fn start(
        says: impl Fn(&str, usize) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let site = Self {
            at: listener.local_addr().unwrap(),
            seen: Arc::default(),
        };
        let (seen, says) = (site.seen.clone(), Arc::new(says));
        tokio::spawn(async move {
            let mut connection = 0;
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, connection, seen.clone(), says.clone()));
                connection += 1;
            }
        });
        site
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.seen()
            .iter()
            .map(|seen| seen.path().to_owned())
            .collect()
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    seen: Arc<Mutex<Vec<Seen>>>,
    says: Arc<impl Fn(&str, usize) -> Vec<Act> + Send + Sync>,
) {
    while let Some(head) = read_head(&mut stream).await {
        let request = Seen {
            head,
            connection,
            came: Instant::now(),
            answered: None,
        };
        let path = request.path().to_owned();
        let (index, before) = {
            let mut seen = seen.lock().unwrap();
            let before = seen.iter().filter(|other| other.path() == path).count();
            seen.push(request);
            (seen.len() - 1, before)
        };
        for act in says(&path, before) {
            match act {
                Act::Send(bytes) => {
                    // The last moment at which the client cannot yet have the whole answer.
                    seen.lock().unwrap()[index].answered = Some(Instant::now());
                    if stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Act::Wait(time) => tokio::time::sleep(time).await,
                Act::Close => return,
                Act::Reset => {
                    stream.set_zero_linger().unwrap();
                    return;
                }
                Act::Hang => std::future::pending().await,
            }
        }
    }
}

async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// A whole answer with a length.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Vec<Act> {
    vec![Act::Send(
        format!(
            "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into(),
    )]
}

pub(crate) fn page(body: &str) -> Vec<Act> {
    answer("200 OK", "content-type: text/html\r\n", body)
}
