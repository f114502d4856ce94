//! A server's life: a thread with its own runtime that ends with the value that owns it.
//!
//! So a server answers whether its test is asynchronous or not, blocks or not, and no task outlives the test.

use std::future::Future;
use std::io;
use std::thread::JoinHandle;

use tokio::runtime;
use tokio::sync::oneshot;

/// A server in work; dropping it stops the server and closes its sockets.
pub(crate) struct Serving {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    /// Runs `serve` on a new thread until it ends or this value is dropped.
    pub(crate) fn start<F, S>(name: &str, serve: S) -> io::Result<Self>
    where
        F: Future<Output = ()>,
        S: FnOnce() -> F + Send + 'static,
    {
        let (stop, stopped) = oneshot::channel();
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = serve() => {}
                        _ = stopped => {}
                    }
                });
                // Dropping the runtime drops every connection's task.
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in the server's thread has been printed there; the test fails by what it misses.
            let _ = thread.join();
        }
    }
}
