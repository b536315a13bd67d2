//! The page of Siltstone: what is in a file or a folder of ticks, in a browser, while it is written.
//!
//! A server on loopback that reads one path through the public interface of the library and never writes. `docs/viewer.md`
//! has its routes; `curl` and pandas use the same ones as the page.

mod answer;
mod browser;
mod cursors;
mod embeddings;
mod flags;
mod groups;
mod guard;
mod importance;
mod lists;
mod m4;
mod memory;
mod overview;
mod page;
mod pca;
mod plane;
mod report;
mod runs;
mod series;
mod simulation;
mod source;
mod sql;
mod table;
mod ticks;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use tempfile::TempDir;
use tokio::sync::Semaphore;

use guard::Guard;
use source::Source;

pub use report::{Include, Report, report};

/// How a path is served.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The port; 0 takes a free one.
    pub port: u16,
    /// Names, without a port, by which a proxy may ask for this server, beside those of loopback.
    pub allow_hosts: Vec<String>,
    /// Whether there is an address that may be shown in a frame: see [`Server::frame_address`].
    pub frames: bool,
}

/// A server that is bound to its port and does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    shared: Shared,
}

/// What every request gets.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) source: Arc<Source>,
    pub(crate) guard: Arc<Guard>,
    /// What leads the browser here; kept until the page has its cookie.
    pub(crate) opened: Arc<Mutex<Option<TempDir>>>,
    /// Turns of statements.
    pub(crate) statements: Arc<Semaphore>,
}

/// Threads that read at one time: a page asks for a few windows at once.
const READERS: usize = 4;
/// How often it is asked whether the server is to end.
const CHECK_EVERY: Duration = Duration::from_millis(100);
/// The longest that the end waits for threads that read.
const LONGEST_END: Duration = Duration::from_secs(1);

impl Server {
    /// Opens the path for reading, so that one that cannot be read is refused here, and takes the port.
    ///
    /// # Errors
    /// As [`siltstone::open_read_only`]; [`siltstone::Error::Io`] if the port is not free.
    ///
    /// # Example
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("run.db");
    /// # siltstone::open(&path)?.close()?;
    /// let server = siltstone_viewer::Server::bind(&path, siltstone_viewer::Options::default())?;
    /// assert!(server.address().starts_with("http://127.0.0.1:"));
    /// // server.run() answers until the process ends.
    /// # Ok::<(), siltstone::Error>(())
    /// ```
    pub fn bind(path: impl AsRef<Path>, options: Options) -> siltstone::Result<Self> {
        let source = Arc::new(Source::open(path.as_ref())?);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
        let refused = |error: io::Error| siltstone::Error::Io {
            path: address.to_string().into(),
            action: "listening on the port",
            kind: error.kind(),
            why: error.to_string(),
        };
        let listener = TcpListener::bind(address).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let port = listener.local_addr().map_err(refused)?.port();
        let guard = Arc::new(Guard::new(port, options).map_err(refused)?);
        let statements = Arc::new(Semaphore::new(sql::STATEMENTS));
        let opened = Arc::new(Mutex::new(None));
        Ok(Server { listener, shared: Shared { source, guard, opened, statements } })
    }

    /// The address to open in a browser. Its token opens the data: whoever has it can read the file.
    pub fn address(&self) -> String {
        format!(
            "http://127.0.0.1:{}/#token={}",
            self.shared.guard.port(),
            self.shared.guard.token()
        )
    }

    /// The address to show in a frame of another page, as a notebook does, if [`Options::frames`] is set. Only an address
    /// with its key may be framed: a page that does not know it cannot show this one.
    pub fn frame_address(&self) -> Option<String> {
        let (guard, key) = (&self.shared.guard, self.shared.guard.frame_key()?);
        Some(format!("http://127.0.0.1:{}/?frame={key}#token={}", guard.port(), guard.token()))
    }

    /// Opens the page in the user's browser. The token does not show in the list of processes.
    ///
    /// # Errors
    /// Where there is no browser, or no display to show it on. The server works all the same.
    pub fn open_browser(&mut self) -> io::Result<()> {
        let opened = browser::open(&self.address())?;
        *self.shared.opened.lock().unwrap_or_else(PoisonError::into_inner) = Some(opened);
        Ok(())
    }

    /// Answers requests in this thread until the process ends.
    ///
    /// # Errors
    /// What the system says when it gives no threads or sockets.
    pub fn run(self) -> io::Result<()> {
        self.run_until(|| false)
    }

    /// Answers requests in this thread until `is_stopped`, which is asked ten times a second. What is still read then is
    /// interrupted.
    ///
    /// # Errors
    /// What the system says when it gives no threads or sockets.
    pub fn run_until(self, mut is_stopped: impl FnMut() -> bool) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(READERS)
            .enable_all()
            .build()?;
        let Server { listener, shared } = self;
        let ended = runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let serving = tokio::spawn(async move { axum::serve(listener, router(shared)).await });
            while !is_stopped() {
                if serving.is_finished() {
                    return serving.await.map_err(io::Error::other)?;
                }
                tokio::time::sleep(CHECK_EVERY).await;
            }
            serving.abort();
            Ok(())
        });
        // A function of SQL cannot be stopped: it is not waited for.
        runtime.shutdown_timeout(LONGEST_END);
        ended
    }
}

/// All routes. Those below `/api` are for whoever has the token.
fn router(shared: Shared) -> Router {
    let data = Router::new()
        .route("/session", get(guard::session))
        .route("/overview", get(overview::overview))
        .route("/changes", get(overview::changes))
        .route("/series", get(series::list))
        .route("/series/info", get(series::info))
        .route("/series/window", get(series::window))
        .route("/runs", get(runs::list))
        .route("/runs/metrics", get(runs::metrics))
        .route("/runs/metric", get(runs::metric))
        .route("/runs/sparks", get(runs::sparks))
        .route("/runs/groups", get(groups::groups))
        .route("/runs/importance", get(importance::importance))
        .route("/simulation", get(simulation::list))
        .route("/simulation/group", get(simulation::group))
        .route("/simulation/times", get(simulation::times))
        .route("/simulation/state", get(simulation::state))
        .route("/simulation/range", get(simulation::range))
        .route("/simulation/history", get(simulation::history))
        .route("/memory/map", get(embeddings::map))
        .route("/memory/one", get(memory::one))
        .route("/memory/recall", get(memory::recall))
        .route("/memory/concepts", get(memory::concepts))
        .route("/memory/graph", get(memory::graph))
        .route("/memory/contexts", get(memory::contexts))
        .route("/memory/scores", get(memory::scores))
        .route("/ticks/bars", get(ticks::bars))
        .route("/ticks/quotes", get(ticks::quotes))
        .route("/ticks/gaps", get(flags::gaps))
        .route("/ticks/flags", get(flags::flags))
        .route("/tables", get(sql::tables))
        .route("/sql", post(sql::run))
        .fallback(answer::no_such_route)
        .layer(from_fn_with_state(shared.clone(), guard::with_token));
    Router::new()
        .nest("/api", data)
        .fallback(page::file)
        .layer(from_fn_with_state(shared.clone(), guard::same_origin))
        .with_state(shared)
}
