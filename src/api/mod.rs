//! The control API of a running crawl: JSON over HTTP on loopback, under the folder's token.
//!
//! Owns the listener, the token and `control.json`, which goes away with it. It reads what the coordinator publishes
//! and hands an operator's orders to the coordinator, never to a room. Invariant (I9): without the token nothing is
//! answered but 401, and a browser page of another origin is refused before that.

use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use contract::control::Order;
use contract::outbox::Outbox;
use coordinator::Status;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::folder::CONTROL;
use crate::gauges::{self, Gauges};

/// Where a running crawl is reached; the file is readable by its owner alone.
#[derive(Debug, Serialize, Deserialize)]
pub struct Control {
    pub url: String,
    pub token: String,
    pub pid: u32,
}

/// What handlers see: the status, and the door of the generation that runs now.
#[derive(Clone)]
pub struct Shared {
    pub status: watch::Receiver<Status>,
    pub orders: watch::Receiver<Option<Outbox<Order>>>,
    pub gauges: Gauges,
    /// Why no order is taken here, where none is.
    refuses: Option<&'static str>,
    token: String,
}

/// A listening API; it and its file end with this value.
pub struct Api {
    file: PathBuf,
    server: JoinHandle<()>,
    address: SocketAddr,
}

impl Drop for Api {
    fn drop(&mut self) {
        self.server.abort();
        let _gone_already = fs::remove_file(&self.file);
    }
}

impl Api {
    /// Listens on a free loopback port and writes `control.json` into `dir`.
    ///
    /// # Errors
    /// No port, or a file that cannot be written.
    pub async fn start(
        dir: &Path,
        token: String,
        status: watch::Receiver<Status>,
        orders: watch::Receiver<Option<Outbox<Order>>>,
        gauges: Gauges,
        refuses: Option<&'static str>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let file = dir.join(CONTROL);
        let control = Control {
            url: format!("http://{address}"),
            token: token.clone(),
            pid: std::process::id(),
        };
        let _old = fs::remove_file(&file);
        let mut out = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&file)?;
        out.write_all(&serde_json::to_vec_pretty(&control)?)?;
        let shared = Shared {
            status,
            orders,
            gauges,
            refuses,
            token,
        };
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router(shared)).await {
                tracing::warn!(%error, "the control API ended");
            }
        });
        Ok(Self {
            file,
            server,
            address,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn router(shared: Shared) -> Router {
    Router::new()
        .route("/api/v1/status", get(status))
        .route("/api/v1/pause", post(|state| order(state, Order::Pause)))
        .route("/api/v1/resume", post(|state| order(state, Order::Resume)))
        .route("/api/v1/stop", post(|state| order(state, Order::Stop)))
        .route("/api/v1/add", post(add))
        .route(
            "/api/v1/health",
            get(|State(shared): State<Shared>| health(shared.gauges)),
        )
        .layer(middleware::from_fn_with_state(shared.clone(), admit))
        .with_state(shared)
}

async fn admit(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    match refusal(request.headers(), &shared.token) {
        Some(refused) => refused,
        None => next.run(request).await,
    }
}

/// Host against DNS rebinding, Origin against other sites' pages, then the token.
fn refusal(headers: &HeaderMap, token: &str) -> Option<Response> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let host = text(header::HOST).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    if !matches!(name, "127.0.0.1" | "localhost" | "[::1]") || headers.contains_key(header::ORIGIN)
    {
        return Some(refuse(StatusCode::FORBIDDEN, "only local programs may ask"));
    }
    let given = text(header::AUTHORIZATION)
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    let is_known = same(given.as_bytes(), token.as_bytes());
    (!is_known).then(|| {
        refuse(
            StatusCode::UNAUTHORIZED,
            "the token of control.json is needed",
        )
    })
}

/// Compares in a time that does not tell where the first difference is.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

fn refuse(code: StatusCode, why: &str) -> Response {
    (code, Json(json!({ "error": why }))).into_response()
}

async fn status(State(shared): State<Shared>) -> Json<Status> {
    Json(shared.status.borrow().clone())
}

async fn order(State(shared): State<Shared>, order: Order) -> Response {
    if let Some(why) = shared.refuses {
        return refuse(StatusCode::CONFLICT, why);
    }
    let door = shared.orders.borrow().clone();
    let Some(door) = door else {
        return refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            "the crawl is starting or ending",
        );
    };
    match door.ask(order).await {
        Ok(Ok(lines)) => Json(json!({ "done": lines })).into_response(),
        Ok(Err(why)) => refuse(StatusCode::CONFLICT, &why),
        Err(error) => refuse(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Urls {
    urls: Vec<String>,
}

async fn add(state: State<Shared>, Json(body): Json<Urls>) -> Response {
    order(state, Order::Add(body.urls)).await
}

/// All gauges, judged: 200 while none is above its limit, else 503.
async fn health(gauges: Gauges) -> Response {
    let verdict = gauges::judge(&gauges.snapshot().await);
    let code = match verdict.ok {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (code, Json(verdict)).into_response()
}

/// Serves `/metrics` and `/health` alone, read-only, on an address of the operator's choice: what the rooms count, then
/// the gauges; and the gauges judged. Gives the address it listens at.
///
/// # Errors
/// An address that cannot be listened on.
pub async fn serve_metrics(
    address: SocketAddr,
    metrics: PrometheusHandle,
    gauges: Gauges,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let judged = gauges.clone();
    let healthy = get(move || health(judged.clone()));
    let router = Router::new().route("/health", healthy).route(
        "/metrics",
        get(move || {
            metrics.run_upkeep();
            let mut text = metrics.render();
            let gauges = gauges.clone();
            async move {
                text.push_str(&gauges::prometheus(&gauges.snapshot().await));
                ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
            }
        }),
    );
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::warn!(%error, "the metrics listener ended");
        }
    });
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wiring::Memory;

    #[tokio::test]
    async fn only_the_token_from_a_local_program_is_answered() {
        let dir = tempfile::tempdir().unwrap();
        let (status, _keep) = watch::channel(Status::default());
        let (orders, _keep2) = watch::channel(None);
        let api = Api::start(
            dir.path(),
            "secret".into(),
            status.subscribe(),
            orders.subscribe(),
            Gauges::new(Memory::of(1 << 40)),
            None,
        )
        .await
        .unwrap();
        let file = dir.path().join(CONTROL);
        let control: Control = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("{}/api/v1/status", control.url);
        let code = |request: reqwest::RequestBuilder| async move {
            request.send().await.unwrap().status().as_u16()
        };
        assert_eq!(code(client.get(&url).bearer_auth("secret")).await, 200);
        assert_eq!(code(client.get(&url)).await, 401);
        assert_eq!(code(client.get(&url).bearer_auth("wrong!")).await, 401);
        assert_eq!(
            code(
                client
                    .get(&url)
                    .bearer_auth("secret")
                    .header("Host", "evil.test")
            )
            .await,
            403
        );
        assert_eq!(
            code(
                client
                    .get(&url)
                    .bearer_auth("secret")
                    .header("Origin", "http://evil.test")
            )
            .await,
            403
        );
        let health = format!("{}/api/v1/health", control.url);
        assert_eq!(code(client.get(&health)).await, 401);
        let told = client.get(&health).bearer_auth("secret").send().await;
        let told = told.unwrap().text().await.unwrap();
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert!(told["gauges"].as_array().unwrap().len() > 3, "{told}");
        let pause = format!("{}/api/v1/pause", control.url);
        assert_eq!(code(client.post(&pause).bearer_auth("secret")).await, 503);
        drop(api);
        assert!(!file.exists());
    }
}
