//! How a query becomes an answer: the work in a thread of its own, its errors as sentences.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value as Json, json};
use siltstone::{Error, Handle};

use crate::Shared;

/// The longest that a query may take, unless its route says otherwise.
pub(crate) const LONGEST: Duration = Duration::from_secs(30);

/// What a handler returns.
pub(crate) type Answer = std::result::Result<Response, Fault>;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The library's error.
    Library(Error),
    /// The query took too long.
    Late(Duration),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::Library(error)
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let (status, sentence) = match self {
            Fault::Late(longest) => (
                StatusCode::SERVICE_UNAVAILABLE,
                format!("stopped after {} s, the longest that a query may take", longest.as_secs()),
            ),
            Fault::Library(error) => (status_of(&error), error.to_string()),
        };
        refusal(status, &sentence)
    }
}

fn status_of(error: &Error) -> StatusCode {
    match error {
        Error::NotFound { .. } => StatusCode::NOT_FOUND,
        Error::Invalid { .. } | Error::InvalidIndex { .. } | Error::InvalidType { .. } => {
            StatusCode::BAD_REQUEST
        }
        Error::Busy { .. } => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// An answer that is a sentence.
pub(crate) fn refusal(status: StatusCode, sentence: &str) -> Response {
    (status, json_body(&json!({ "error": sentence }))).into_response()
}

/// A route below `/api` that is none.
pub(crate) async fn no_such_route(uri: Uri) -> Response {
    refusal(StatusCode::NOT_FOUND, &format!("there is no route /api{}", uri.path()))
}

/// JSON with its type.
pub(crate) fn json_body(document: &Json) -> impl IntoResponse + use<> {
    ([(header::CONTENT_TYPE, "application/json")], document.to_string())
}

/// Whether work is to end.
pub(crate) type Stop = Arc<dyn Fn() -> bool + Send + Sync>;

thread_local! {
    static STOP: RefCell<Option<Stop>> = const { RefCell::new(None) };
}

/// Whether the work of this thread is to end: for threads that do a part of it.
pub(crate) fn stop() -> Stop {
    STOP.with_borrow(|stop| stop.clone()).unwrap_or_else(|| Arc::new(|| false))
}

/// Runs work that reads, in a thread of its own. It is stopped after `longest`, and when nobody waits for it any more: a
/// browser that leaves drops this future.
///
/// # Errors
/// What the work says; [`Fault::Late`].
pub(crate) async fn read<T: Send + 'static>(
    shared: &Shared,
    longest: Duration,
    work: impl FnOnce(&Handle) -> siltstone::Result<T> + Send + 'static,
) -> Result<T, Fault> {
    let waiting = Waiting(Arc::new(AtomicBool::new(true)));
    let (is_waited_for, source) = (waiting.0.clone(), shared.source.clone());
    let run = move || {
        if !is_waited_for.load(Ordering::Relaxed) {
            return Err(Fault::Late(longest)); // nobody will read it
        }
        let end = Instant::now() + longest;
        let stop: Stop =
            Arc::new(move || !is_waited_for.load(Ordering::Relaxed) || Instant::now() >= end);
        STOP.set(Some(stop.clone()));
        let done = siltstone::interruptible(move || stop(), || work(&source.handle()?));
        STOP.set(None);
        match done {
            Err(Error::Interrupted { .. }) => Err(Fault::Late(longest)),
            other => other.map_err(Fault::from),
        }
    };
    match tokio::task::spawn_blocking(run).await {
        Ok(done) => done,
        // Its own message is on stderr.
        Err(_) => Err(Fault::Library(Error::Panicked {
            what: "the server's work".to_owned(),
            why: "see what `silt view` printed",
        })),
    }
}

/// Tells the work when its query is dropped.
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
