//! Addresses to a TCP connection: the first that answers, with a second family tried soon (RFC 8305, "Happy Eyeballs").
//!
//! Owns the order and the pace of the attempts. It knows neither names nor which addresses may be dialled; whoever
//! calls it bounds the whole by dropping it. Start at [`dial`].

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// The second family gets its chance after this (RFC 8305 section 5 has 250 ms for each address).
const SECOND_FAMILY_AFTER: Duration = Duration::from_millis(300);

/// Connects to the first of these addresses that can be reached, those of the first one's family before the others;
/// `limit` is shared out among a family's, so that an address that swallows packets does not cost all of it.
///
/// # Errors
/// What the last attempt said.
pub(crate) async fn dial(addresses: &[SocketAddr], limit: Duration) -> io::Result<TcpStream> {
    let (first, second): (Vec<SocketAddr>, Vec<SocketAddr>) = addresses
        .iter()
        .partition(|address| address.is_ipv4() == addresses[0].is_ipv4());
    if second.is_empty() {
        return one_after_another(&first, limit).await;
    }
    let ahead = pin!(one_after_another(&first, limit));
    match select(ahead, pin!(sleep(SECOND_FAMILY_AFTER))).await {
        Either::Left((Ok(stream), _)) => Ok(stream),
        Either::Left((Err(_), _)) => one_after_another(&second, limit).await,
        Either::Right(((), ahead)) => {
            match select(ahead, pin!(one_after_another(&second, limit))).await {
                Either::Left((Ok(stream), _)) | Either::Right((Ok(stream), _)) => Ok(stream),
                Either::Left((Err(_), behind)) => behind.await,
                Either::Right((Err(_), ahead)) => ahead.await,
            }
        }
    }
}

async fn one_after_another(addresses: &[SocketAddr], limit: Duration) -> io::Result<TcpStream> {
    let share = limit / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let mut last = io::Error::new(ErrorKind::AddrNotAvailable, "no address");
    for address in addresses {
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    const LIMIT: Duration = Duration::from_secs(5);

    async fn closed_port(address: &str) -> SocketAddr {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        listener.local_addr().unwrap()
    }

    #[tokio::test]
    async fn the_first_that_answers_is_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let closed = closed_port("127.0.0.1").await;
        let stream = dial(&[closed, open], LIMIT).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        let error = dial(&[closed], LIMIT).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn a_family_that_refuses_gives_way_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        // Nobody listens there, whether this machine has IPv6 or not.
        let nowhere: SocketAddr = "[::1]:9".parse().unwrap();
        let stream = dial(&[nowhere, open], LIMIT).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        assert!(dial(&[nowhere], LIMIT).await.is_err());
    }
}
