//! When was the connection there? reqwest does not say; a layer around its connector does.
//!
//! Owns two things that need that moment: the head's time starts when the connection stands, and a connection that
//! stands only after the lease's end is not used (I4; a suspended machine wakes in the middle of a connect).
//! One request at a time per client, so that there is one state. Start at [`Watch`].

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use contract::clock::{Boot, Clock};
use tokio::sync::watch;
use tower_layer::Layer;
use tower_service::Service;

use crate::error::LeaseOver;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Where the connection for the running request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialling {
    /// No new one is made: a kept one serves, or nothing has begun.
    Idle,
    /// Name, TCP or TLS is under way.
    Connecting,
    /// A new one stands since then.
    Connected(Boot),
}

/// The state that a client's connector reports to its requests.
#[derive(Debug)]
pub(crate) struct Watch {
    clock: Clock,
    state: watch::Sender<Dialling>,
    not_after: AtomicU64,
}

impl Watch {
    pub(crate) fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            clock,
            state: watch::Sender::new(Dialling::Idle),
            not_after: AtomicU64::new(0),
        })
    }

    /// A request begins, under a lease that ends then.
    pub(crate) fn begin(&self, not_after: Boot) -> watch::Receiver<Dialling> {
        self.not_after.store(not_after.0, Ordering::Release);
        self.state.send_replace(Dialling::Idle);
        self.state.subscribe()
    }

    fn connected(&self) -> Result<(), LeaseOver> {
        let now = self.clock.boot();
        if now > Boot(self.not_after.load(Ordering::Acquire)) {
            return Err(LeaseOver);
        }
        self.state.send_replace(Dialling::Connected(now));
        Ok(())
    }
}

/// Puts a [`Watch`] around reqwest's connector.
#[derive(Clone, Debug)]
pub(crate) struct WatchLayer(pub(crate) Arc<Watch>);

impl<S> Layer<S> for WatchLayer {
    type Service = Watched<S>;

    fn layer(&self, inner: S) -> Watched<S> {
        Watched {
            inner: Arc::new(Mutex::new(inner)),
            watch: self.0.clone(),
        }
    }
}

/// A connector that reports. Its copies share the one that connects: reqwest copies its connector several times a
/// request, also for the requests that a kept connection serves, and that one is dear to copy.
#[derive(Debug)]
pub(crate) struct Watched<S> {
    inner: Arc<Mutex<S>>,
    watch: Arc<Watch>,
}

impl<S> Clone for Watched<S> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            watch: self.watch.clone(),
        }
    }
}

impl<S> Watched<S> {
    fn inner(&self) -> MutexGuard<'_, S> {
        // The connector keeps nothing between calls that a panic could leave half done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S, Target> Service<Target> for Watched<S>
where
    S: Service<Target, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner().poll_ready(cx)
    }

    fn call(&mut self, target: Target) -> Self::Future {
        let connect = self.inner().call(target);
        let watch = self.watch.clone();
        watch.state.send_replace(Dialling::Connecting);
        Box::pin(async move {
            let connection = connect.await?;
            watch.connected()?;
            Ok(connection)
        })
    }
}
